"""`switchyard key`: virtual keys over the REST API, from a shell or a pipeline.

Where: SWITCHYARD_URL and SWITCHYARD_TOKEN; beside a running local platform its `local.json` is enough.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_S = 30


class Refused(Exception):
    """The API said no, or could not be asked; the message is for people."""


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token goes to the console that was named, nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_StaysHere)


@dataclass(frozen=True, slots=True)
class Api:
    """The REST API of one console."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Api({self.url})"

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request; give back the JSON of the answer. Raises Refused."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked in find_api
            f"{self.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as failure:
            raise Refused(f"{failure.code}: {_problem_text(failure.read())}") from failure
        except (urllib.error.URLError, TimeoutError) as failure:
            reason = getattr(failure, "reason", failure)
            raise Refused(f"{self.url} cannot be reached: {reason}") from failure
        except ValueError as failure:
            raise Refused(f"{self.url} did not answer in JSON; is it a Switchyard console?") from failure


def main(argv: Sequence[str] | None = None) -> int:
    """Run one key command; 1 when the API refused."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(find_api(os.environ), arguments)
    except Refused as failure:
        print(f"switchyard key {arguments.action}: {failure}", file=sys.stderr)
        return 1
    return 0


def find_api(environment: Mapping[str, str]) -> Api:
    """Find console and token: from the environment, else from the local platform's file. Raises Refused."""
    url, token = environment.get("SWITCHYARD_URL", ""), environment.get("SWITCHYARD_TOKEN", "")
    local_file = Path(environment.get("SWITCHYARD_HOME", ".switchyard")) / "local.json"
    # A token belongs to its console, so the two are never mixed from different places.
    if not url and not token and local_file.exists():
        local = json.loads(local_file.read_text(encoding="utf-8"))
        url, token = local["console_url"], local["api_token"]
    if not url or not token:
        raise Refused(
            "set SWITCHYARD_URL to the console's address and SWITCHYARD_TOKEN to an admin API token (syapi_…); "
            "no local platform is up here either"
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise Refused(f"SWITCHYARD_URL: {url!r} is neither http:// nor https://")
    return Api(url.rstrip("/"), token)


def _create(api: Api, arguments: argparse.Namespace) -> None:
    body: dict[str, Any] = {"name": arguments.name, "models": arguments.model, "metadata": dict(arguments.tag)}
    if arguments.user or arguments.service_account:
        kind = "user" if arguments.user else "service_account"
        body["owner"] = {kind: arguments.user or arguments.service_account}
    if arguments.team:
        body["team"] = arguments.team
    if arguments.expires_at:
        body["expires_at"] = arguments.expires_at
    _show(api.call("POST", "keys", body), arguments, ("key",))


def _list(api: Api, arguments: argparse.Namespace) -> None:
    page = api.call("GET", f"keys?{urlencode({'limit': 200})}")
    rows = list(page["results"])
    while page.get("next"):
        # Only the query is taken from the answer: the token goes to the console we were told, nowhere else.
        page = api.call("GET", f"keys?{urlsplit(page['next']).query}")
        rows += page["results"]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(str(row.get(name) or "-") for name in ("id", "prefix", "state", "expires_at", "name")))


def _rotate(api: Api, arguments: argparse.Namespace) -> None:
    body = {"grace_seconds": arguments.grace_seconds}
    _show(api.call("POST", f"keys/{quote(arguments.id, safe='')}/rotate", body), arguments, ("key",))


def _revoke(api: Api, arguments: argparse.Namespace) -> None:
    query = "?wait=applied" if arguments.wait else ""
    answer = api.call("POST", f"keys/{quote(arguments.id, safe='')}/revoke{query}", {"reason": arguments.reason})
    if arguments.json:
        print(json.dumps(answer, indent=2))
    else:
        print(f"{arguments.id} is revoked")


def _show(answer: Mapping[str, Any], arguments: argparse.Namespace, fields: Sequence[str]) -> None:
    """Print the secret alone, so that a shell can take it; its id goes to standard error."""
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return
    print(f"key {answer['id']}; it is shown only now", file=sys.stderr)
    for field in fields:
        print(answer[field])


def _problem_text(raw: bytes) -> str:
    """Tell a problem document, or whatever came instead, in one line."""
    try:
        problem = json.loads(raw)
        details = [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors", [])]
        return "; ".join([str(problem.get("detail") or problem.get("title") or "refused"), *details])
    except (ValueError, AttributeError):
        return raw[:200].decode(errors="replace")


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no name=value")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="switchyard key", description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print the API's answer")

    create = actions.add_parser("create", parents=[shared], help="mint a key; it is printed once")
    create.add_argument("name", help="what people will call it")
    owner = create.add_mutually_exclusive_group()
    owner.add_argument("--user", help="e-mail of its owner (default: the token's)")
    owner.add_argument("--service-account", help="name of the service account that owns it")
    create.add_argument("--team", help="the team that is charged")
    create.add_argument("--model", action="append", default=[], help="a model or glob it may use; repeatable")
    create.add_argument("--tag", action="append", type=_tag, default=[], metavar="NAME=VALUE", help="repeatable")
    create.add_argument("--expires-at", metavar="TIME", help="2027-01-31T00:00:00Z; never without it")
    create.set_defaults(run=_create)

    actions.add_parser("list", parents=[shared], help="id, prefix, state, expiry, name").set_defaults(run=_list)

    rotate = actions.add_parser("rotate", parents=[shared], help="mint its successor; the old one lives on for a while")
    rotate.add_argument("id")
    rotate.add_argument("--grace-seconds", type=int, default=3600, help="default %(default)s")
    rotate.set_defaults(run=_rotate)

    revoke = actions.add_parser("revoke", parents=[shared], help="end it now, everywhere")
    revoke.add_argument("id")
    revoke.add_argument("--reason", default="", help="kept in the audit log")
    revoke.add_argument("--wait", action="store_true", help="return when every pod has confirmed")
    revoke.set_defaults(run=_revoke)
    return parser
