"""Whose address a request comes from, behind proxies that the deployment trusts.

Throttles, the audit and lists of sessions all read REMOTE_ADDR; here it becomes the address of the person. A
forwarded-for header of anybody else is not believed: they could write what they like into it.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Answer = Callable[[HttpRequest], HttpResponse]
Network = IPv4Network | IPv6Network
MAX_HOPS = 20


def source_address(get_response: Answer) -> Answer:
    """Put the address of the person into REMOTE_ADDR."""

    def middleware(request: HttpRequest) -> HttpResponse:
        trusted = settings.SWITCHYARD.trusted_proxies
        if trusted:
            request.META["REMOTE_ADDR"] = believed_source(
                request.META.get("REMOTE_ADDR", ""), request.headers.get("x-forwarded-for", ""), trusted
            )
        return get_response(request)

    return middleware


def believed_source(remote: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The nearest address that no trusted proxy has; the remote itself unless a trusted proxy speaks."""
    source = remote
    for hop in reversed(forwarded_for.split(",")[-MAX_HOPS:]):
        if not _is_trusted(source, trusted):
            return source
        text = hop.strip()
        try:
            source = str(ip_address(text))
        except ValueError:
            return source
    return source


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in trusted)
