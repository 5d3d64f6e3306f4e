"""Finds days on which a person or service account spent far more than on such days before, and keeps what people
thought of them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.forecasts.history import DaySums, day_sums
from control_plane.forecasts.listening import tell_of_unusual_spend
from control_plane.forecasts.matching import Grain
from control_plane.forecasts.models import FindingState, UnusualSpend
from control_plane.forecasts.series import History
from control_plane.forecasts.services.mutes import muted_until
from control_plane.forecasts.unusual import LEAST_NANO_USD, Judgement, judge_day
from control_plane.organizations.models import Organization
from control_plane.usage.closing import closed_until

UTC_ZONE = ZoneInfo("UTC")
MOST_FINDINGS = 200
"""A day on which everybody is unusual says something else."""

_MOST = (
    "SELECT team_id, model, session_id, sum(cost_nano_usd)::bigint FROM usage_ledger"
    " WHERE organization_id = %s AND principal_id = %s AND counted_at >= %s AND counted_at < %s"
)
_NEAR = " AND day >= %s AND day <= %s"
# What came so late that its month was closed counts on the day on which it came.
_LATE = " AND counted_at <> started_at AND day < %s AND day <= %s"
_GROUPED = " GROUP BY 1, 2, 3"


@dataclass(frozen=True, slots=True)
class _Found:
    principal_id: UUID
    principal_kind: str
    day: date
    spent: int
    judged: Judgement


@dataclass(frozen=True, slots=True)
class _Most:
    """What a day's spend was mostly made of."""

    team_id: UUID | None = None
    model: str = ""
    model_nano_usd: int = 0
    session_id: str = ""
    session_nano_usd: int = 0


def unusual_find(*, organization: Organization, now: datetime | None = None) -> int:
    """Judge today so far and yesterday for everybody who spent; says how many findings stand."""
    now = now or timezone.now()
    sums = day_sums(organization.id, UTC_ZONE, ("principal_id", "principal_kind"), now=now)
    found = sorted(_found(sums), key=lambda one: -one.spent)[:MOST_FINDINGS]
    rows = [_row(organization.id, one, _most(organization.id, one), now) for one in found]
    with transaction.atomic():
        muted = muted_until(organization.id)
        for row in rows:
            last_day = muted.get(row.principal_id)
            row.muted_at = now if last_day is not None and row.day <= last_day else None
        UnusualSpend.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["organization_id", "principal_id", "day"],
            # What people said of it stays, whether it is told, and when it was found.
            update_fields=[
                "spent_nano_usd",
                "usual_nano_usd",
                "line_nano_usd",
                "compared",
                "compared_days",
                "team_id",
                "model",
                "model_nano_usd",
                "session_id",
                "session_nano_usd",
                "updated_at",
            ],
        )
        # Read again: what stood already kept its id, and what people said of it.
        days = {(row.principal_id, row.day) for row in rows}
        standing = UnusualSpend.objects.filter(organization_id=organization.id, day__in={day for _, day in days})
        tell_of_unusual_spend([row for row in standing if (row.principal_id, row.day) in days])
    return len(rows)


def unusual_decide(*, finding: UnusualSpend, state: str, by: Actor, now: datetime | None = None) -> UnusualSpend:
    """Mark a finding as seen, as nothing, or as open again. Raises ValidationError for another state.

    Must run in a transaction: it is a change like any other.
    """
    if state not in FindingState.values:
        raise ValidationError({"state": f"Right: {', '.join(FindingState.values)}."})
    if state == finding.state:
        return finding
    before, is_open = finding.state, state == FindingState.OPEN
    finding.state = FindingState(state)
    finding.decided_by = "" if is_open else by.name[:254]
    finding.decided_at = None if is_open else (now or timezone.now())
    finding.save(update_fields=["state", "decided_by", "decided_at", "updated_at"])
    record_change(
        organization_id=finding.organization_id,
        actor=by,
        action="unusual_spend.decided",
        subject=Subject("unusual_spend", finding.id.hex, f"{finding.day} {finding.principal_id.hex}"),
        before={"state": before},
        after={"state": state},
    )
    return finding


def _found(sums: DaySums) -> list[_Found]:
    grains: dict[tuple[UUID, str], list[Grain]] = defaultdict(list)
    for grain in sums.days:
        if grain.principal_id is not None:
            grains[grain.principal_id, grain.principal_kind].append(grain)
    found = []
    for (principal_id, kind), of_one in grains.items():
        history = sums.history(of_one)
        yesterday = history.days[-1].nano_usd if history.days else 0
        before = History.of(history.today - timedelta(days=1), history.days[:-1]) if history.days else history
        for past, spent in ((history, history.today_nano_usd), (before, yesterday)):
            if spent < LEAST_NANO_USD:
                continue
            judged = judge_day(past, spent)
            if judged is not None and judged.is_unusual:
                found.append(_Found(principal_id, kind, past.today, spent, judged))
    return found


def _row(organization_id: UUID, one: _Found, most: _Most, now: datetime) -> UnusualSpend:
    return UnusualSpend(
        organization_id=organization_id,
        principal_id=one.principal_id,
        principal_kind=one.principal_kind,
        team_id=most.team_id,
        day=one.day,
        spent_nano_usd=one.spent,
        usual_nano_usd=one.judged.usual,
        line_nano_usd=one.judged.line,
        compared=one.judged.compared,
        compared_days=one.judged.days,
        model=most.model,
        model_nano_usd=most.model_nano_usd,
        session_id=most.session_id,
        session_nano_usd=most.session_nano_usd,
        found_at=now,
        updated_at=now,
    )


def _most(organization_id: UUID, one: _Found) -> _Most:
    """Read the rows of that one day of that one principal; there are few findings."""
    since, before = datetime.combine(one.day, time(), UTC), one.day - timedelta(days=1)
    whose: tuple[UUID | datetime, ...] = (organization_id, one.principal_id, since, since + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute(_MOST + _NEAR + _GROUPED, [*whose, before, one.day + timedelta(days=1)])
        rows = cursor.fetchall()
        closed = closed_until(organization_id)
        if closed is not None:
            cursor.execute(_MOST + _LATE + _GROUPED, [*whose, before, closed.date()])
            rows += cursor.fetchall()
    teams, models, sessions = (_sums(rows, place) for place in range(3))
    model, session = _dearest(models), _dearest({key: value for key, value in sessions.items() if key})
    team = _dearest(teams)
    return _Most(
        team[0] if team is not None and isinstance(team[0], UUID) else None,
        *((str(model[0] or "")[:200], model[1]) if model else ("", 0)),
        *((str(session[0])[:200], session[1]) if session else ("", 0)),
    )


def _sums(rows: list[tuple[object, ...]], place: int) -> dict[object, int]:
    found: dict[object, int] = defaultdict(int)
    for row in rows:
        found[row[place]] += int(str(row[3]))
    return found


def _dearest(sums: Mapping[object, int]) -> tuple[object, int] | None:
    return max(sums.items(), key=lambda pair: pair[1], default=None)
