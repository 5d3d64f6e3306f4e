"""Who is signed in where: one private file per console, and which of them a command means.

SWITCHYARD_URL and SWITCHYARD_TOKEN win. A token belongs to its console, so the two are never taken from different
places.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.remote.own_files import folder_of, needed_folder, read_private, remove, write_private
from deploy.remote.refused import Refused

if TYPE_CHECKING:
    from deploy.remote.api import Api


@dataclass(frozen=True, slots=True)
class Place:
    """A console and the token for it. is_login: by `switchyard login`, not from the environment."""

    url: str
    token: str
    is_login: bool = False

    def __repr__(self) -> str:
        return f"Place({self.url})"

    def api(self) -> "Api":
        # Here and not above: urllib takes longer to load than the helper's whole work from its cache.
        from deploy.remote.api import Api, checked_url

        return Api(checked_url(self.url, named="the console"), self.token)


@dataclass(frozen=True, slots=True)
class Login:
    """A sign-in that is kept. Times are Unix seconds; expires_at_s None: until it is revoked."""

    url: str
    token: str
    token_id: str
    user: str
    organization: str
    made_at_s: int
    expires_at_s: int | None

    def __repr__(self) -> str:
        return f"Login({self.url}, {self.user})"


def login_store(login: Login, environment: Mapping[str, str]) -> Path:
    path = _path(needed_folder(environment), login.url)
    facts = {name: getattr(login, name) for name in Login.__slots__}
    write_private(path, json.dumps({"version": 1, **facts}, indent=1) + "\n")
    return path


def login_forget(url: str, environment: Mapping[str, str]) -> None:
    remove(_path(needed_folder(environment), url))


def login_at(url: str, environment: Mapping[str, str]) -> Login | None:
    """The sign-in at one console, expired or not."""
    folder = folder_of(environment)
    return None if folder is None else _read(_path(folder, url))


def logins(environment: Mapping[str, str]) -> list[Login]:
    """All sign-ins, the newest first."""
    folder = folder_of(environment)
    if folder is None or not (folder / "logins").is_dir():
        return []
    found = [_read(path) for path in (folder / "logins").glob("*.json")]
    return sorted((login for login in found if login is not None), key=lambda login: -login.made_at_s)


def find_place(environment: Mapping[str, str], url: str | None = None) -> Place:
    """Find console and token: the environment, else a sign-in, else the local platform's file. Raises Refused.

    url: the console that is meant, when the command names one.
    """
    environment_url = environment.get("SWITCHYARD_URL", "").strip().rstrip("/")
    environment_token = environment.get("SWITCHYARD_TOKEN", "").strip()
    if url is None and (environment_url or environment_token):
        if environment_url and environment_token:
            return Place(environment_url, environment_token)
        if not environment_url:
            raise Refused("set SWITCHYARD_URL too: a token belongs to one console")
        url = environment_url
    if url is not None:
        url = url.strip().rstrip("/")
        if environment_token and environment_url == url:
            return Place(url, environment_token)
        return _signed_in(login_at(url, environment), url)
    newest = next(iter(logins(environment)), None)
    if newest is not None:
        return _signed_in(newest, newest.url)
    return _local(environment)


def _signed_in(login: Login | None, url: str) -> Place:
    if login is None:
        raise Refused(f"nobody is signed in at {url}. Run: switchyard login --url {url}", status=401)
    if login.expires_at_s is not None and login.expires_at_s <= time.time():
        raise Refused(f"your sign-in at {url} has expired. Run: switchyard login --url {url}", status=401)
    return Place(login.url, login.token, is_login=True)


def _local(environment: Mapping[str, str]) -> Place:
    local_file = Path(environment.get("SWITCHYARD_HOME", ".switchyard")) / "local.json"
    if not local_file.exists():
        raise Refused(
            "run `switchyard login --url https://<your console>` first, or set SWITCHYARD_URL to the console's "
            "address and SWITCHYARD_TOKEN to an admin API token (syapi_…); no local platform is up here either",
            status=401,
        )
    local = json.loads(local_file.read_text(encoding="utf-8"))
    return Place(local["console_url"], local["api_token"])


def _read(path: Path) -> Login | None:
    text = read_private(path)
    if text is None:
        return None
    try:
        facts = json.loads(text)
        return Login(**{name: facts[name] for name in Login.__slots__})
    except (ValueError, KeyError, TypeError) as failure:
        raise Refused(f"{path} is damaged. Delete it and run `switchyard login` again") from failure


def _path(folder: Path, url: str) -> Path:
    # A name that people recognize, and a digest that keeps two consoles apart whatever their addresses hold.
    readable = "".join(sign if sign.isalnum() or sign in ".-" else "-" for sign in url.partition("://")[2])[:60]
    return folder / "logins" / f"{readable}-{sha256(url.encode()).hexdigest()[:8]}.json"
