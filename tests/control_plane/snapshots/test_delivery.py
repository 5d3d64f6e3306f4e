"""What is owed to one pod, whatever happens on the way."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from control_plane.snapshots.delivery import ACK_TIMEOUT_S, Delivery, Head
from switchyard_contract.seal import ShardVersion

V1, V2, V3 = (ShardVersion(1, number) for number in (1, 2, 3))


def head(at: ShardVersion, content: bytes = b"") -> Head:
    return Head(at, content or str(at.version).encode())


def test_what_the_pod_holds_is_not_sent_again() -> None:
    delivery = Delivery({"global": head(V2), "org/a/policy": head(V1)})
    heads = {"global": head(V2), "org/a/policy": head(V2)}
    assert delivery.confirm(heads) == ["global"]
    assert delivery.confirm(heads) == []
    assert delivery.due(heads) == ["org/a/policy"]


def test_equal_numbers_with_other_content_do_not_count_as_held() -> None:
    delivery = Delivery({"global": head(V2, b"before the restore")})
    heads = {"global": head(V2)}
    assert delivery.confirm(heads) == []
    assert delivery.due(heads) == ["global"]


def test_while_one_is_in_flight_newer_ones_wait_and_only_the_newest_follows() -> None:
    delivery = Delivery({})
    delivery.sent("global", V1, b"n1", 0.0)
    assert delivery.due({"global": head(V2)}) == []
    assert delivery.due({"global": head(V3)}) == []
    assert delivery.acknowledged("global", b"n1") == V1
    assert delivery.due({"global": head(V3)}) == ["global"]


def test_a_refused_version_is_not_offered_again_but_the_next_one_is() -> None:
    delivery = Delivery({})
    delivery.sent("global", V1, b"n1", 0.0)
    assert delivery.refused("global", b"n1") == V1
    assert delivery.due({"global": head(V1)}) == []
    assert delivery.due({"global": head(V2)}) == ["global"]


def test_an_answer_to_nothing_is_nothing() -> None:
    delivery = Delivery({})
    delivery.sent("global", V1, b"n1", 0.0)
    assert delivery.acknowledged("global", b"other") is None
    assert delivery.acknowledged("org/a/policy", b"n1") is None
    assert delivery.due({"global": head(V1)}) == []


def test_a_pod_that_does_not_answer_is_overdue() -> None:
    delivery = Delivery({})
    assert (delivery.next_deadline_s(), delivery.overdue(1e9)) == (None, None)
    delivery.sent("global", V1, b"n1", 5.0)
    assert delivery.next_deadline_s() == 5.0 + ACK_TIMEOUT_S
    assert delivery.overdue(5.0 + ACK_TIMEOUT_S - 0.1) is None
    assert delivery.overdue(5.0 + ACK_TIMEOUT_S) == "global"


def test_a_shard_that_exists_no_more_is_named_once() -> None:
    delivery = Delivery({"org/gone/policy": head(V1)})
    assert delivery.gone({"global": head(V1)}) == ["org/gone/policy"]
    assert delivery.gone({"global": head(V1)}) == []


class AnyStream(RuleBasedStateMachine):
    """Heads move, messages are answered in any order, refused or lost: the pod never gets an older version, at most
    one per shard is in flight, and once all is answered it holds what is in force or has refused exactly that."""

    def __init__(self) -> None:
        super().__init__()
        self.delivery = Delivery({})
        self.heads = {"global": head(V1), "org/a/deny": head(V1)}
        self.flying: dict[bytes, tuple[str, ShardVersion]] = {}
        self.sent: dict[str, ShardVersion] = {}
        self.nonces = 0

    @rule(shard=st.sampled_from(["global", "org/a/deny"]), steps=st.integers(1, 5))
    def publish(self, shard: str, steps: int) -> None:
        self.heads[shard] = head(ShardVersion(1, self.heads[shard].at.version + steps))

    @rule()
    def send(self) -> None:
        for shard in self.delivery.due(self.heads):
            at = self.heads[shard].at
            assert shard not in self.sent or self.sent[shard].is_before(at)
            self.nonces += 1
            nonce = str(self.nonces).encode()
            self.delivery.sent(shard, at, nonce, 0.0)
            self.flying[nonce] = (shard, at)
            self.sent[shard] = at

    @rule(data=st.data(), is_taken=st.booleans())
    def answer(self, data: st.DataObject, is_taken: bool) -> None:
        if not self.flying:
            return
        nonce = data.draw(st.sampled_from(sorted(self.flying)))
        shard, at = self.flying.pop(nonce)
        take = self.delivery.acknowledged if is_taken else self.delivery.refused
        assert take(shard, nonce) == at
        assert take(shard, nonce) is None

    @invariant()
    def at_most_one_is_in_flight(self) -> None:
        shards = [shard for shard, _ in self.flying.values()]
        assert len(shards) == len(set(shards))
        assert not set(self.delivery.due(self.heads)) & set(shards)

    @invariant()
    def whatever_is_answered_is_owed_or_newest(self) -> None:
        owed = set(self.delivery.due(self.heads))
        for shard, current in self.heads.items():
            if shard not in owed and shard not in {name for name, _ in self.flying.values()}:
                assert self.sent[shard] == current.at


TestAnyStream = AnyStream.TestCase
TestAnyStream.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(st.sampled_from(["org/a/deny", "global", "org/a/policy", "org/a/keys/0"]), unique=True))
def test_everything_that_is_owed_is_sent_in_a_fixed_order(shards: list[str]) -> None:
    due = Delivery({}).due({shard: head(V1) for shard in shards})
    assert due == [shard for shard in ("org/a/deny", "org/a/policy", "global", "org/a/keys/0") if shard in shards]
