"""Whose address a request comes from."""

from ipaddress import ip_network

import pytest

from control_plane.project.source_address import believed_source

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("remote", "header", "source"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        # A stranger writes what they like into the header.
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.5", "198.51.100.7", "198.51.100.7"),
        # What the client wrote stands before what our proxy saw.
        ("10.0.0.5", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "198.51.100.7, 10.0.0.9", "198.51.100.7"),
        ("10.0.0.5", "10.0.0.9", "10.0.0.9"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "unknown", "10.0.0.5"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.7", ""),
        ("10.0.0.5", ", ".join(["198.51.100.7"] + ["10.0.0.9"] * 100), "10.0.0.9"),
    ],
)
def test_only_trusted_proxies_are_believed(remote: str, header: str, source: str) -> None:
    assert believed_source(remote, header, TRUSTED) == source
