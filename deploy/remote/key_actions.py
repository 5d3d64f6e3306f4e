"""`switchyard key create`, `list`, `rotate` and `revoke`."""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from deploy.remote.api import Api
from deploy.remote.refused import Refused

KEY_ID = re.compile(r"[0-9A-Za-z]{12}|[0-9a-f]{32}")
SHOWN = ("id", "prefix", "state", "expires_at", "name")


def key_create(api: Api, arguments: argparse.Namespace) -> None:
    body: dict[str, Any] = {"name": arguments.name, "models": arguments.model, "metadata": dict(arguments.tag)}
    if arguments.user or arguments.service_account:
        kind = "user" if arguments.user else "service_account"
        body["owner"] = {kind: arguments.user or arguments.service_account}
    if arguments.team:
        body["team"] = arguments.team
    if arguments.route:
        body["routes"] = arguments.route
    if arguments.source_network:
        body["source_networks"] = arguments.source_network
    if arguments.expires_at:
        body["expires_at"] = arguments.expires_at
    if arguments.rotation_days is not None:
        body["rotation"] = {"every_days": arguments.rotation_days}
    _show(api.call("POST", "keys", body), arguments, ("key",))


def key_list(api: Api, arguments: argparse.Namespace) -> None:
    rows = _all_keys(api, {})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(str(row.get(name) or "-") for name in SHOWN))


def key_rotate(api: Api, arguments: argparse.Namespace) -> None:
    body = {"grace_seconds": arguments.grace_seconds}
    _show(_at_key(api, arguments.key, "rotate", body), arguments, ("key",))


def key_revoke(api: Api, arguments: argparse.Namespace) -> None:
    action = "revoke?wait=applied" if arguments.wait else "revoke"
    answer = _at_key(api, arguments.key, action, {"reason": arguments.reason})
    if arguments.json:
        print(json.dumps(answer, indent=2))
    else:
        print(f"{answer['id']} is revoked" if isinstance(answer, dict) and "id" in answer else "It is revoked")


def _at_key(api: Api, named: str, action: str, body: Mapping[str, Any]) -> Any:
    """Do something to the key that an id or a name means. Raises Refused."""
    if KEY_ID.fullmatch(named):
        try:
            return api.call("POST", f"keys/{named}/{action}", body)
        except Refused as failure:
            # Twelve letters may be a name as well.
            if failure.status != 404:
                raise
    return api.call("POST", f"keys/{quote(_id_of(api, named), safe='')}/{action}", body)


def _id_of(api: Api, name: str) -> str:
    """The one living key of a name. Raises Refused, which lists them when there are several."""
    living = _all_keys(api, {"name": name, "state": "active"})
    if len(living) == 1:
        return str(living[0]["id"])
    if living:
        lines = [f"  {row['id']}  {row['prefix']}…  {_owner(row)}, made {row.get('created_at', '')}" for row in living]
        raise Refused(f"{len(living)} keys are called {name!r}; say which by its id:\n" + "\n".join(lines))
    dead = _all_keys(api, {"name": name})
    if dead:
        raise Refused(f"no key called {name!r} is in force: {dead[0]['id']} is {dead[0].get('state', 'dead')}")
    raise Refused(f"there is no key with the id or the name {name!r} among those you may see; try: switchyard key list")


def _owner(row: Mapping[str, Any]) -> str:
    owner = row.get("owner") or {}
    return str(owner.get("user") or owner.get("service_account") or "somebody")


def _all_keys(api: Api, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    page = api.call("GET", f"keys?{urlencode({**wanted, 'limit': 200})}")
    rows = list(page["results"])
    while page.get("next"):
        # Only the query is taken from the answer: the token goes to the console we were told, nowhere else.
        page = api.call("GET", f"keys?{urlsplit(page['next']).query}")
        rows += page["results"]
    return rows


def _show(answer: Mapping[str, Any], arguments: argparse.Namespace, fields: Sequence[str]) -> None:
    """Print the secret alone, so that a shell can take it; its id goes to standard error."""
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return
    print(f"key {answer['id']}; it is shown only now", file=sys.stderr)
    for field in fields:
        print(answer[field])
