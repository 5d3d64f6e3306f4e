"""Keys that may be used with some protocols only, or from some networks only."""

from ipaddress import ip_network

import pytest

from data_plane.policy.access import outside_scope
from data_plane.policy.decision import Caller, KeyScope
from data_plane.policy.keys_from_proto import read_keys
from data_plane.policy.snapshot import InvalidSnapshot
from switchyard_contract.reason import Reason
from switchyard_contract.routes import ANTHROPIC_MESSAGES, OPENAI_CHAT, ROUTES
from switchyard_contract.v1 import snapshot_pb2


def a_caller(scope: KeyScope | None) -> Caller:
    return Caller("o", "Org", "k", "ci", "sysvc_AbCd", "p", "service_account", "ci", "t", "team", scope=scope)


@pytest.mark.parametrize("protocol", ROUTES)
def test_a_key_without_a_scope_goes_everywhere(protocol: str) -> None:
    assert outside_scope(a_caller(None), protocol, "203.0.113.9") is None
    assert outside_scope(a_caller(None), protocol, "") is None


def test_a_route_that_is_not_listed_is_refused_with_those_that_are() -> None:
    caller = a_caller(KeyScope(frozenset({ANTHROPIC_MESSAGES}), ()))
    assert outside_scope(caller, ANTHROPIC_MESSAGES, "") is None
    refusal = outside_scope(caller, OPENAI_CHAT, "")
    assert refusal is not None
    assert refusal.reason is Reason.SCOPE_NOT_ALLOWED
    assert "openai_chat" in refusal.sentence
    assert "only with anthropic_messages" in refusal.sentence


def test_listings_belong_to_no_route_but_come_from_somewhere() -> None:
    scope = KeyScope(frozenset({ANTHROPIC_MESSAGES}), (ip_network("10.0.0.0/8"),))
    assert outside_scope(a_caller(scope), None, "10.1.2.3") is None
    assert outside_scope(a_caller(scope), None, "11.1.2.3") is not None


@pytest.mark.parametrize(
    ("source", "is_inside"),
    [
        ("10.20.30.40", True),
        ("::ffff:10.20.30.40", True),
        ("11.0.0.1", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_an_address_is_inside_or_the_key_is_refused(source: str, is_inside: bool) -> None:
    scope = KeyScope(frozenset(), (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
    refusal = outside_scope(a_caller(scope), OPENAI_CHAT, source)
    assert (refusal is None) is is_inside
    if refusal is not None:
        assert refusal.reason is Reason.SCOPE_NOT_ALLOWED


def _a_shard(**scope: list[str]) -> snapshot_pb2.KeyShard:
    key = snapshot_pb2.VirtualKey(id="A" * 12, digest=bytes(32), pepper_version=1, **scope)
    return snapshot_pb2.KeyShard(keys=[key])


def test_scopes_are_read_from_the_shard() -> None:
    read = read_keys("org/o/keys/0", _a_shard(routes=[OPENAI_CHAT], source_networks=["10.0.0.0/8"]))
    assert read.keys["A" * 12].scope == KeyScope(frozenset({OPENAI_CHAT}), (ip_network("10.0.0.0/8"),))
    assert read_keys("org/o/keys/0", _a_shard()).keys["A" * 12].scope is None


def test_a_network_that_is_none_makes_the_shard_invalid() -> None:
    with pytest.raises(InvalidSnapshot, match="source_networks"):
        read_keys("org/o/keys/0", _a_shard(source_networks=["10.0.0.0/99"]))
