"""`switchyard login`, `logout` and `whoami`."""

import argparse
import json
import os
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from deploy.remote import device_flow
from deploy.remote.api import Api, checked_url
from deploy.remote.logins import Login, Place, find_place, login_at, login_forget, login_store, logins
from deploy.remote.machine import has_browser, machine_name
from deploy.remote.refused import Refused

DAY_S = 24 * 3600
DEFAULT_DAYS, MOST_DAYS = 30, 90
CLI_SCOPES = ("keys.read", "keys.manage", "models.read", "organization.read", "teams.read")
"""What the everyday commands need; `--scope` asks for more."""


def login_main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="switchyard login", description="Sign this machine in to a console.")
    parser.add_argument("--url", help="the console's address (default: SWITCHYARD_URL, else the last one)")
    parser.add_argument(
        "--days", type=int, default=DEFAULT_DAYS, help="how long it lasts, 1 to 90; default %(default)s"
    )
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        help="a permission to ask for besides, such as policy.manage; repeatable",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    arguments = parser.parse_args(argv)
    return _told("login", lambda: _login(arguments))


def logout_main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="switchyard logout", description="End the sign-in of this machine.")
    parser.add_argument("--url", help="the console's address (default: the last one)")
    arguments = parser.parse_args(argv)
    return _told("logout", lambda: _logout(arguments))


def whoami_main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="switchyard whoami", description="Who is signed in, where, and for how long.")
    parser.add_argument("--url", help="the console's address (default: the last one)")
    parser.add_argument("--json", action="store_true", help="print the API's answer")
    arguments = parser.parse_args(argv)
    return _told("whoami", lambda: _whoami(arguments))


def sign_in(
    url: str,
    environment: Mapping[str, str],
    *,
    days: int = DEFAULT_DAYS,
    scopes: Sequence[str] = (),
    opens_browser: bool = True,
) -> Login:
    """Run the whole device login and keep the result. Raises Refused."""
    if not 1 <= days <= MOST_DAYS:
        raise Refused(f"--days: between 1 and {MOST_DAYS}")
    url = checked_url(url, named="--url")
    _warn_about_plain_http(url)
    api = Api(url)
    wanted = list(dict.fromkeys([*CLI_SCOPES, *scopes]))
    code = device_flow.begin(api, machine=machine_name(), scopes=wanted, lifetime_s=days * DAY_S)
    print(f"Open   {code.verification_uri}\nEnter  {code.user_code}", file=sys.stderr)
    print("and check that the console shows the same code. Waiting …", file=sys.stderr, flush=True)
    if opens_browser and has_browser() and _is_of(url, code.verification_uri_complete):
        webbrowser.open(code.verification_uri_complete)
    granted = device_flow.wait(api, code)
    former = _former(url, environment)
    now_s = int(time.time())
    login = Login(
        url=url,
        token=granted.token,
        token_id=granted.token_id,
        user=granted.user,
        organization=granted.organization,
        made_at_s=now_s,
        expires_at_s=None if granted.expires_in_s is None else now_s + granted.expires_in_s,
    )
    login_store(login, environment)
    if former is not None:
        _revoke(former)
    return login


def _login(arguments: argparse.Namespace) -> None:
    url = arguments.url or os.environ.get("SWITCHYARD_URL")
    if not url:
        known = logins(os.environ)
        if not known:
            raise Refused("say where: switchyard login --url https://<your console>")
        url = known[0].url
    login = sign_in(
        url, os.environ, days=arguments.days, scopes=arguments.scope, opens_browser=not arguments.no_browser
    )
    print(f"Signed in at {login.url} as {login.user}, organization {login.organization}, {_until(login.expires_at_s)}.")
    if os.environ.get("SWITCHYARD_TOKEN"):
        print("SWITCHYARD_TOKEN is set in this shell and wins over this sign-in.", file=sys.stderr)


def _logout(arguments: argparse.Namespace) -> None:
    known = logins(os.environ)
    wanted = None if arguments.url is None else checked_url(arguments.url, named="--url")
    login = next((login for login in known if wanted in (None, login.url)), None)
    if login is None:
        print("Nobody is signed in here." if wanted is None else f"Nobody is signed in at {wanted}.")
        return
    is_revoked = _revoke(login)
    login_forget(login.url, os.environ)
    print(f"Signed out of {login.url}.")
    if not is_revoked:
        print(
            f"The console could not be told; the token lives on {_until(login.expires_at_s)}. "
            "Revoke it there under Profile.",
            file=sys.stderr,
        )


def _whoami(arguments: argparse.Namespace) -> None:
    place = find_place(os.environ, arguments.url)
    facts = _asked(place)
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return
    token = facts.get("token") or {}
    rows = (
        ("console", place.url),
        ("user", facts.get("user")),
        ("organization", f"{facts.get('organization_name')} ({facts.get('organization')})"),
        ("role", facts.get("role")),
        ("gateway", facts.get("gateway_url")),
        ("token", f"{token.get('name')}, {token.get('prefix')}…" if token else "none"),
        ("expires", token.get("expires_at") or "never"),
        ("scopes", " ".join(facts.get("scopes") or ()) or "all of the role"),
    )
    for name, value in rows:
        print(f"{name:<14}{value}")


def _asked(place: Place) -> dict[str, Any]:
    try:
        facts = place.api().call("GET", "whoami")
    except Refused as failure:
        if failure.status == 401 and place.is_login:
            raise Refused(
                f"the sign-in at {place.url} is no longer valid. Run: switchyard login --url {place.url}"
            ) from failure
        raise
    if not isinstance(facts, dict):
        raise Refused(f"{place.url} did not answer as a Switchyard console does")
    return facts


def _former(url: str, environment: Mapping[str, str]) -> Login | None:
    try:
        return login_at(url, environment)
    except Refused:
        # Damaged or not private any more: the new one takes its place.
        return None


def _revoke(login: Login) -> bool:
    """End a token on the console. False when it could not be told; a token that is dead already counts as told."""
    try:
        Api(login.url, login.token).call("POST", "device/revoke", {})
    except Refused as failure:
        return failure.status == 401
    return True


def _told(command: str, act: Callable[[], None]) -> int:
    try:
        act()
    except Refused as failure:
        print(f"switchyard {command}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"switchyard {command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _until(expires_at_s: int | None) -> str:
    if expires_at_s is None:
        return "until it is revoked"
    return f"until {datetime.fromtimestamp(expires_at_s, UTC):%Y-%m-%d %H:%M} UTC"


def _is_of(url: str, address: str) -> bool:
    """Whether an address is one a browser should open: http, and of this console's own scheme."""
    return urlsplit(address).scheme in ("http", "https") and urlsplit(address).scheme == urlsplit(url).scheme


def _warn_about_plain_http(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        print(f"{url} is not encrypted: whoever listens on the way can take the token.", file=sys.stderr)
