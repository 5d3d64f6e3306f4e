"""`switchyard key`: virtual keys over the REST API, from a shell or a pipeline.

Where: the sign-in of `switchyard login`, or SWITCHYARD_URL and SWITCHYARD_TOKEN; beside a running local platform its
`local.json` is enough. `helper` prints a short-lived key for a coding tool, `exchange` one for a pipeline.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy.remote.logins import find_place
from deploy.remote.refused import Refused

if TYPE_CHECKING:
    import argparse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one key command; 1 when the API refused."""
    given = list(sys.argv[1:] if argv is None else argv)
    # Called by tools every few minutes, so it does not wait for the parsers of the others.
    if given[:1] == ["helper"]:
        from deploy.remote.short_lived_key import main as helper_main

        return helper_main(given[1:])
    if given[:1] == ["exchange"]:
        from deploy.remote.exchange import main as exchange_main

        return exchange_main(given[1:])
    arguments = _parser().parse_args(given)
    try:
        arguments.run(find_place(os.environ, arguments.url).api(), arguments)
    except Refused as failure:
        print(f"switchyard key {arguments.action}: {failure}", file=sys.stderr)
        return 1
    return 0


def _parser() -> "argparse.ArgumentParser":
    import argparse

    from deploy.remote.key_actions import key_create, key_list, key_revoke, key_rotate

    def tag(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise argparse.ArgumentTypeError(f"{text!r} is no name=value")
        return name, value

    parser = argparse.ArgumentParser(prog="switchyard key", description=(__doc__ or "").partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print the API's answer")
    shared.add_argument("--url", help="the console's address (default: SWITCHYARD_URL, else the last sign-in)")

    create = actions.add_parser("create", parents=[shared], help="mint a key; it is printed once")
    create.add_argument("name", help="what people will call it")
    owner = create.add_mutually_exclusive_group()
    owner.add_argument("--user", help="e-mail of its owner (default: the token's)")
    owner.add_argument("--service-account", help="name of the service account that owns it")
    create.add_argument("--team", help="the team that is charged")
    create.add_argument("--model", action="append", default=[], help="a model or glob it may use; repeatable")
    create.add_argument("--tag", action="append", type=tag, default=[], metavar="NAME=VALUE", help="repeatable")
    create.add_argument("--route", action="append", default=[], help="a protocol it may speak; repeatable, else all")
    create.add_argument(
        "--source-network", action="append", default=[], metavar="CIDR", help="where requests may come from; repeatable"
    )
    create.add_argument(
        "--expires", "--expires-at", dest="expires_at", metavar="TIME", help="2027-01-31T00:00:00Z; never without it"
    )
    create.add_argument("--rotation-days", type=int, metavar="DAYS", help="a successor is due that often; service keys")
    create.set_defaults(run=key_create)

    actions.add_parser("list", parents=[shared], help="id, prefix, state, expiry, name").set_defaults(run=key_list)

    rotate = actions.add_parser("rotate", parents=[shared], help="mint its successor; the old one lives on for a while")
    rotate.add_argument("key", help="its id or its name")
    rotate.add_argument("--grace-seconds", type=int, default=3600, help="default %(default)s")
    rotate.set_defaults(run=key_rotate)

    revoke = actions.add_parser("revoke", parents=[shared], help="end it now, everywhere")
    revoke.add_argument("key", help="its id or its name")
    revoke.add_argument("--reason", default="", help="kept in the audit log")
    revoke.add_argument("--wait", action="store_true", help="return when every pod has confirmed")
    revoke.set_defaults(run=key_revoke)

    # For --help only: main() takes these two before the parser is built.
    actions.add_parser("helper", help="print a short-lived key, for a coding tool to call", add_help=False)
    actions.add_parser("exchange", help="exchange a CI job's OIDC token for a key", add_help=False)
    return parser
