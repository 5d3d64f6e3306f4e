"""How many exchanges ran at once, by hours: of an organization as a whole, and of whoever in it ran most of them.

A counter of a budget sees no more at once than those it counts for, so a peak says what a bound in dollars may rest on
(docs/decisions/0117-the-bound-in-dollars.md). Read from the ledger once an hour; nothing is added to the booking.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from control_plane.usage.models import PeakHour

KEPT = timedelta(days=14)
CLOSED_AFTER = timedelta(minutes=10)
"""What ran in an hour is in the ledger by then, nearly always."""
LONGEST = timedelta(hours=1)
"""What runs longer is not seen in the hours after its second one."""
MOST_HOURS_AT_ONCE = 48
HOUR = timedelta(hours=1)

# An attempt counts once, however often it was priced anew. Ends come before beginnings of the same instant.
_PEAKS = """
WITH ran AS (
  SELECT DISTINCT ON (day, exchange_id, attempt)
         organization_id, team_id, principal_id, key_id, started_at,
         started_at + duration_us * interval '1 microsecond' AS ended_at
  FROM usage_ledger
  WHERE day BETWEEN %(first_day)s AND %(last_day)s AND started_at >= %(since)s AND started_at < %(until)s
    AND kind IN ('final', 'counted', 'estimated') AND outcome <> 'refused' AND duration_us > 0
), edges AS (
  SELECT organization_id, whose.kind, edge.at,
         sum(edge.step) OVER (
           PARTITION BY organization_id, whose.kind, whose.id ORDER BY edge.at, edge.step ROWS UNBOUNDED PRECEDING
         ) AS running
  FROM ran
  CROSS JOIN LATERAL (VALUES
    ('organization', ''), ('team', team_id::text), ('principal', principal_id::text), ('key', key_id)
  ) AS whose (kind, id)
  CROSS JOIN LATERAL (VALUES (started_at, 1), (ended_at, -1)) AS edge (at, step)
  WHERE whose.id IS NOT NULL
)
SELECT organization_id, kind, max(running) FROM edges WHERE at >= %(hour)s AND at < %(until)s GROUP BY 1, 2
"""


def peaks_measure(*, now: datetime) -> int:
    """Read the hours that closed and were not read yet, and forget old ones; says how many hours were read."""
    closed = (now - CLOSED_AFTER).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    newest = PeakHour.objects.aggregate(newest=Max("hour"))["newest"]
    hour = closed - MOST_HOURS_AT_ONCE * HOUR
    if newest is not None:
        hour = max(hour, newest + HOUR)
    read = 0
    while hour < closed:
        _read(hour)
        hour, read = hour + HOUR, read + 1
    PeakHour.objects.filter(hour__lt=now - KEPT).delete()
    return read


@transaction.atomic
def _read(hour: datetime) -> None:
    since, until = hour - LONGEST, hour + HOUR
    # The day of a row is that of its admission, which is a little before it began.
    days = {"first_day": (since - LONGEST).date(), "last_day": until.date()}
    with connection.cursor() as cursor:
        cursor.execute(_PEAKS, {"hour": hour, "since": since, "until": until, **days})
        rows = cursor.fetchall()
    PeakHour.objects.bulk_create(
        [PeakHour(organization_id=row[0], whose=row[1], hour=hour, peak=row[2]) for row in rows], ignore_conflicts=True
    )


def peaks_of(organization_id: UUID) -> Mapping[str, int]:
    """The most that ran at once in the days kept: of the organization, and of any one team, principal or key."""
    rows = PeakHour.objects.filter(organization_id=organization_id, hour__gte=timezone.now() - KEPT)
    return dict(rows.values_list("whose").annotate(peak=Max("peak")))
