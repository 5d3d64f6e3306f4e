"""Where a provider may live."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.credentials.destination import Destination, ForbiddenDestination, check_destination, is_public

LAN = (ip_network("10.1.0.0/16"), ip_network("127.0.0.0/8"))


def names(host: str, port: int) -> Sequence[str]:
    """A resolver that knows a few names."""
    known = {
        "api.example.com": ["203.0.114.7"],
        "two-faced.example.com": ["203.0.114.7", "169.254.169.254"],
        "inside.example.com": ["10.1.2.3"],
        "half-inside.example.com": ["10.1.2.3", "203.0.114.7"],
        "nothing.example.com": [],
    }
    if host not in known:
        raise OSError("unknown")
    return known[host]


def check(url: str) -> Destination:
    return check_destination(url, private_networks=LAN, resolver=names)


def test_a_public_address_over_https_is_fine() -> None:
    assert check("https://api.example.com/v1/") == Destination("https://api.example.com/v1", is_private=False)


def test_a_listed_network_is_fine_also_over_plain_http() -> None:
    assert check("http://inside.example.com:8080") == Destination(
        "http://inside.example.com:8080", is_private=True, is_only_private=True
    )
    assert check("http://127.0.0.1:8099").is_private
    assert check("http://[::ffff:127.0.0.1]:8099").is_private


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://half-inside.example.com",
        "https://two-faced.example.com",
        "https://nothing.example.com",
        "https://unknown.example.com",
        "https://169.254.169.254/latest/meta-data",
        "https://10.2.0.1",
        "https://192.168.1.1",
        "https://100.64.0.1",
        "https://0.0.0.0",
        "https://224.0.0.1",
        "https://255.255.255.255",
        "https://[::1]",
        "https://[fe80::1]",
        "https://[fd00::1]",
        "https://[::ffff:169.254.169.254]",
        "https://[64:ff9b::a9fe:a9fe]",
        "https://[2002:a9fe:a9fe::]",
        "https://[::]",
        "https://0x7f000001",
        "https://2130706433",
        "https://127.1",
        "https://017700000001",
        "https://user:secret@api.example.com",
        "https://api.example.com?x=1",
        "https://api.example.com#x",
        "https://api.example.com\r\nhost: x",
        "https://api.exa mple.com",
        "https://api.example.com:99999",
        "https://",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "api.example.com",
        "",
        "https://" + "a" * 400,
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenDestination):
        check_destination(url, private_networks=(), resolver=names)


@given(st.ip_addresses())
def test_no_private_address_passes_in_any_wrapping(address: object) -> None:
    found = ip_address(str(address))
    if found.is_private or found.is_loopback or found.is_link_local or found.is_multicast:
        assert not is_public(found)
    if found.version == 4 and not is_public(found):
        for wrapped in (f"::ffff:{found}", f"64:ff9b::{found}"):
            assert not is_public(ip_address(wrapped))
