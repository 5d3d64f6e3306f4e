"""What became of past forecasts: once a period is over and its books are quiet, its end is written to each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from control_plane.forecasts.history import span_sums
from control_plane.forecasts.models import Forecast, UnusualMute, UnusualSpend
from control_plane.usage.models import BudgetSpend
from control_plane.usage.spending import Counter

QUIET_AFTER = timedelta(hours=12)
"""Pods that were cut off report late: so long after its end a period's sum is taken."""
MOST_PER_RUN = 5000
KEPT_FOR = timedelta(days=400)
MUTES_KEPT_FOR = timedelta(days=3)
KEPT_OF_COUNTERS = timedelta(days=130)
"""Forecasts of single people's counters are many; a quarter and some of them is enough for a score."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A period of a subject that is over."""

    organization_id: UUID
    subject_id: UUID
    budget_id: UUID | None
    counter: str
    period_ms: int
    ends_at: datetime

    @property
    def spend_id(self) -> UUID | None:
        """Of the row that holds what was posted; None: an organization has none."""
        if self.budget_id is None:
            return None
        return Counter(self.organization_id, self.budget_id, self.counter, self.period_ms).id


def forecasts_score(*, now: datetime | None = None) -> int:
    """Write the ends of periods that are over to their forecasts; says to how many."""
    now = now or timezone.now()
    waiting = Forecast.objects.filter(scored_at__isnull=True, ends_at__lte=now - QUIET_AFTER)
    names = [one.name for one in fields(_Ended)]
    rows = waiting.order_by("subject_id", "period_ms").values_list(*names).distinct()[:MOST_PER_RUN]
    ended = [_Ended(*row) for row in rows]
    posted = _posted(ended)
    count = 0
    for one in ended:
        rows_of_one = Forecast.objects.filter(
            organization_id=one.organization_id,
            subject_id=one.subject_id,
            period_ms=one.period_ms,
            scored_at__isnull=True,
        )
        count += rows_of_one.update(actual_nano_usd=_actual(one, posted), scored_at=now, curve=None)
    return count


def forecasts_forget(*, now: datetime | None = None) -> int:
    """Let go of what is too old to tell anything."""
    now = now or timezone.now()
    old: list[QuerySet[Forecast] | QuerySet[UnusualSpend] | QuerySet[UnusualMute]] = [
        Forecast.objects.filter(as_of__lt=now - KEPT_FOR),
        Forecast.objects.filter(as_of__lt=now - KEPT_OF_COUNTERS).exclude(counter=""),
        UnusualSpend.objects.filter(day__lt=(now - KEPT_FOR).date()),
        # Their last day is judged until the day after it is over.
        UnusualMute.objects.filter(last_day__lt=(now - MUTES_KEPT_FOR).date()),
    ]
    return sum(rows.delete()[0] for rows in old)


def _posted(ended: Sequence[_Ended]) -> dict[UUID, int]:
    ids = [one.spend_id for one in ended if one.spend_id is not None]
    rows = BudgetSpend.objects.filter(id__in=ids, organization_id__in={one.organization_id for one in ended})
    return dict(rows.values_list("id", "posted_nano_usd"))


def _actual(one: _Ended, posted: Mapping[UUID, int]) -> int:
    if one.spend_id is not None:
        return posted.get(one.spend_id, 0)
    start = datetime.fromtimestamp(one.period_ms / 1000, UTC)
    return sum(sums[0] for sums in span_sums(one.organization_id, (), [(start, one.ends_at)]).values())
