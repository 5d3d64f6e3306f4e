"""What an exchange asks of the store, as bytes: everything lasting once per claims, only a few numbers per exchange."""

import math
import sys
from collections.abc import Sequence
from struct import Struct

import msgspec

from data_plane.counters.scripts import EXTEND, RESERVE, SETTLE, Script
from data_plane.policy.claims import REQUEST, Amounts, BudgetClaim, Claims, RateClaim, RateKind, counter_for
from data_plane.policy.grant import Ask, Denial
from switchyard_contract.counters import MICRO, budget_key, meta_key, rate_key
from switchyard_contract.quantity import NanoUsd

_UNITS = {"requests": 1, "tokens": 2, "input_tokens": 3, "output_tokens": 4}
OFFERED, TOOL_LOOP, FURTHER, UNCHECKED = 1, 2, 4, 8
"""Flags of what is asked."""
POST_UNHELD, FROM_ALLOWANCE = 1, 2
"""Flags of a settlement."""
NO_AMOUNTS = (0, 0, 0, 0, 0)
Reserved = tuple[int, int, int, int, int]
"""Expected, calibrated and worst in micro-USD; input and output tokens."""
Numbers = Sequence[str | int]
"""What a script is told of one attempt, in its own order."""
SAID_FIRST = Struct(">BBbx4Q")
"""What stands before an answer of `reserve.lua`: verdict, candidate, index, claims that count it, generation, sequence,
and what is posted to the budget that the index names."""
_MAX_AIMS = 64
MAX_EARLY_US = 250_000
"""How early one may come of a rate that lets in one at a time, at most: what networks and timers make of a pace."""
_ANY_REQUEST = bytes.fromhex("9c1f04e7b25dd38a")
"""Stands for the digest of a request until there is one. Digests are of one length, and so are names of counters that
differ in nothing else: a request is put into the bytes that are there instead of writing them anew."""
_encode = msgspec.msgpack.Encoder().encode


class Aim:
    """Claims of one session, ready to be sent; where no claim counts by session there is one for all."""

    __slots__ = (
        "budget_keys",
        "claims",
        "denial",
        "denied_at_s",
        "denied_until_s",
        "extend_head",
        "is_issued",
        "lasting",
        "lasting_bulk",
        "lines",
        "organization_id",
        "rate_keys",
        "reserve_head",
        "settle_head",
        "slots",
    )

    def __init__(self, claims: Claims, lasting: bytes, session: str, digest: bytes) -> None:
        organization_id = claims.organization_id
        self.claims = claims
        self.organization_id = organization_id
        self.lasting = lasting
        self.rate_keys = tuple(rate_name(organization_id, claim, session, digest) for claim in claims.rates)
        self.budget_keys = tuple(budget_name(organization_id, claim, session) for claim in claims.budgets)
        keys = (*organization_keys(organization_id), *self.rate_keys, *self.budget_keys)
        self.lasting_bulk = bulk(lasting)
        self.reserve_head = head(RESERVE, keys, 2) + self.lasting_bulk
        self.extend_head = head(EXTEND, keys, 2) + self.lasting_bulk
        self.settle_head = head(SETTLE, (*keys, f"done:{{{organization_id}}}"), 2) + self.lasting_bulk
        self.slots = tuple(
            key for claim, key in zip(claims.rates, self.rate_keys, strict=True) if claim.kind is RateKind.CONCURRENT
        )
        self.lines = tuple(
            (claim.hard + claim.grace) // MICRO if claim.hard >= 0 else sys.maxsize for claim in claims.budgets
        )
        """Of each budget: what nothing but a new period or a raise leads back from, once more is posted; micro-USD."""
        self.is_issued = not any(gives_allowance(claim) for claim in claims.budgets)
        """This pod knows what it was given of every allowance."""
        self.denial: Denial | None = None
        """A no that nothing but time can change, until `denied_until_s`."""
        self.denied_at_s = self.denied_until_s = 0.0

    def of_request(self, digest: bytes) -> "Aim":
        """The same for one request. What was found out of this session stays behind; it is found out again."""
        here, there = _ANY_REQUEST.hex(), digest.hex()
        head_here, head_there = here.encode(), there.encode()
        aim = Aim.__new__(Aim)
        aim.claims, aim.organization_id = self.claims, self.organization_id
        aim.lasting, aim.lasting_bulk = self.lasting, self.lasting_bulk
        aim.rate_keys = tuple([key.replace(here, there) for key in self.rate_keys])
        aim.budget_keys, aim.slots, aim.lines = self.budget_keys, self.slots, self.lines
        aim.reserve_head = self.reserve_head.replace(head_here, head_there)
        aim.extend_head = self.extend_head.replace(head_here, head_there)
        aim.settle_head = self.settle_head.replace(head_here, head_there)
        aim.is_issued, aim.denial = self.is_issued, None
        aim.denied_at_s = aim.denied_until_s = 0.0
        return aim

    def claim(self, index: int) -> RateClaim | BudgetClaim:
        """Give the claim that an answer's index names."""
        rates = self.claims.rates
        return rates[index] if index < len(rates) else self.claims.budgets[index - len(rates)]

    def reserve(self, told: Numbers, asks: Sequence[Numbers]) -> bytes:
        """Ask for attempts. told: what is the same for all of them; asks: what each is."""
        return _ended(self.reserve_head, _encode((*told, *asks)))

    def extend(self, asked: Numbers) -> bytes:
        return _ended(self.extend_head, _encode(asked))

    def settle(self, told: Numbers, settled: Sequence[Numbers]) -> bytes:
        return _ended(self.settle_head, _encode((*told, *settled)))


class PackedClaims:
    """Claims in the form in which the store takes them."""

    __slots__ = ("_aims", "_by_request", "_lasting", "claims", "is_empty", "whole")

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self.is_empty = not claims.rates and not claims.budgets
        self._lasting = lasting_of(claims)
        by_session = any(claim.counts_session for claim in all_claims(claims))
        self._by_request = any(REQUEST in claim.counter for claim in claims.rates)
        self.whole = None if by_session or self.is_empty else Aim(claims, self._lasting, "", b"")
        """One for all; None: there is one for each session, or nothing to ask."""
        self._aims: dict[tuple[str, bytes], Aim] = {}

    def aim(self, session_id: str, request_digest: bytes = b"") -> Aim:
        """Give the claims as they are for a session, and for a request where one counts its repeats."""
        if self.whole is not None:
            return self.whole
        if not self._by_request:
            return self._known(session_id, b"") or self._keep(session_id, b"", self._write(session_id, b""))
        aim = self._known(session_id, request_digest)
        if aim is None:
            if len(request_digest) != len(_ANY_REQUEST):
                return self._write(session_id, request_digest)
            plain = self._known(session_id, _ANY_REQUEST)
            if plain is None:
                plain = self._keep(session_id, _ANY_REQUEST, self._write(session_id, _ANY_REQUEST))
            aim = self._keep(session_id, request_digest, plain.of_request(request_digest))
        return aim

    def _known(self, session_id: str, digest: bytes) -> Aim | None:
        return self._aims.get((session_id, digest))

    def _keep(self, session_id: str, digest: bytes, aim: Aim) -> Aim:
        if len(self._aims) >= _MAX_AIMS:
            del self._aims[next(iter(self._aims))]
        self._aims[session_id, digest] = aim
        return aim

    def _write(self, session_id: str, digest: bytes) -> Aim:
        return Aim(self.claims, self._lasting, session_id, digest)


def all_claims(claims: Claims) -> tuple[RateClaim | BudgetClaim, ...]:
    """Rates, then budgets: the order in which answers speak of them."""
    return (*claims.rates, *claims.budgets)


def organization_keys(organization_id: str) -> tuple[str, str, str, str]:
    """The names that every script about exchanges starts with."""
    tag = f"{{{organization_id}}}"
    return f"rev:{tag}", meta_key(organization_id), f"held:{tag}", f"due:{tag}"


def rate_name(organization_id: str, claim: RateClaim, session_id: str, request_digest: bytes = b"") -> str:
    return rate_key(organization_id, claim.rule_id, claim.period, _counter(claim, session_id, request_digest))


def budget_name(organization_id: str, claim: BudgetClaim, session_id: str) -> str:
    return budget_key(organization_id, claim.budget_id, claim.period, _counter(claim, session_id))


def _counter(claim: RateClaim | BudgetClaim, session_id: str, request_digest: bytes = b"") -> str:
    return counter_for(claim.counter, session_id, request_digest) if claim.counts_session else claim.counter


def gives_allowance(claim: BudgetClaim) -> bool:
    """Whether pods are issued a part of what may be spent while the counters are away."""
    return claim.outage == "bounded" and claim.allowance > 0 and not claim.is_shadow


def lasting_of(claims: Claims) -> bytes:
    """Write what is the same for every exchange, as `reserve.lua` explains it."""
    return _encode(lasting_numbers(claims))


def lasting_numbers(claims: Claims) -> list[str | int]:
    periods = [(claim.period, claim.period_end_ms) for claim in all_claims(claims)]
    ends = [end_ms for _, end_ms in periods if end_ms > 0]
    numbers: list[str | int] = [
        claims.key_id,
        claims.generation,
        max((int(period) for period, _ in periods if period), default=0),
        min(ends, default=0),
        len(claims.rates),
        len(claims.budgets),
    ]
    for rate in claims.rates:
        numbers += _rate_numbers(rate)
    for budget in claims.budgets:
        numbers += _budget_numbers(budget)
    numbers.append(claims.model)
    return numbers


def _rate_numbers(claim: RateClaim) -> tuple[int, int, int, int]:
    flags = claim.candidates | claim.is_shadow << 2 | claim.kind << 3 | _UNITS[claim.unit] << 5
    if claim.kind is not RateKind.SLIDING:
        return flags, max(0, claim.limit), claim.period_end_ms, claim.idle_ms
    return flags, *sliding_of(claim)


def sliding_of(claim: RateClaim) -> tuple[int, int, int]:
    """Give limit, window (us) and burst (us) of a sliding rate; of one that lets nothing through, such that nothing
    fits."""
    if claim.limit <= 0 or claim.window_us <= 0:
        return 1, 1, 0
    return claim.limit, claim.window_us, burst_us(claim)


def burst_us(claim: RateClaim) -> int:
    """How far ahead of now a sliding rate may run: so many at once. At least one, or nothing would ever pass."""
    burst = max(1, claim.burst or claim.limit)
    if claim.unit == "requests":
        pace_us = math.ceil(claim.window_us / claim.limit)
        # One at a time and evenly offered: without this, whoever is a moment early waits for the next turn, and a
        # quarter of the rate is lost. The schedule is kept, so no more pass in the long run.
        early_us = min(pace_us // 5, MAX_EARLY_US) if burst == 1 else 0
        return burst * pace_us + early_us
    return math.ceil(burst * claim.window_us / claim.limit)


def _budget_numbers(claim: BudgetClaim) -> tuple[int, int, int, int, int, int, int]:
    flags = claim.candidates | claim.is_shadow << 2 | claim.is_strict << 3 | gives_allowance(claim) << 4
    has_line = claim.hard >= 0
    return (
        flags,
        claim.soft // MICRO if has_line else -1,
        claim.hard // MICRO if has_line else -1,
        micro_up(claim.downgrade_at) if claim.downgrade_at >= 0 else -1,
        max(0, claim.grace) // MICRO,
        max(0, claim.allowance) // MICRO,
        claim.period_end_ms or -claim.idle_ms,
    )


def micro_up(amount: NanoUsd) -> int:
    """Money as the store keeps it, never less than it is."""
    return -(-amount // MICRO)


def micro_near(amount: NanoUsd) -> int:
    """Money as the store keeps it, for what was really spent."""
    return (amount + MICRO // 2) // MICRO


def numbers_of(amounts: Amounts | None) -> Reserved:
    """Amounts as `reserve.lua` takes them; a bound below what it bounds is raised to it. Raises ValueError where one is
    negative."""
    if amounts is None:
        return NO_AMOUNTS
    expected, calibrated, worst = amounts.expected, amounts.calibrated, amounts.worst
    input_tokens, output_tokens = amounts.input_tokens, amounts.output_tokens
    if expected < 0 or input_tokens < 0 or output_tokens < 0:
        raise ValueError("an amount that is negative")
    if not expected <= calibrated <= worst:
        calibrated = max(expected, calibrated)
        worst = max(calibrated, worst)
    return -(-expected // MICRO), -(-calibrated // MICRO), -(-worst // MICRO), input_tokens, output_tokens


def member_of(ask: Ask) -> str:
    return f"{ask.exchange_id}:{ask.attempt}"


def encode_numbers(numbers: Numbers) -> bytes:
    return _encode(numbers)


def _ended(beginning: bytes, told: bytes) -> bytes:
    return b"%b$%d\r\n%b\r\n" % (beginning, len(told), told)


def head(script: Script, keys: Sequence[str], arguments: int) -> bytes:
    """Write the beginning of an EVALSHA: everything up to its keys."""
    count = len(keys)
    parts = [b"*%d\r\n$7\r\nEVALSHA\r\n" % (3 + count + arguments), bulk(script.sha), bulk(b"%d" % count)]
    return b"".join((*parts, *(bulk(key.encode()) for key in keys)))


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def command(*words: bytes) -> bytes:
    """Write a command whole."""
    return b"*%d\r\n%b" % (len(words), b"".join(map(bulk, words)))
