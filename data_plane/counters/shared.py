"""Rates and budgets that all pods share: the exchange's `Counters`, over one connection to the store.

What is decided there is explained by `reference.py`; what is decided while it is away by `alone.py`.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from data_plane.counters.alone import PodAlone
from data_plane.counters.connection import Patience, RoundTrips, StoreLink
from data_plane.counters.crowds import Asking, Decision, Waiting
from data_plane.counters.denials import deny, repeat
from data_plane.counters.floors import Book, Floor, Floors
from data_plane.counters.packing import (
    FROM_ALLOWANCE,
    FURTHER,
    OFFERED,
    POST_UNHELD,
    SAID_FIRST,
    TOOL_LOOP,
    Aim,
    PackedClaims,
    encode_numbers,
    gives_allowance,
    member_of,
    micro_near,
    numbers_of,
)
from data_plane.counters.recorded import settlement_of
from data_plane.counters.renewing import Renewing
from data_plane.counters.running import Contents, Running
from data_plane.counters.settling import Settlement, Settlements
from data_plane.counters.standing import Standing, read_standing
from data_plane.policy.claims import FIRST, Amounts, BudgetClaim, Claims, RateClaim, RateKind
from data_plane.policy.grant import NOTHING_SPENT, Ask, Denial, Grant, Refused, Restart, Spent
from switchyard_contract.counters import HEAD_NUMBERS, Verdict, answer_of, learning_word, write_answer
from switchyard_contract.v1.usage_pb2 import UsageEvent

log = structlog.get_logger()

_ADMITTED, _DENIED = int(Verdict.ADMITTED), int(Verdict.DENIED)
_decode_answer = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_RESEND_EVERY_S = 0.25


class CounterMeters(RoundTrips, Protocol):
    """What an operator wants to know of the counters."""

    def decided_alone(self, rule: str, is_admitted: bool) -> None: ...
    def dropped_settlements(self, count: int) -> None: ...


class SharedCounters:
    """One per pod; `run` belongs to its life."""

    def __init__(
        self,
        url: str,
        *,
        pod_id: str,
        maker: str = "",
        live_pods: Callable[[], int],
        meters: CounterMeters,
        patience: Patience | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        """maker: the pod and its spool's run, as holds name them (`holds.maker_text`). live_pods: as the control plane
        last said. Raises ValueError when the URL is none of a counter store."""
        self._maker, self._live_pods, self._meters = maker or pod_id, live_pods, meters
        self._clock_s, self._now_us = clock_s, now_us
        self.link = StoreLink(url, round_trips=meters, patience=patience)
        self._settlements = Settlements(self.link, clock_s, meters.dropped_settlements, pod_id)
        self._floors = Floors(self.link)
        self._alone = PodAlone()
        self._running: dict[str, Running] = {}
        self._contents: defaultdict[str, Contents] = defaultdict(Contents)
        self._renewing = Renewing(self.link, self._maker, self._running, self._contents, self._lost)
        self._asking: dict[Aim, Asking] = {}
        """Calls that others may still join."""
        self._calls = 0
        """Of those that ask, on their way."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ahead_ms = 0
        self.link.on_up(self._store_is_up)

    # What the operator is told.

    @property
    def is_up(self) -> bool:
        """Whether the store decides, as far as it can be asked."""
        return self.link.is_up

    @property
    def learning(self) -> frozenset[str]:
        """Organizations whose counters were lost or went back, until the policy names a new generation."""
        return frozenset(name for name, contents in self._contents.items() if contents.lost_at >= 0)

    @property
    def degraded(self) -> tuple[str, ...]:
        """Words for /readyz and the fleet page; `counters_learning:<organization>:<generation lost>` asks for the books
        and for a new generation."""
        words = [] if self.is_up else ["counters_unreachable"]
        if self.link.may_evict:
            words.append("counters_may_be_evicted")
        return (*words, *(learning_word(name, self._contents[name].lost_at) for name in sorted(self.learning)))

    @property
    def unsettled(self) -> int:
        """Settlements that the store has not acknowledged yet."""
        return len(self._settlements)

    @property
    def in_flight(self) -> int:
        return len(self._running)

    # The exchange's `Counters`.

    @property
    def now_ms(self) -> int:
        """By the store's clock, where it is known to be in another period than this pod's."""
        return self._now_us() // 1000 + self._ahead_ms

    def pack(self, claims: Claims) -> PackedClaims:
        return PackedClaims(claims)

    def reserve(self, packed: object, ask: Ask) -> "asyncio.Future[Decision]":
        """Decide about one attempt and count it, all or nothing, in one round trip. See `withdraw`."""
        assert isinstance(packed, PackedClaims), "claims are packed by the same counters"
        if self._loop is None:
            # Kept, since to ask for it is a system call.
            self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Decision] = self._loop.create_future()
        aim = packed.whole
        if aim is None:
            if packed.is_empty:
                answer.set_result(Grant(ask, packed.claims, FIRST, b""))
                return answer
            aim = packed.aim(ask.session_id, ask.request_digest)
        if aim.denial is not None and (repeated := repeat(aim, ask, self._clock_s())) is not None:
            answer.set_result(repeated)
            return answer
        flags = ask.is_tool_loop * TOOL_LOOP | ask.is_further * FURTHER
        if ask.second is None:
            one = Waiting(ask, member_of(ask), flags, numbers_of(ask.first), (), answer)
        else:
            both = numbers_of(ask.first), numbers_of(ask.second)
            one = Waiting(ask, member_of(ask), flags | OFFERED, *both, answer)
        asking = self._asking.get(aim)
        if asking is not None:
            asking.join(one)
        elif not self._begin(one, aim):
            answer.set_result(self._decide_alone(aim, ask))
        return answer

    def withdraw(self, answer: "Awaitable[Decision]") -> None:
        """Give back what was reserved, if it was: who asked is gone."""
        assert isinstance(answer, asyncio.Future), "it was asked of these counters"
        # While nobody knows yet what there is, it is given back with the answer.
        if answer.cancel() or answer.cancelled() or answer.exception() is not None:
            return
        if isinstance(grant := answer.result(), Grant):
            self.settle(grant, NOTHING_SPENT)

    def _begin(self, first: Waiting, aim: Aim) -> bool:
        """Begin a call that others may join. False: the store cannot be asked, or has lost what it counted."""
        contents = self._contents[aim.organization_id]
        contents.wanted = generation = aim.claims.generation
        if generation <= contents.lost_at:
            return False
        wanted = 0 if aim.is_issued else self._unissued(aim)
        told = (contents.generation, contents.sequence, self._maker, self._live_pods(), wanted, 0)
        asking = Asking(
            first, aim, told, open_calls=self._asking, hurry=self.link.hurry, take=self._take_answers
        )  # fmt: skip
        self._calls += 1
        if self.link.ask_together(asking):
            return True
        self._calls -= 1
        asking.close()
        return False

    async def extend(self, grant: Grant, amounts: Amounts) -> bool:
        """Have a running attempt's reservation be this much from now on."""
        running = self._running.get(grant.member)
        if running is None:
            return True
        aim, numbers = running.aim, numbers_of(amounts)
        told = (grant.member, grant.ask.is_tool_loop * TOOL_LOOP, *numbers[:3])
        answer = self.link.ask(aim.extend(told)) if not grant.degraded else None
        reply = await answer if answer is not None else None
        if reply == 0:
            return False
        if reply is None and not self._alone.spend_more(aim, running.numbers[1:3], numbers[1:3]):
            return False
        running.numbers = (*numbers[:3], *running.numbers[3:])
        if reply == 2:
            self._renewing.register(running)
        return True

    def settle(self, grant: Grant, spent: Spent) -> None:
        """Replace a reservation by the truth and free its slots."""
        running = self._running.pop(grant.member, None)
        if running is None:
            return
        aim = running.aim
        for slot in aim.slots:
            self._alone.leave(slot)
        flags, input_tokens, output_tokens = POST_UNHELD, spent.input_tokens, spent.output_tokens
        _, _, _, charged_input, charged_output = running.numbers
        if grant.degraded:
            # What was let in here was charged here: there is nothing to correct there.
            charged_input, charged_output = input_tokens, output_tokens
            if grant.degraded == "bounded":
                self._alone.settled(aim, running.numbers[1:3], spent.cost)
                flags |= FROM_ALLOWANCE
        told = (
            grant.member, micro_near(spent.cost), input_tokens, output_tokens, charged_input, charged_output,
            grant.counted, flags,
        )  # fmt: skip
        self._settlements.send(Settlement(aim, told))

    async def standing(
        self, organization_id: str, rates: Iterable[RateClaim], budgets: Iterable[BudgetClaim], session_id: str = ""
    ) -> Standing | None:
        """Where counters stand, for people; nothing is counted. None: the store is away."""
        return await read_standing(
            self.link, organization_id, rates, budgets, session_id=session_id, now_us=self._now_us()
        )

    def settle_recorded(self, event: UsageEvent, *, was_cut: bool) -> None:
        """Settle an attempt of a process before this one, from its event in the spool."""
        settlement = settlement_of(event, self._now_us() // 1000, was_cut=was_cut)
        if settlement is not None:
            self._settlements.send(settlement)

    def apply_floors(self, floors: Iterable[Floor], book: Book | None = None) -> None:
        """Have posted sums be at least what the books say, in a moment. book: the floors are a page of it."""
        if book is None:
            self._floors.add(floors)
        else:
            self._floors.add_page(book, floors)

    # Life.

    async def run(self) -> None:
        """Keep up the connection, leases and what is still to be told, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            tasks.create_task(self._renewing.run())
            tasks.create_task(self._resend_on())

    async def settled(self) -> None:
        """Return when the store has every settlement; at the end of a drain, with a timeout."""
        while self.unsettled or self._calls:
            self._settlements.send_waiting()
            await asyncio.sleep(0.02)

    # Answers.

    def _take_answers(self, aim: Aim, waiting: Sequence[Waiting], replies: Sequence[object]) -> None:
        """Tell each what the script said to it."""
        self._calls -= 1
        contents = self._contents[aim.organization_id]
        for one, reply in zip(waiting, replies, strict=True):
            answer, ask = one.answer, one.ask
            try:
                if answer.done():
                    # Cancelled: whoever asked has left.
                    self._give_back(aim, ask)
                elif isinstance(reply, bytes):
                    answer.set_result(self._take_answer(aim, one, contents, reply))
                else:
                    decided = self._decide_alone(aim, ask)
                    if isinstance(decided, Denial):
                        # The store may have let it in before it fell silent.
                        self._give_back(aim, ask)
                    answer.set_result(decided)
            except Exception as failure:  # A process edge: the connection calls this; others in the call are told too.
                # Nobody knows what it says: what it may have let in does not run.
                self._give_back(aim, ask)
                if not answer.done():
                    answer.set_exception(failure)

    def _take_answer(self, aim: Aim, one: Waiting, contents: Contents, reply: bytes) -> Decision:
        verdict, candidate, fullest, counted, generation, sequence, posted = SAID_FIRST.unpack_from(reply)
        text = reply[SAID_FIRST.size :]
        if verdict <= _DENIED:
            self._see(aim, contents, generation, sequence)
        if verdict != _ADMITTED:
            return self._turn_away(aim, one.ask, contents, verdict, text)
        grant = Grant(one.ask, aim.claims, candidate, text, counted, fullest, posted, "", one.member)
        if not aim.is_issued:
            self._note_issued(aim, grant.numbers)
        for slot in aim.slots:
            self._alone.enter(slot)
        self._running[one.member] = Running(aim, grant, (one.second or one.first) if candidate != FIRST else one.first)
        return grant

    def _see(self, aim: Aim, contents: Contents, generation: int, sequence: int) -> None:
        """Note how far the store's contents are."""
        if contents.lost_at >= 0:
            contents.lost_at = -1
            log.info("counters are whole again", organization=aim.organization_id, generation=generation)
        known = contents.generation
        if generation > known or (generation == known and sequence > contents.sequence):
            contents.generation, contents.sequence = generation, sequence

    def _turn_away(self, aim: Aim, ask: Ask, contents: Contents, verdict: int, text: bytes) -> Decision:
        numbers = _decode_answer(text)
        match verdict:
            case Verdict.DENIED:
                return deny(aim, ask, text, numbers, self._clock_s())
            case Verdict.PERIOD_OVER:
                self._ahead_ms = numbers[5] - self._now_us() // 1000
                return Restart(numbers[5])
            case Verdict.REVOKED:
                return Denial(Refused.REVOKED, None, None, text, answer_of(numbers))
            case Verdict.LEARNING:
                self._lost(aim.organization_id, contents)
                return self._decide_alone(aim, ask)
        raise AssertionError(f"the script said {verdict}")

    def _give_back(self, aim: Aim, ask: Ask) -> None:
        """Settle what may have been reserved and will not run; nothing is posted where it was not."""
        told = (member_of(ask), 0, 0, 0, ask.first.input_tokens, ask.first.output_tokens, -1, 0)
        self._settlements.send(Settlement(aim, told))

    # Alone.

    def _decide_alone(self, aim: Aim, ask: Ask) -> Grant | Denial:
        contents = self._contents[aim.organization_id]
        alone = self._alone.decide(aim, ask, self._now_us(), self._live_pods(), max(0, contents.generation))
        answer = alone.answer
        numbers = write_answer(answer)
        text = encode_numbers(numbers)
        is_admitted = answer.verdict is Verdict.OUTAGE_ADMITTED
        self._meters.decided_alone(alone.degraded, is_admitted)
        if is_admitted:
            counted = numbers[HEAD_NUMBERS - 1]
            grant = Grant(ask, aim.claims, FIRST, text, counted, degraded=alone.degraded, member=member_of(ask))
            for slot in aim.slots:
                self._alone.enter(slot)
            self._running[grant.member] = Running(aim, grant, numbers_of(ask.first))
            return grant
        claim = aim.claim(answer.index)
        if not isinstance(claim, RateClaim):
            refused = Refused.UNAVAILABLE
        else:
            refused = Refused.CONCURRENCY if claim.kind is RateKind.CONCURRENT else Refused.RATE
        return Denial(refused, claim, answer.retry_after_ms, text, answer, alone.degraded)

    def _unissued(self, aim: Aim) -> int:
        """Give the places (bits) of budgets of whose allowance this pod was not told yet."""
        wanted = 0
        for place, (budget, key) in enumerate(zip(aim.claims.budgets, aim.budget_keys, strict=True)):
            if gives_allowance(budget) and not self._alone.knows(key):
                wanted |= 1 << place
        if not wanted:
            aim.is_issued = True
        return wanted

    def _note_issued(self, aim: Aim, numbers: tuple[int, ...]) -> None:
        now_ms = self._now_us() // 1000
        for budget, key, told in zip(aim.claims.budgets, aim.budget_keys, answer_of(numbers).budgets, strict=True):
            if told.was_issued:
                self._alone.issued(key, told.issued, budget.period_end_ms, now_ms)

    # Contents that were lost.

    def _lost(self, organization_id: str, contents: Contents) -> None:
        if contents.lost_at < contents.wanted:
            contents.lost_at = contents.wanted
            log.error(
                "counters were lost or went back; until the books are read in, this pod spends what it was issued",
                organization=organization_id,
                generation=contents.wanted,
            )
            self._renewing.look_around()

    def _store_is_up(self) -> None:
        self._alone.forget_rates()
        self._settlements.send_waiting()
        self._renewing.look_around()

    # What is told again and again.

    async def _resend_on(self) -> None:
        while True:
            await asyncio.sleep(_RESEND_EVERY_S)
            self._settlements.send_waiting()
            await self._floors.send_waiting()


__all__ = ["NOTHING_SPENT", "CounterMeters", "SharedCounters"]
