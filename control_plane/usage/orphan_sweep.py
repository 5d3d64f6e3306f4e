"""Looks into the counter store for attempts that no pod runs any more, and books their estimates.

Pods move what nobody renewed to `lost:{org}` when they next speak of the organization; where no pod is left to do so,
what is overdue is read from where it is held. Booked is only what the ledger knows nothing of. An entry is removed from
the store after the commit, so a sweep that dies in the middle does the same again. What was never sent is not booked,
and taken back where it was booked before its spool spoke again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import redis
import structlog
from django.db import transaction

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization
from control_plane.usage import entries
from control_plane.usage.aggregation import book_rows, rows_take_back
from control_plane.usage.entries import ORPHAN_ESTIMATED
from control_plane.usage.models import Orphan
from control_plane.usage.never_sent import NOTHING_WAS_SENT, Held, never_sent
from control_plane.usage.orphans import KeyOwner, Lost, orphan_row, read_lost
from switchyard_contract.holds import due_key, held_key, lost_key

log = structlog.get_logger(__name__)

OVERDUE: Final = timedelta(seconds=60)
"""So long after nobody renewed it, what is held counts as lost although no pod has given it back."""
AT_ONCE: Final = 500
ORGANIZATIONS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """booked: estimates really written. unreadable: left where they are, for an operator."""

    booked: int = 0
    known: int = 0
    never_sent: int = 0
    """Not booked, because their spools have spoken since and know nothing of them."""
    unreadable: int = 0
    taken_back: int = 0
    """Estimates of former sweeps."""


def orphans_book(*, store: redis.Redis, now: datetime) -> Swept:
    """Book what is lost, of all organizations. Raises redis.RedisError when the store is away."""
    organizations = list(Organization.objects.values_list("id", flat=True))
    due_before_ms = int((now - OVERDUE).timestamp() * 1000)
    booked = known = never_sent = unreadable = 0
    for some in _some_at_a_time(organizations):
        for organization_id in _with_something_lost(store, some, due_before_ms):
            swept = _sweep(store, organization_id, due_before_ms, now)
            booked, known = booked + swept.booked, known + swept.known
            never_sent, unreadable = never_sent + swept.never_sent, unreadable + swept.unreadable
    return Swept(booked, known, never_sent, unreadable, orphans_take_back(now=now))


@transaction.atomic
def orphans_take_back(*, now: datetime) -> int:
    """Take back estimates of what was never sent, as their spools have said since; returns how many."""
    open_ones = list(Orphan.objects.filter(settled_at=None).exclude(spool="").order_by("estimated_at")[:AT_ONCE])
    unsent = never_sent(Held(one.pod_id, one.spool, one.run, one.exchange_id) for one in open_ones)
    asked = [(one.exchange_id, one.attempt) for one in open_ones if one.exchange_id in unsent]
    if not asked:
        return 0
    reversals = {(row.exchange_id, row.attempt) for row in rows_take_back(asked, kind=ORPHAN_ESTIMATED, now=now)}
    # Where the truth came in this moment, its own booking settles the orphan.
    ids = [one.id for one in open_ones if (one.exchange_id, one.attempt) in reversals]
    Orphan.objects.filter(id__in=ids, settled_at=None).update(settled_at=now, note=NOTHING_WAS_SENT)
    log.info("orphans taken back", count=len(ids))
    return len(ids)


def _with_something_lost(store: redis.Redis, organizations: Iterable[UUID], due_before_ms: int) -> list[UUID]:
    """One round trip for many organizations: nearly always nothing is lost."""
    asked = list(organizations)
    pipeline = store.pipeline(transaction=False)
    for organization_id in asked:
        pipeline.hlen(lost_key(organization_id.hex))
        pipeline.zcount(due_key(organization_id.hex), "-inf", due_before_ms)
    counts = pipeline.execute()
    return [one for one, lost, due in zip(asked, counts[::2], counts[1::2], strict=True) if lost or due]


def _sweep(store: redis.Redis, organization_id: UUID, due_before_ms: int, now: datetime) -> Swept:
    lost, overdue = _lost(store, organization_id), _overdue(store, organization_id, due_before_ms)
    found, unreadable = _read({**overdue, **lost}, organization_id)
    unsent = never_sent(Held(one.hold.pod_id, one.hold.spool, one.hold.run, one.exchange_id) for one in found.values())
    missed = [one for one in found.values() if one.exchange_id not in unsent]
    booked = _book(missed, organization_id, now) if missed else 0
    if done := [member for member in lost if member in found]:
        store.hdel(lost_key(organization_id.hex), *done)
    if booked:
        log.warning("orphans estimated", organization_id=organization_id.hex, count=booked)
    return Swept(booked, len(missed) - booked, len(found) - len(missed), unreadable)


def _lost(store: redis.Redis, organization_id: UUID) -> dict[bytes, bytes]:
    """What pods gave back because nobody renewed it. One page: what is left is seen next time, when these are gone."""
    _, page = store.hscan(lost_key(organization_id.hex), 0, count=AT_ONCE)
    assert isinstance(page, dict)
    return {_bytes(member): _bytes(text) for member, text in page.items()}


def _overdue(store: redis.Redis, organization_id: UUID, due_before_ms: int) -> dict[bytes, bytes]:
    """What no pod was left to give back."""
    due = store.zrangebyscore(due_key(organization_id.hex), "-inf", due_before_ms, start=0, num=AT_ONCE)
    members = [_bytes(member) for member in due]
    if not members:
        return {}
    held = store.hmget(held_key(organization_id.hex), members)
    return {member: _bytes(text) for member, text in zip(members, held, strict=True) if text is not None}


def _bytes(value: object) -> bytes:
    """The client's replies, which it types as whatever it could be set up to give."""
    assert isinstance(value, bytes)
    return value


def _read(texts: Mapping[bytes, bytes], organization_id: UUID) -> tuple[dict[bytes, Lost], int]:
    found = {}
    for member, text in texts.items():
        try:
            found[member] = read_lost(member.decode(errors="replace"), text)
        except ValueError as failure:
            log.error("lost hold cannot be read", organization_id=organization_id.hex, why=str(failure)[:200])
    return found, len(texts) - len(found)


@transaction.atomic
def _book(lost: Iterable[Lost], organization_id: UUID, now: datetime) -> int:
    asked = list(lost)
    # What stays held because no pod is left is seen again and again; the ledger's lock is not for that.
    known = set(
        Orphan.objects.filter(exchange_id__in=[one.exchange_id for one in asked]).values_list("exchange_id", "attempt")
    )
    some = [one for one in asked if (one.exchange_id, one.attempt) not in known]
    if not some:
        return 0
    owners = _owners(organization_id, {one.hold.key_id for one in some})
    written = book_rows([orphan_row(one, organization_id, owners) for one in some], now=now)
    estimated = [row for row in written if row.kind == ORPHAN_ESTIMATED]
    made_by = {(one.exchange_id, one.attempt): {"spool": one.hold.spool[:32], "run": one.hold.run} for one in some}
    Orphan.objects.bulk_create(
        [
            Orphan(
                organization_id=organization_id,
                exchange_id=row.exchange_id,
                attempt=row.attempt,
                pod_id=row.pod_id,
                **made_by[row.exchange_id, row.attempt],
                cost_nano_usd=row.cost_nano_usd,
                estimated_at=now,
            )
            for row in estimated
        ],
        ignore_conflicts=True,
    )
    return len(estimated)


def _owners(organization_id: UUID, key_ids: Iterable[str]) -> dict[str, KeyOwner]:
    keys = VirtualKey.objects.filter(organization_id=organization_id, key_id__in=list(key_ids))
    return {
        key_id: KeyOwner(user_id or service_account_id, entries.USER if user_id else entries.SERVICE_ACCOUNT, team_id)
        for key_id, user_id, service_account_id, team_id in keys.values_list(
            "key_id", "user_id", "service_account_id", "team_id"
        )
    }


def _some_at_a_time(ids: list[UUID]) -> Iterable[list[UUID]]:
    """So many at a time as one round trip asks about."""
    return (ids[start : start + ORGANIZATIONS_AT_ONCE] for start in range(0, len(ids), ORGANIZATIONS_AT_ONCE))
