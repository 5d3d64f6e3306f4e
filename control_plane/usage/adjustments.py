"""Corrections of money by people: a credit, a fee that no event tells, a difference to the provider's invoice.

An adjustment is a row of the ledger like any other, counted in roll-ups and statements at its own instant; it is no
exchange, so it counts no request and no token, and belongs to no counter of a budget.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.organizations.models import Organization, ServiceAccount, Team
from control_plane.usage import entries, ulid
from control_plane.usage.aggregation import book_rows
from control_plane.usage.closing import closed_until
from control_plane.usage.entries import LedgerRow
from control_plane.usage.ledger_lock import lock_ledger
from control_plane.usage.models import Adjustment
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd, usd_text

MOST_USD = 1_000_000
LONGEST_NOTE = 500
LABEL = "adjustment"
"""What stands in place of an operation and a model, so that every table that groups by these shows it as such."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be corrected. counts_at: an instant of a month that is open; None: now."""

    amount: NanoUsd
    note: str
    team: Team | None = None
    principal: User | ServiceAccount | None = None
    counts_at: datetime | None = None


@transaction.atomic
def adjustment_create(
    *, organization: Organization, correction: Correction, actor: Actor, now: datetime | None = None
) -> Adjustment:
    """Book a correction. team and principal are the organization's. Raises ValidationError by field.

    It cannot be changed; whoever was wrong books the opposite.
    """
    now = now or timezone.now()
    at = correction.counts_at or now
    # Shared is enough: closing takes the lock alone.
    lock_ledger(is_exclusive=False)
    _check(organization, correction, at, now)
    principal = correction.principal
    made = Adjustment.objects.create(
        organization_id=organization.id,
        exchange_id=ulid.ulid_of(at, secrets.randbits(80)),
        cost_nano_usd=correction.amount,
        team_id=None if correction.team is None else correction.team.id,
        principal_id=None if principal is None else principal.id,
        principal_kind=_kind_of(principal),
        note=correction.note.strip(),
        counted_at=at,
        created_at=now,
        created_by=actor.name[:200],
    )
    book_rows([_row_of(made)], now=now)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="adjustment.create",
        subject=Subject("adjustment", made.id.hex, f"{usd_text(correction.amount)} USD"),
        after={
            "cost_nano_usd": made.cost_nano_usd,
            "team": None if correction.team is None else correction.team.name,
            "principal": None if principal is None else str(principal),
            "note": made.note,
            "counted_at": at.isoformat(),
        },
    )
    return made


def _check(organization: Organization, correction: Correction, at: datetime, now: datetime) -> None:
    wrong: dict[str, list[str]] = {}
    if not 0 < abs(correction.amount) <= MOST_USD * NANO_PER_USD:
        wrong["amount_usd"] = [f"Between -{MOST_USD:,} and {MOST_USD:,} dollars, and not 0."]
    if not correction.note.strip() or len(correction.note) > LONGEST_NOTE or "\x00" in correction.note:
        wrong["note"] = [f"Say why, in at most {LONGEST_NOTE} characters; it is shown on the statement."]
    closed = closed_until(organization.id)
    if at > now + timedelta(minutes=1):
        wrong["counts_at"] = ["That is still to come. Right: an instant up to now."]
    elif closed is not None and at < closed:
        wrong["counts_at"] = [f"That month is closed. Right: {closed:%Y-%m-%d} or later."]
    elif at < now - timedelta(days=366):
        wrong["counts_at"] = ["That is more than a year ago. Right: within the last year."]
    if wrong:
        raise ValidationError(wrong)


def _kind_of(principal: User | ServiceAccount | None) -> str:
    if principal is None:
        return ""
    return entries.USER if isinstance(principal, User) else entries.SERVICE_ACCOUNT


def _row_of(made: Adjustment) -> LedgerRow:
    known: dict[str, Any] = {
        "day": ulid.day_of(made.exchange_id),
        "exchange_id": made.exchange_id,
        "kind": entries.ADJUSTMENT,
        "outcome": entries.SERVED,
        "reason": made.note[:200],
        "organization_id": made.organization_id,
        "principal_id": made.principal_id,
        "principal_kind": made.principal_kind,
        "team_id": made.team_id,
        "operation": LABEL,
        "requested_model": LABEL,
        "model": LABEL,
        "started_at": made.counted_at,
        "counted_at": made.counted_at,
        "cost_nano_usd": made.cost_nano_usd,
    }
    return LedgerRow(**{**entries.BLANK, **known})
