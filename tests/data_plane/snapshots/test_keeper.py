"""The keeper: only what verifies is obeyed, and whatever else is offered, the last good version serves on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.policy.snapshot import OrganizationState
from data_plane.snapshots.keeper import Accepted, Denied, Rejected
from switchyard_contract import seal as seal_module
from switchyard_contract.seal import ShardVersion, SigningKey
from switchyard_contract.v1 import delivery_pb2
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.snapshots.builders import (
    DEPLOYMENT,
    ORGANIZATION,
    OTHER,
    PREFIX,
    STRANGER,
    a_keeper,
    deny_shard,
    key_shard,
    listing,
    policy_shard,
    sealed,
    take,
    whole_policy,
)

KEYS = f"{PREFIX}/keys/0"


def code_of(verdict: object) -> str:
    assert isinstance(verdict, Rejected)
    return delivery_pb2.NackCode.Name(verdict.code).removeprefix("NACK_CODE_")


def flipped(offer: pb.SealedShard, part: str) -> pb.SealedShard:
    changed = pb.SealedShard()
    changed.CopyFrom(offer)
    raw = bytearray(getattr(offer, part))
    raw[len(raw) // 2] ^= 1
    setattr(changed, part, bytes(raw))
    return changed


def test_a_pod_is_pending_until_every_promised_shard_is_held() -> None:
    keeper = a_keeper()
    assert (keeper.is_ready, keeper.missing, keeper.policy.is_complete) == (False, frozenset({"global"}), False)
    *most, last = whole_policy(1, "key1")
    take(keeper, *most)
    assert keeper.is_ready
    assert keeper.missing == {f"{PREFIX}/deny"}
    assert keeper.policy.organizations[ORGANIZATION].state is OrganizationState.PENDING
    take(keeper, last)
    assert (keeper.missing, keeper.policy.is_complete) == (frozenset(), True)
    assert "key1" in keeper.policy.keys


def test_shards_may_arrive_before_the_list_that_names_them() -> None:
    keeper = a_keeper()
    take(keeper, *reversed(whole_policy(1, "key1")))
    assert keeper.policy.is_complete


def test_a_disabled_organization_needs_no_shards() -> None:
    keeper = a_keeper()
    take(keeper, sealed("global", listing(ORGANIZATION, disabled=(ORGANIZATION,))))
    assert keeper.missing == frozenset()
    assert keeper.policy.organizations[ORGANIZATION].state is OrganizationState.DISABLED


def oversized() -> pb.SealedShard:
    """Rightly signed by a control plane without a limit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seal_module, "MAX_RAW_BYTES", 1 << 40)
        return sealed(KEYS, bytes(65 * 1024 * 1024), 6)


REFUSED = {
    "corrupted payload": (lambda: flipped(sealed(KEYS, key_shard("a"), 6), "payload"), "DIGEST_MISMATCH"),
    "corrupted signature": (lambda: flipped(sealed(KEYS, key_shard("a"), 6), "signature"), "BAD_SIGNATURE"),
    "header that does not parse": (lambda: pb.SealedShard(header=b"\xff\xff\xff"), "UNREADABLE"),
    "wrongly signed": (lambda: sealed(KEYS, key_shard("a"), 6, key=STRANGER), "BAD_SIGNATURE"),
    "signed by nobody we know": (
        lambda: sealed(KEYS, key_shard("a"), 6, key=SigningKey("k9", bytes(32))),
        "UNKNOWN_SIGNING_KEY",
    ),
    "older": (lambda: sealed(KEYS, key_shard("a"), 4), "ROLLBACK"),
    "of an earlier epoch": (lambda: sealed(KEYS, key_shard("a"), 900, epoch=0), "ROLLBACK"),
    "same version, other content": (lambda: sealed(KEYS, key_shard("b"), 5), "DIGEST_MISMATCH"),
    "of another deployment": (lambda: sealed(KEYS, key_shard("a"), 6, deployment="other"), "WRONG_DEPLOYMENT"),
    "shard without meaning": (lambda: sealed("org/../keys/0", key_shard("a"), 6), "WRONG_SHARD"),
    "policy of another organization": (lambda: sealed(f"{PREFIX}/policy", policy_shard(OTHER), 6), "WRONG_SHARD"),
    "oversized": (oversized, "TOO_LARGE"),
    "payload that is no message": (lambda: sealed(KEYS, b"\xff\xff\xff", 6), "UNREADABLE"),
    "digest of the wrong length": (lambda: sealed(KEYS, key_shard("a", digest=b"short"), 6), "INVALID"),
    "key listed twice": (lambda: sealed(KEYS, key_shard("a", "a"), 6), "INVALID"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_hold_is_refused_by_name_and_the_old_version_stays(what: str) -> None:
    make, code = REFUSED[what]
    keeper = a_keeper()
    take(keeper, *whole_policy(5, "kept"))
    before, have = keeper.policy, keeper.have()
    verdict = take(keeper, make())
    assert code_of(verdict) == code
    assert keeper.policy is before
    assert keeper.have() == have


def test_a_refusal_says_what_was_offered_and_what_runs() -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(5))
    verdict = take(keeper, sealed(KEYS, key_shard("a"), 4))
    assert isinstance(verdict, Rejected)
    assert (verdict.shard, verdict.offered, verdict.running) == (KEYS, ShardVersion(1, 4), ShardVersion(1, 5))
    assert "4 is older than" in verdict.detail


def test_a_lower_version_is_taken_in_a_higher_epoch() -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(5, "old"))
    assert isinstance(take(keeper, sealed(KEYS, key_shard("new"), 2, epoch=2)), Accepted)
    assert set(keeper.policy.keys) == {"new"}


def test_the_same_version_again_is_acknowledged_and_changes_nothing() -> None:
    keeper = a_keeper()
    offers = whole_policy(5, "kept")
    take(keeper, *offers)
    before = keeper.policy
    verdict = take(keeper, offers[2])
    assert isinstance(verdict, Accepted)
    assert verdict.policy is None
    assert keeper.policy is before


def test_a_reader_that_breaks_is_a_refusal_and_not_the_end_of_the_pod() -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(5, "kept"))

    def broken(*_: object) -> object:
        raise KeyError("a bug of ours")

    keeper._build = broken  # type: ignore[assignment]
    verdict = take(keeper, sealed(KEYS, key_shard("a"), 6))
    assert code_of(verdict) == "INVALID"
    assert set(keeper.policy.keys) == {"kept"}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_single_bit_may_be_changed(data: st.DataObject) -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(5, "kept"))
    offer = sealed(KEYS, key_shard("a"), 6)
    part = data.draw(st.sampled_from(["header", "signature", "payload"]))
    raw = bytearray(getattr(offer, part))
    position = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[position // 8] ^= 1 << position % 8
    setattr(offer, part, bytes(raw))
    assert isinstance(take(keeper, offer), Rejected)
    assert set(keeper.policy.keys) == {"kept"}


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(8)), repeats=st.lists(st.integers(0, 7), max_size=6))
def test_any_order_of_delivery_ends_at_the_newest_version(order: list[int], repeats: list[int]) -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(1))
    seen = 0
    for version in [*order, *repeats]:
        take(keeper, sealed(KEYS, key_shard(f"v{version}"), version + 2))
        held = keeper.version_of(KEYS)
        assert held is not None
        assert held.version >= seen
        seen = held.version
    assert set(keeper.policy.keys) == {"v7"}


def test_listeners_hear_what_became_denied_and_only_that() -> None:
    keeper = a_keeper()
    heard: list[Denied] = []
    keeper.on_denied(heard.append)
    take(keeper, *whole_policy(1, "a", "b"))
    take(keeper, sealed(f"{PREFIX}/deny", deny_shard(("a", False)), 2))
    take(keeper, sealed(f"{PREFIX}/deny", deny_shard(("a", True), ("b", True), principals=("p1",)), 3))
    take(keeper, sealed(f"{PREFIX}/deny", deny_shard(("a", True), ("b", True), principals=("p1",)), 4))
    assert heard == [
        Denied(frozenset({"a"}), frozenset(), frozenset()),
        Denied(frozenset({"b"}), frozenset({"a", "b"}), frozenset({"p1"})),
    ]


def test_only_what_the_signed_list_no_longer_has_may_be_forgotten() -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(1, "a"))
    assert not keeper.forget(KEYS)
    assert not keeper.forget("global")
    assert not keeper.forget("org/unknown/policy")
    take(keeper, sealed("global", listing(), 2))
    assert keeper.forget(KEYS)
    assert [each.shard for each in keeper.have()] == ["global", f"{PREFIX}/deny", f"{PREFIX}/policy"]


def test_what_a_pod_has_is_told_with_its_digest() -> None:
    keeper = a_keeper()
    take(keeper, *whole_policy(3))
    have = {each.shard: each for each in keeper.have()}
    assert have.keys() == {"global", f"{PREFIX}/policy", KEYS, f"{PREFIX}/deny"}
    assert (have[KEYS].epoch, have[KEYS].version, len(have[KEYS].payload_sha256)) == (1, 3, 32)
    assert DEPLOYMENT not in str(have)
