"""Whether an address can be reached from the internet, as far as its text tells. Pure: nothing is looked up."""

from ipaddress import ip_address
from urllib.parse import urlsplit

_PRIVATE_ENDINGS = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home.arpa", ".corp", ".test")


def is_public(base_url: str) -> bool:
    """False for loopback, private networks, names without a dot and endings kept for private use."""
    host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    if not host or host == "localhost":
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_ENDINGS)


def is_encrypted(base_url: str) -> bool:
    return urlsplit(base_url).scheme == "https"
