"""Keys that spread over more shards are found at every step on the way."""

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.policy.from_proto import Shards, read_policy
from data_plane.policy.snapshot import InvalidSnapshot, OrganizationState
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.virtual_key import bucket_of
from tests.data_plane.policy.builders import ORG, a_key, a_token, an_entry, shards

BUCKETS = 4
TOKENS = [a_token() for _ in range(40)]
ALL = {token.id for token in TOKENS}
NEXT = ShardVersion(1, 900)


def a_bucket(number: int, buckets: int = BUCKETS) -> pb.KeyShard:
    return pb.KeyShard(keys=[a_key(token) for token in TOKENS if bucket_of(token.id, buckets) == number])


def a_listing(buckets: int, *ids: str) -> pb.GlobalShard:
    entries = [an_entry(each) for each in ids or (ORG,)]
    for entry in entries:
        entry.key_buckets = buckets
    return pb.GlobalShard(organizations=entries)


def one_bucket() -> Shards:
    return {**shards(), f"org/{ORG}/keys/0": (ShardVersion(1, 1), a_bucket(0, 1))}


def spread() -> dict[str, pb.KeyShard | pb.GlobalShard]:
    """What arrives when keys spread, in the order of delivery."""
    later = {f"org/{ORG}/keys/{number}": a_bucket(number) for number in range(BUCKETS - 1, 0, -1)}
    return {**later, "global": a_listing(BUCKETS), f"org/{ORG}/keys/0": a_bucket(0)}


@pytest.mark.parametrize("order", [list(spread()), [name for name in spread() if name != "global"] + ["global"]])
def test_in_the_order_of_delivery_no_key_is_lost_for_a_moment(order: list[str]) -> None:
    """Also when the list comes last: it is published in a transaction of its own."""
    held, messages = one_bucket(), spread()
    policy = read_policy(held)
    for shard in order:
        held = {**held, shard: (NEXT, messages[shard])}
        policy = read_policy(held, previous=policy)
        assert set(policy.keys) == ALL, shard
        assert policy.organizations[ORG].state is OrganizationState.KNOWN, shard
    assert {policy.keys[token.id].digest for token in TOKENS} == {a_key(token).digest for token in TOKENS}


@settings(deadline=None, max_examples=40)
@given(st.permutations(list(spread())))
def test_in_any_order_every_step_is_a_policy_and_the_last_has_every_key(order: list[str]) -> None:
    held, messages = one_bucket(), spread()
    policy = read_policy(held)
    for shard in order:
        held = {**held, shard: (NEXT, messages[shard])}
        policy = read_policy(held, previous=policy)
    assert set(policy.keys) == ALL
    assert policy.is_complete


def test_a_key_that_is_in_two_buckets_is_taken_from_the_one_it_belongs_to() -> None:
    token = TOKENS[0]
    home = bucket_of(token.id, BUCKETS)
    held: dict[str, tuple[ShardVersion, Message]] = {**shards(), "global": (NEXT, a_listing(BUCKETS))}
    for number in range(BUCKETS):
        keys = [a_key(token, name="new" if number == home else "old")] if number in (home, 0) else []
        held[f"org/{ORG}/keys/{number}"] = (NEXT, pb.KeyShard(keys=keys))
    assert read_policy(held).keys[token.id].name == "new"


def test_a_key_in_two_buckets_that_belongs_to_neither_is_refused() -> None:
    token = next(token for token in TOKENS if bucket_of(token.id, BUCKETS) == 3)
    held: Shards = {
        **shards(),
        "global": (NEXT, a_listing(BUCKETS)),
        **{
            f"org/{ORG}/keys/{number}": (NEXT, pb.KeyShard(keys=[a_key(token)] if number in (1, 2) else []))
            for number in range(BUCKETS)
        },
    }
    with pytest.raises(InvalidSnapshot, match="belongs to neither"):
        read_policy(held)


def test_a_key_of_two_organizations_is_refused() -> None:
    other = "f" * 32
    held: Shards = {
        **shards(keys=[a_key(TOKENS[0])]),
        "global": (NEXT, a_listing(1, ORG, other)),
        f"org/{other}/keys/0": (NEXT, pb.KeyShard(keys=[a_key(TOKENS[0])])),
    }
    with pytest.raises(InvalidSnapshot, match="two organizations"):
        read_policy(held)


def test_buckets_left_from_before_a_restore_let_nobody_in() -> None:
    held: Shards = {
        **one_bucket(),
        "global": (ShardVersion(2, 1), a_listing(1)),
        f"org/{ORG}/keys/0": (ShardVersion(2, 1), pb.KeyShard()),
        f"org/{ORG}/keys/1": (ShardVersion(1, 7), a_bucket(1)),
    }
    assert read_policy(held).keys == {}
