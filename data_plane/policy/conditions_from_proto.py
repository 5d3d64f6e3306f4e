"""From messages to what rules of every kind are made of: conditions, periods, what is counted by, amounts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from data_plane.policy.globs import Globs, globs_of
from data_plane.policy.periods import Periods
from data_plane.policy.rules import Condition
from data_plane.policy.snapshot import InvalidSnapshot
from switchyard_contract.counters import PER, PER_METADATA
from switchyard_contract.quantity import NANO_PER_USD
from switchyard_contract.v1 import snapshot_pb2 as pb

ROLES = frozenset({"owner", "admin", "finance", "auditor", "team_lead", "member"})
KINDS = frozenset({"user", "service_account"})
UNITS = frozenset({"minute", "hour", "day", "week", "month", "quarter", "lifetime"})
MAX_NAMES = 1_000
"""In one list of a rule."""
MAX_EXACT = 2**53
"""The counter store's numbers are exact up to here: micro-USD, tokens, requests."""

MAX_MONEY = 900_000_000 * NANO_PER_USD
"""Ten times as much, the farthest that a line can lie, is still exact in micro-USD."""


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may refer to."""

    teams: frozenset[str]
    users: frozenset[str]
    service_accounts: frozenset[str]


def read_conditions(where: str, messages: Iterable[pb.Condition], known: Known) -> tuple[Condition, ...]:
    read = tuple(read_condition(f"{where}[{place}]", each, known) for place, each in enumerate(messages))
    for place, condition in enumerate(read):
        if condition.parts == 0:
            raise InvalidSnapshot(f"{where}[{place}]", "says nothing, and would take every exchange out")
    return read


def read_condition(where: str, message: pb.Condition, known: Known) -> Condition:
    for subject in message.subjects:
        _check_subject(f"{where}.subjects", subject, known)
    for match in message.metadata:
        if not match.key or not match.values:
            raise InvalidSnapshot(f"{where}.metadata", "has a key or its values missing")
    metadata = [
        (match.key, globs)
        for match in message.metadata
        if (globs := read_globs(f"{where}.metadata[{match.key}]", match.values)) is not None
    ]
    return Condition(
        subjects=frozenset(message.subjects),
        models=read_globs(f"{where}.models", message.models),
        metadata=tuple(metadata),
        clients=read_globs(f"{where}.clients", message.clients),
        protocols=frozenset(message.protocols),
        hours=_read_hours(f"{where}.hours", message.hours) if message.HasField("hours") else None,
        hours_text=message.hours.text,
    )


def _check_subject(where: str, subject: str, known: Known) -> None:
    kind, _, value = subject.partition(":")
    match kind:
        case "team":
            is_known = value in known.teams
        case "user":
            is_known = value in known.users
        case "service_account":
            is_known = value in known.service_accounts
        case "role":
            is_known = value in ROLES
        case "kind":
            is_known = value in KINDS
        case "key":
            # Keys travel in shards of their own.
            is_known = bool(value)
        case "organization":
            is_known = not value
        case _:
            raise InvalidSnapshot(where, f"{subject!r} is no subject")
    if not is_known:
        raise InvalidSnapshot(where, f"{subject!r} refers to nothing")


def _read_hours(where: str, message: pb.Hours) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for place, span in enumerate(message.spans):
        if span.end_ms <= span.start_ms or (spans and span.start_ms < spans[-1][1]):
            raise InvalidSnapshot(f"{where}.spans[{place}]", "ends before it begins, or begins inside the one before")
        spans.append((span.start_ms, span.end_ms))
    return tuple(spans)


def read_periods(where: str, message: pb.Periods) -> Periods:
    unit = message.unit or "lifetime"
    if unit not in UNITS:
        raise InvalidSnapshot(f"{where}.unit", f"{unit!r} is no period")
    starts = tuple(message.starts_ms)
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise InvalidSnapshot(f"{where}.starts_ms", "do not ascend")
    if message.fixed_ms < 0 or (message.fixed_ms and starts):
        raise InvalidSnapshot(f"{where}.fixed_ms", "is negative, or stands beside instants")
    if (unit == "lifetime") != (not starts and not message.fixed_ms):
        raise InvalidSnapshot(f"{where}.unit", f"is {unit!r}, which does not go with the instants that are given")
    return Periods(starts, message.fixed_ms, message.anchor_ms, message.timezone or "UTC", unit)


def read_per(where: str, per: Sequence[str]) -> tuple[str, ...]:
    for what in per:
        if what not in PER and (not what.startswith(PER_METADATA) or what == PER_METADATA):
            raise InvalidSnapshot(where, f"{what!r} is nothing to count by")
    if len(set(per)) != len(per):
        raise InvalidSnapshot(where, "names one thing twice")
    return tuple(per)


def read_globs(where: str, texts: Sequence[str]) -> Globs | None:
    if not texts:
        return None
    if len(texts) > MAX_NAMES:
        raise InvalidSnapshot(where, f"holds {len(texts)} names; {MAX_NAMES} are allowed")
    if not all(texts):
        raise InvalidSnapshot(where, "holds an empty name")
    try:
        return globs_of(tuple(texts))
    except ValueError as failure:
        raise InvalidSnapshot(where, str(failure)) from failure


def check_money(where: str, amount: int) -> None:
    if amount < 0:
        raise InvalidSnapshot(where, "is negative")
    if amount > MAX_MONEY:
        raise InvalidSnapshot(where, "is more than can be counted exactly")


def check_exact(where: str, number: int) -> None:
    if number >= MAX_EXACT:
        raise InvalidSnapshot(where, "is too large to be counted exactly")
