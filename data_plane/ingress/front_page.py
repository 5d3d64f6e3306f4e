"""What the gateway's root says to people and scripts that open it: what this is, and where to go from here.

No key is asked for, so nothing is told that a caller without one could not learn: no version, no name of a customer.
Addresses are told where all organizations of the pod have the same ones.
"""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from data_plane.policy.snapshot import PolicySnapshot

ME = "/switchyard/v1/me"


def answer_front_page(policy: PolicySnapshot, accept: bytes | None) -> web.Response:
    """Plain text, or JSON where that is asked for."""
    held = [each.policy for each in policy.organizations.values() if each.policy is not None]
    gateway = _only(each.gateway_public_url for each in held)
    console = _only(each.console_url for each in held)
    bases = {"anthropic": gateway, "openai": f"{gateway}/v1", "gemini": gateway}
    if b"application/json" in (accept or b"").lower():
        page: dict[str, object] = {
            "service": "switchyard",
            "says": "A gateway between coding tools and model providers.",
            "base_urls": bases,
            "console": console or None,
            "me": ME,
        }
        return _answer(msgspec.json.encode(page), "application/json")
    lines = [
        "This is Switchyard, a gateway between coding tools and model providers.",
        "",
        "Base URLs for tools, with a key of yours:" if gateway else "Base URLs for tools: this address, followed by",
        *(f"  {name:<10} {address or '(nothing)'}" for name, address in bases.items()),
        "",
        f"Keys, and how each tool is set up: {console}"
        if console
        else "Keys are made in the console of whoever runs this.",
        f"What a key may use and has left: GET {ME}",
        "",
    ]
    return _answer("\n".join(lines).encode(), "text/plain")


def _only(addresses: Iterable[str]) -> str:
    """The one address that all have; empty: they have none, or several."""
    found = {each.rstrip("/") for each in addresses if each}
    return found.pop() if len(found) == 1 else ""


def _answer(body: bytes, content_type: str) -> web.Response:
    return web.Response(
        body=body, content_type=content_type, charset="utf-8", headers={"x-content-type-options": "nosniff"}
    )
