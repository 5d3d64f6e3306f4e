"""Claims, attempts and raw access to a store for the tests of the counters."""

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import hiredis
import msgspec

from data_plane.counters.packing import (
    FURTHER,
    OFFERED,
    SAID_FIRST,
    TOOL_LOOP,
    UNCHECKED,
    Aim,
    PackedClaims,
    bulk,
    command,
    head,
    member_of,
    numbers_of,
)
from data_plane.counters.reference_contents import NOTHING_SEEN, ONE_POD, PodFacts, Seen
from data_plane.counters.scripts import FLOOR, SCRIPTS
from data_plane.policy.claims import SESSION, Amounts, BudgetClaim, Claims, Outage, RateClaim, RateKind, RateUnit
from data_plane.policy.grant import Ask
from switchyard_contract.counters import HEAD_NUMBERS, CountersAnswer, meta_key, read_answer, write_answer
from switchyard_contract.quantity import NanoUsd

ORGANIZATION = "0a" * 16
CENT = 10_000_000
"""Nano-USD."""
USD = 100 * CENT
MINUTE_US = 60_000_000
START_US = 1_700_000_000_000_000


def usd(amount: float) -> NanoUsd:
    return NanoUsd(round(amount * USD))


def a_rate(
    limit: int = 60, *, id: str = "rate", kind: RateKind = RateKind.SLIDING, unit: RateUnit = "requests",
    counter: str = "", burst: int = 0, window_us: int = MINUTE_US, period: str = "", period_end_ms: int = 0,
    candidates: int = 3, is_shadow: bool = False, counts_session: bool = False,
) -> RateClaim:  # fmt: skip
    return RateClaim(
        rule_id=id, rule_name=id, counter=counter + SESSION * counts_session, kind=kind, unit=unit, limit=limit,
        burst=burst,
        window_us=window_us if kind is RateKind.SLIDING else 0, period=period, period_end_ms=period_end_ms,
        candidates=candidates, is_shadow=is_shadow, counts_session=counts_session,
    )  # fmt: skip


def a_budget(
    limit: float | None = 1.0, *, id: str = "budget", counter: str = "", period: str = "0", period_end_ms: int = 0,
    soft: float | None = None, downgrade_at: float | None = None, grace: float = 0, is_strict: bool = True,
    outage: Outage = "bounded", allowance: float = 0, candidates: int = 3, is_shadow: bool = False,
    counts_session: bool = False,
) -> BudgetClaim:  # fmt: skip
    """limit: dollars; None: it only warns."""
    hard = NanoUsd(-1) if limit is None else usd(limit)
    return BudgetClaim(
        budget_id=id, budget_name=id, counter=counter + SESSION * counts_session, period=period,
        period_end_ms=period_end_ms,
        limit=usd(limit or 0), soft=hard if soft is None else usd(soft), hard=hard,
        downgrade_at=NanoUsd(-1) if downgrade_at is None else usd(downgrade_at), grace=usd(grace),
        is_strict=is_strict, outage=outage, allowance=usd(allowance), candidates=candidates, is_shadow=is_shadow,
        counts_session=counts_session,
    )  # fmt: skip


def claims_of(
    *claims: RateClaim | BudgetClaim, generation: int = 0, key_id: str = "key1", organization_id: str = ORGANIZATION
) -> Claims:
    return Claims(
        organization_id=organization_id, key_id=key_id, generation=generation,
        rates=tuple(claim for claim in claims if isinstance(claim, RateClaim)),
        budgets=tuple(claim for claim in claims if isinstance(claim, BudgetClaim)),
        rules_seen=b"", valid_until_ms=0,
    )  # fmt: skip


def amounts(
    expected: float = 0.1, worst: float | None = None, *, calibrated: float | None = None, input_tokens: int = 0,
    output_tokens: int = 0,
) -> Amounts:  # fmt: skip
    worst = expected if worst is None else worst
    calibrated = worst if calibrated is None else calibrated
    return Amounts(usd(expected), usd(calibrated), usd(worst), input_tokens, output_tokens)


def an_ask(
    number: int = 1, first: Amounts | None = None, second: Amounts | None = None, *, attempt: int = 1,
    session_id: str = "", is_tool_loop: bool = False, is_further: bool = False,
) -> Ask:  # fmt: skip
    return Ask(
        exchange_id=f"{number:026d}", attempt=attempt, first=first or amounts(), second=second, session_id=session_id,
        is_tool_loop=is_tool_loop, is_further=is_further,
    )  # fmt: skip


class RawStore:
    """One connection to a store, one command after the other."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self._reader = hiredis.Reader()
        self.send(b"AUTH", (parts.password or "").encode())
        for script in SCRIPTS:
            self.send(b"SCRIPT", b"LOAD", script.text)

    def send(self, *words: bytes) -> object:
        return self.raw(command(*words))

    def raw(self, text: bytes) -> object:
        self._socket.sendall(text)
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        assert not isinstance(reply, hiredis.ReplyError), reply
        return reply

    def close(self) -> None:
        self._socket.close()

    # The scripts, at a time of the test's own.

    def reserve(
        self, claims: Claims, ask: Ask, now_us: int = 0, *, seen: Seen = NOTHING_SEEN, pod: PodFacts = ONE_POD
    ) -> CountersAnswer:
        return self.reserve_together(claims, [ask], now_us, seen=seen, pod=pod)[0]

    def reserve_together(
        self, claims: Claims, asks: Sequence[Ask], now_us: int = 0, *, seen: Seen = NOTHING_SEEN,
        pod: PodFacts = ONE_POD,
    ) -> list[CountersAnswer]:  # fmt: skip
        """Have several ask in one call; of one session."""
        return self._reserve(claims, [(ask, _flags(ask, OFFERED)) for ask in asks], now_us, seen, pod)

    def register(self, claims: Claims, ask: Ask, candidate: int, now_us: int = 0, pod: PodFacts = ONE_POD) -> None:
        flags = UNCHECKED | _flags(ask, 0) | (candidate == 2) * OFFERED
        self._reserve(claims, [(ask, flags)], now_us, NOTHING_SEEN, pod)

    def _reserve(
        self, claims: Claims, asks: Sequence[tuple[Ask, int]], now_us: int, seen: Seen, pod: PodFacts
    ) -> list[CountersAnswer]:
        wanted = sum(1 << place for place in pod.wanted)
        told = (seen.generation, seen.sequence, pod.pod_id, pod.live_pods, wanted, now_us)
        words = [
            (member_of(ask), flags, *numbers_of(ask.first), *(numbers_of(ask.second) if ask.second else ()))
            for ask, flags in asks
        ]
        reply = self.raw(aim_of(claims, asks[0][0]).reserve(told, words))
        assert isinstance(reply, list)
        return [read_answer(each[SAID_FIRST.size :]) for each in reply]

    def lay(self, step: tuple[str, str, int], floors: Sequence[tuple[str, int]]) -> object:
        """Raise floors; step: of an organization's whole books, or empty."""
        words = [*step, *(number for _, posted in floors for number in (posted, 0))]
        keys = [meta_key(ORGANIZATION), *(key for key, _ in floors)]
        return self.raw(head(FLOOR, keys, len(words)) + b"".join(bulk(str(word).encode()) for word in words))

    def settle(
        self, claims: Claims, ask: Ask, answer: CountersAnswer, cost: int, input_tokens: int, output_tokens: int,
        now_us: int = 0, *, flags: int = 1, pod_id: str = "pod",
    ) -> int:  # fmt: skip
        settled = settled_of(ask, answer, cost, input_tokens, output_tokens, flags=flags)
        (gave,) = self.settle_together(claims, ask.session_id, [settled], now_us, pod_id=pod_id)
        return gave

    def settle_together(
        self,
        claims: Claims,
        session_id: str,
        settled: Sequence[Sequence[str | int]],
        now_us: int = 0,
        *,
        pod_id: str = "pod",
    ) -> list[int]:
        """Settle several in one call; of one session."""
        reply = self.raw(PackedClaims(claims).aim(session_id).settle((pod_id, now_us), settled))
        assert isinstance(reply, bytes)
        return [int(digit) for digit in reply.decode()]

    def extend(self, claims: Claims, ask: Ask, more: Amounts) -> object:
        expected, calibrated, worst, *_ = numbers_of(more)
        told = (member_of(ask), ask.is_tool_loop * TOOL_LOOP, expected, calibrated, worst)
        return self.raw(aim_of(claims, ask).extend(told))

    def held(self, key: str) -> dict[str, dict[str, tuple[int, int]]]:
        """Give what each attempt holds of each budget: expected, and as the budget bounds it."""
        members = self.send(b"HKEYS", key.encode())
        assert isinstance(members, list)
        held = {}
        for member in members:
            # The stored answer is binary, which a reader of text would stumble over.
            script = (
                b"local h = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1])) h[1] = '' return cmsgpack.pack(h)"
            )
            reply = self.send(b"EVAL", script, b"1", key.encode(), member)
            assert isinstance(reply, bytes)
            _, _, *rows, _ = msgspec.msgpack.decode(reply)
            held[member.decode()] = {
                name: (e, s) for name, e, s in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
            }  # fmt: skip
        return held

    def numbers(self, key: str) -> dict[str, int]:
        """Give a budget's hash."""
        reply = self.send(b"HGETALL", key.encode())
        assert isinstance(reply, list)
        return {name.decode(): int(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}


def _flags(ask: Ask, offered: int) -> int:
    return (ask.second is not None) * offered | ask.is_tool_loop * TOOL_LOOP | ask.is_further * FURTHER


def settled_of(
    ask: Ask, answer: CountersAnswer, cost: int, input_tokens: int, output_tokens: int, *, flags: int = 1
) -> tuple[str | int, ...]:
    """A settlement as the script takes it."""
    charged = ask.second if answer.candidate == 2 and ask.second is not None else ask.first
    counted = write_answer(answer)[HEAD_NUMBERS - 1]
    return (
        member_of(ask), cost, input_tokens, output_tokens, charged.input_tokens, charged.output_tokens, counted, flags,
    )  # fmt: skip


def aim_of(claims: Claims, ask: Ask) -> Aim:
    return PackedClaims(claims).aim(ask.session_id)
