"""Random histories that are told to a reference and to a real store at once; both must say and keep the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from hypothesis import strategies as st

from data_plane.counters.packing import micro_near, organization_keys, rate_name
from data_plane.counters.reference import Reference
from data_plane.counters.reference_contents import DONE_SPAN_MS, DONE_SPANS, PodFacts, Purse, Seen, know
from data_plane.counters.renewing import renewal_of
from data_plane.policy.claims import BudgetClaim, Claims, RateClaim, RateKind
from data_plane.policy.grant import Ask, Spent
from switchyard_contract.counters import CountersAnswer, Verdict
from switchyard_contract.quantity import NanoUsd
from tests.data_plane.counters.builders import (
    ORGANIZATION,
    START_US,
    RawStore,
    a_budget,
    a_rate,
    amounts,
    an_ask,
    claims_of,
    settled_of,
)

START_MS = START_US // 1000
PERIOD_END_MS = START_MS + 400_000
EARLIER = str(START_MS - 1_000)

_SHADOW = st.booleans()
_CANDIDATES = st.sampled_from((1, 2, 3))
_SLIDING: st.SearchStrategy[RateClaim] = st.one_of(
    st.builds(
        a_rate, st.integers(1, 7), id=st.just("calls"), burst=st.integers(0, 3), candidates=_CANDIDATES,
        is_shadow=_SHADOW, counts_session=st.booleans(),
    ),
    st.builds(
        a_rate, st.sampled_from((997, 10_000)), id=st.just("tokens"), unit=st.just("tokens"),
        burst=st.sampled_from((0, 500)), is_shadow=_SHADOW,
    ),
)  # fmt: skip
_PERIODIC: st.SearchStrategy[RateClaim] = st.builds(
    a_rate, st.integers(0, 6), id=st.just("daily"), kind=st.just(RateKind.PERIOD), period=st.just(EARLIER),
    period_end_ms=st.just(PERIOD_END_MS), unit=st.just("requests"), is_shadow=_SHADOW, candidates=_CANDIDATES,
)  # fmt: skip
_DAILY_TOKENS: st.SearchStrategy[RateClaim] = st.builds(
    a_rate, st.integers(0, 3_000), id=st.just("daily-out"), kind=st.just(RateKind.PERIOD), period=st.just("0"),
    unit=st.just("output_tokens"), is_shadow=_SHADOW,
)  # fmt: skip
_SLOTS: st.SearchStrategy[RateClaim] = st.builds(
    a_rate, st.integers(0, 3), id=st.just("slots"), kind=st.just(RateKind.CONCURRENT), is_shadow=_SHADOW
)
RATES = st.lists(
    st.one_of(_SLIDING, _PERIODIC, _DAILY_TOKENS, _SLOTS), max_size=3, unique_by=lambda claim: claim.rule_id
)
_DOLLARS = st.floats(0, 1).map(lambda amount: round(amount, 7))


@st.composite
def _budget(draw: st.DrawFn) -> BudgetClaim:
    limit = draw(st.one_of(st.none(), _DOLLARS.map(lambda amount: amount * 2)))
    is_timed = draw(st.booleans())
    return a_budget(
        limit,
        id=draw(st.sampled_from(("one", "two", "three"))) + ("-timed" if is_timed else ""),
        period=EARLIER if is_timed else "0",
        period_end_ms=PERIOD_END_MS if is_timed else 0,
        soft=None if limit is None else limit * draw(st.sampled_from((1.0, 0.8))),
        downgrade_at=draw(st.one_of(st.none(), _DOLLARS)),
        grace=draw(st.sampled_from((0, 0.3))),
        is_strict=draw(st.booleans()),
        allowance=draw(st.sampled_from((0, 0.5))),
        candidates=draw(_CANDIDATES),
        is_shadow=draw(_SHADOW),
        counts_session=draw(st.booleans()),
    )


CLAIMS = st.builds(
    lambda rates, budgets, generation: claims_of(*rates, *budgets, generation=generation),
    RATES,
    st.lists(_budget(), max_size=4, unique_by=lambda claim: claim.budget_id),
    st.sampled_from((0, 0, 0, 0, 1)),
)
_TOKENS = st.integers(0, 700)
AMOUNTS = st.builds(
    lambda expected, more, most, read, written: amounts(
        expected, expected + more + most, calibrated=expected + more, input_tokens=read, output_tokens=written
    ),
    _DOLLARS, _DOLLARS, _DOLLARS, _TOKENS, _TOKENS,
)  # fmt: skip
ASKS = st.builds(
    an_ask, st.integers(1, 40), AMOUNTS, st.one_of(st.none(), AMOUNTS), attempt=st.integers(1, 2),
    session_id=st.sampled_from(("", "s1", "s/2")), is_tool_loop=st.booleans(), is_further=st.booleans(),
)  # fmt: skip


@dataclass(slots=True)
class _Running:
    claims: Claims
    ask: Ask
    answer: CountersAnswer


@dataclass(slots=True)
class TwoStores:
    """A reference and a real store, at the same time of their own."""

    store: RawStore
    reference: Reference = field(default_factory=Reference)
    now_us: int = START_US
    running: list[_Running] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.store.send(b"FLUSHALL")

    def pass_by(self, span_us: int) -> None:
        self.now_us += span_us

    def reserve(self, claims: Claims, ask: Ask, pod: PodFacts) -> CountersAnswer:
        return self.reserve_together(claims, [ask], pod)[0]

    def reserve_together(self, claims: Claims, asks: Sequence[Ask], pod: PodFacts) -> list[CountersAnswer]:
        """Have several ask at once; of one session."""
        expected = self.reference.reserve_together(claims, asks, self.now_us, seen=self.seen, pod=pod)
        told = self.store.reserve_together(claims, asks, self.now_us, seen=self.seen, pod=pod)
        assert told == expected, (told, expected)
        for ask, answer in zip(asks, expected, strict=True):
            # The same attempt under other claims has the first answer; a pod does not do that.
            if answer.verdict is Verdict.ADMITTED and all(_member(each.ask) != _member(ask) for each in self.running):
                self.running.append(_Running(claims, ask, answer))
                self.seen = max(self.seen, Seen(answer.generation, answer.sequence), key=lambda it: it.sequence)
        return expected

    def settle(self, running: _Running, spent: Spent, *, may_post_unheld: bool, pod_id: str | None) -> int:
        claims, ask, answer = running.claims, running.ask, running.answer
        expected = self.reference.settle(
            claims, ask, answer, spent, self.now_us, may_post_unheld=may_post_unheld, from_allowance_of=pod_id
        )
        flags = may_post_unheld | (pod_id is not None) << 1
        cost = micro_near(spent.cost)
        told = self.store.settle(
            claims, ask, answer, cost, spent.input_tokens, spent.output_tokens, self.now_us, flags=flags,
            pod_id=pod_id or "",
        )  # fmt: skip
        assert told == expected, (told, expected)
        return expected

    def settle_together(self, spent: Spent, *, may_post_unheld: bool) -> None:
        """Settle, in one call, all that are of the first one's claims and session; the first one twice."""
        first = self.running[0]
        some = [each for each in self.running if each.claims is first.claims]
        some = [each for each in [*some, first] if each.ask.session_id == first.ask.session_id]
        expected = [
            self.reference.settle(
                each.claims, each.ask, each.answer, spent, self.now_us, may_post_unheld=may_post_unheld
            )
            for each in some
        ]
        cost, flags = micro_near(spent.cost), int(may_post_unheld)
        settled = [
            settled_of(each.ask, each.answer, cost, spent.input_tokens, spent.output_tokens, flags=flags)
            for each in some
        ]
        told = self.store.settle_together(first.claims, first.ask.session_id, settled, self.now_us)
        assert told == expected, (told, expected)

    def extend(self, running: _Running, more: Spent) -> None:
        wanted = amounts(more.cost / 1e9, more.cost / 1e9 + 0.1)
        expected = self.reference.extend(running.claims, running.ask, wanted)
        assert self.store.extend(running.claims, running.ask, wanted) == expected

    def renew(self, running: _Running) -> None:
        expected = self.reference.renew(running.claims, running.ask, self.now_us)
        told = self._renew([running], most=0)
        assert (told[4:] == []) is expected

    def reap(self) -> None:
        expected = self.reference.reap(ORGANIZATION, self.now_us, 100)
        assert self._renew([], most=100)[3] == expected

    def _renew(self, running: list[_Running], most: int) -> list[int]:
        held = [
            (
                f"{each.ask.exchange_id}:{each.ask.attempt}",
                [
                    rate_name(ORGANIZATION, rate, each.ask.session_id)
                    for rate in each.claims.rates
                    if rate.kind is RateKind.CONCURRENT
                ],
            )
            for each in running
        ]
        # Generation 0 is known from the first admission on; before it there is nothing to renew.
        reply = self.store.raw(renewal_of(ORGANIZATION, held, generation=0, seen=(-1, 0), most=most, at_us=self.now_us))
        assert isinstance(reply, list)
        know(self.reference.of(ORGANIZATION).contents, 0, Seen())
        return reply

    def raise_floor(self, key: str, posted: int) -> None:
        expected = self.reference.raise_floors([(key, posted)])
        told = self.store.lay(("", "", 0), [(key, posted)])
        assert told == expected, (told, expected)

    def revoke(self, key_id: str) -> None:
        self.reference.of(ORGANIZATION).revoked.add(key_id)
        self.store.send(b"SADD", organization_keys(ORGANIZATION)[0].encode(), key_id.encode())

    def lose_everything(self) -> None:
        self.store.send(b"FLUSHALL")
        self.reference = Reference()

    def register(self, running: _Running) -> None:
        self.reference.register(running.claims, running.ask, running.answer.candidate, self.now_us)
        self.store.register(running.claims, running.ask, running.answer.candidate, self.now_us)

    # What they hold.

    def compare(self) -> None:
        there, here = self.kept_by_store(), self.kept_by_reference()
        assert there == here, {
            name: (there.get(name), here.get(name)) for name in {*there, *here} if there.get(name) != here.get(name)
        }

    def kept_by_reference(self) -> dict[str, object]:
        reference, now_ms = self.reference, self.now_us // 1000
        kept: dict[str, object] = {}
        for key, purse in reference.purses.items():
            if purse != Purse():
                kept[key] = _purse(purse)
        kept |= reference.arrivals_us
        kept |= {key: used for key, used in reference.used.items() if used}
        for key, slots in reference.slots.items():
            live = {member: end_ms for member, end_ms in slots.items() if end_ms > now_ms}
            if live:
                kept[key] = live
        ours = reference.of(ORGANIZATION)
        for member, hold in ours.holds.items():
            kept[f"held:{member}"] = (hold.amounts, hold.due_ms)
        kept |= {f"done:{member}": span for member, span in ours.done.items() if self._is_remembered(span)}
        return kept

    def kept_by_store(self) -> dict[str, object]:
        kept: dict[str, object] = {}
        now_ms = self.now_us // 1000
        keys = self.store.send(b"KEYS", b"*")
        assert isinstance(keys, list)
        readers: dict[bytes, Callable[[bytes], object]] = {b"b": self._purse_of, b"r": self._rate_of}
        for key in keys:
            kind = key[:1]
            if kind in readers and key[1:2] == b":":
                kept[key.decode()] = readers[kind](key)
            elif key.startswith(b"done:") and self._is_remembered(int(key.rpartition(b":")[2])):
                members, span = self.store.send(b"SMEMBERS", key), int(key.rpartition(b":")[2])
                assert isinstance(members, list)
                for member in members:
                    # One that asked again and was settled again is remembered twice.
                    name = f"done:{member.decode()}"
                    kept[name] = max(span, cast(int, kept.get(name, 0)))
        for name in ("b", "r"):
            for key_text in [key for key in kept if key.startswith(f"{name}:")]:
                value = kept[key_text]
                if isinstance(value, dict) and name == "r":
                    value = {member: end_ms for member, end_ms in value.items() if end_ms > now_ms}
                    kept[key_text] = value
                if not value:
                    del kept[key_text]
        _, _, held_key, due_key = organization_keys(ORGANIZATION)
        for member, amounts_held in self.store.held(held_key).items():
            due = self.store.send(b"ZSCORE", due_key.encode(), member.encode())
            assert isinstance(due, bytes)
            kept[f"held:{member}"] = (amounts_held, int(due))
        return kept

    def _is_remembered(self, span: int) -> bool:
        """A real store forgets by its own clock."""
        return self.now_us // 1000 // DONE_SPAN_MS - span <= DONE_SPANS

    def _purse_of(self, key: bytes) -> dict[str, int]:
        return {name: value for name, value in self.store.numbers(key.decode()).items() if value}

    def _rate_of(self, key: bytes) -> object:
        if self.store.send(b"TYPE", key) in (b"string", "string"):
            text = self.store.send(b"GET", key)
            assert isinstance(text, bytes)
            return int(text)
        rows = self.store.send(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")
        assert isinstance(rows, list)
        return {member.decode(): int(end) for member, end in zip(rows[::2], rows[1::2], strict=True)}


def _member(ask: Ask) -> tuple[str, int]:
    return ask.exchange_id, ask.attempt


def _purse(purse: Purse) -> dict[str, int]:
    named = {"p": purse.posted, "e": purse.expected, "s": purse.worst, "o": purse.issued}
    return {
        name: value for name, value in {**named, **{f"o:{pod}": left for pod, left in purse.left_of.items()}}.items()
        if value
    }  # fmt: skip


SPENT = st.builds(Spent, st.integers(0, 2_000_000_000).map(NanoUsd), input_tokens=_TOKENS, output_tokens=_TOKENS)
