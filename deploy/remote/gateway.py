"""Asking the gateway itself, with a virtual key, for something small and soon."""

import json
import threading
import urllib.error
import urllib.request
from typing import Any

from deploy.remote.api import NO_REDIRECTS, checked_url
from deploy.remote.refused import Refused


def fetch_json(base_url: str, path: str, key: str, *, limit_s: float, largest: int) -> Any:
    """GET a path of the gateway. Raises Refused, also when the whole of it takes longer than the limit."""
    url = checked_url(base_url, named="the gateway")
    found: list[tuple[int, bytes] | Refused] = []

    def fetch() -> None:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            f"{url}{path}", headers={"Authorization": f"Bearer {key}", "Accept": "application/json"}
        )
        try:
            with NO_REDIRECTS.open(request, timeout=limit_s) as answer:
                found.append((answer.status, answer.read(largest)))
        except urllib.error.HTTPError as failure:
            found.append((failure.code, failure.read(largest)))
        except (OSError, ValueError) as failure:
            found.append(Refused(f"the gateway is out of reach ({getattr(failure, 'reason', failure)})"))

    # A socket's timeout starts anew with every byte, and looking a name up has none: only a thread can be left behind.
    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not found:
        raise Refused(f"the gateway did not answer within {limit_s:.0f} s", is_out_of_reach=True)
    answered = found[0]
    if isinstance(answered, Refused):
        raise answered
    status, raw = answered
    if status == 401:
        raise Refused("the gateway does not know this key", status=status)
    if status != 200:
        raise Refused(f"the gateway answered {status}", status=status)
    try:
        return json.loads(raw)
    except ValueError as failure:
        raise Refused("what answered is no Switchyard gateway") from failure
