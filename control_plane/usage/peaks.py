"""How many exchanges ran at once, by hours: of an organization as a whole, and of whoever in it ran most of them.

A counter of a budget sees no more at once than those it counts for, so a peak says what a bound in dollars may rest on
(docs/decisions/0117-the-bound-in-dollars.md). Read from the ledger once an hour; nothing is added to the booking.

An exchange's id begins with the instant at which it started, so the ledger's own key has rows in the order of their
beginnings. They are read along it, and only what is running is held: time grows with the rows of an hour, memory with
what runs at once.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from control_plane.usage import ulid
from control_plane.usage.models import PeakHour

KEPT = timedelta(days=14)
CLOSED_AFTER = timedelta(minutes=10)
"""What ran in an hour is in the ledger by then, nearly always."""
LONGEST = timedelta(hours=1)
"""What runs longer is not seen in the hours after its second one."""
MOST_HOURS_AT_ONCE = 48
MOST_SECONDS_AT_ONCE = 600.0
"""Hours that are left wait for the next time."""
HOUR = timedelta(hours=1)
WHOSE = ("organization", "team", "principal", "key")
AT_ONCE = 5_000

# An attempt counts once, however often it was priced anew.
_RAN = """
SELECT DISTINCT ON (day, exchange_id, attempt)
       organization_id::text, team_id::text, principal_id::text, key_id,
       date_part('epoch', started_at), date_part('epoch', started_at) + duration_us / 1e6::float8
FROM usage_ledger
WHERE day BETWEEN %(first_day)s AND %(last_day)s AND exchange_id >= %(since)s AND exchange_id < %(until)s
  AND kind IN ('final', 'counted', 'estimated') AND outcome <> 'refused' AND duration_us > 0
  AND started_at + duration_us * interval '1 microsecond' > %(hour)s
ORDER BY day, exchange_id, attempt
"""

Ran = tuple[str, str | None, str | None, str, float, float]
"""Organization, team, principal, key; when it began and ended, in Unix seconds."""


def peaks_measure(*, now: datetime) -> int:
    """Read the hours that closed and were not read yet, and forget old ones; says how many hours were read."""
    closed = (now - CLOSED_AFTER).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    newest = PeakHour.objects.aggregate(newest=Max("hour"))["newest"]
    hour = closed - MOST_HOURS_AT_ONCE * HOUR
    if newest is not None:
        hour = max(hour, newest + HOUR)
    read, until_s = 0, time.monotonic() + MOST_SECONDS_AT_ONCE
    while hour < closed and time.monotonic() < until_s:
        _read(hour)
        hour, read = hour + HOUR, read + 1
    PeakHour.objects.filter(hour__lt=now - KEPT).delete()
    return read


@transaction.atomic
def _read(hour: datetime) -> None:
    PeakHour.objects.bulk_create(
        [
            PeakHour(organization_id=UUID(organization), whose=whose, hour=hour, peak=peak)
            for organization, peaks in sorted(peaks_in(_ran(hour)).items())
            for whose, peak in zip(WHOSE, peaks, strict=True)
            if peak
        ],
        ignore_conflicts=True,
    )


def _ran(hour: datetime) -> Iterator[Ran]:
    """What ran in an hour, in the order of its beginnings: what began before it, and in it."""
    since, until = hour - LONGEST, hour + HOUR
    asked: dict[str, Any] = {
        "since": ulid.lowest_at(since),
        "until": ulid.lowest_at(until),
        "hour": hour,
        # An id's day is its partition: no other one is looked into.
        "first_day": since.date(),
        "last_day": hour.date(),
    }
    with connection.chunked_cursor() as cursor:
        cursor.execute(_RAN, asked)
        while rows := cursor.fetchmany(AT_ONCE):
            yield from rows


def peaks_in(ran: Iterable[Ran]) -> dict[str, list[int]]:
    """The most that ran at once, by organization, in the order of WHOSE.

    ran: in the order of beginnings; what began before the hour still ran in it, so it is counted as one that did.
    """
    running: defaultdict[str, tuple[dict[str, int], ...]] = defaultdict(lambda: tuple({} for _ in WHOSE))
    peaks: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(WHOSE))
    ends: list[tuple[float, int, tuple[dict[str, int], ...], tuple[str | None, ...]]] = []
    for number, (organization, team, principal, key, began, ended) in enumerate(ran):
        # Who ends at the instant at which another one begins has ended.
        while ends and ends[0][0] <= began:
            _, _, counts, ids = heappop(ends)
            for count, each in zip(counts, ids, strict=True):
                if each:
                    if count[each] > 1:
                        count[each] -= 1
                    else:
                        del count[each]
        counts, most, ids = running[organization], peaks[organization], (organization, team, principal, key)
        for place, each in enumerate(ids):
            if each:
                count = counts[place]
                count[each] = now = count.get(each, 0) + 1
                most[place] = max(most[place], now)
        heappush(ends, (ended, number, counts, ids))
    return dict(peaks)


def peaks_of(organization_id: UUID) -> Mapping[str, int]:
    """The most that ran at once in the days kept: of the organization, and of any one team, principal or key."""
    rows = PeakHour.objects.filter(organization_id=organization_id, hour__gte=timezone.now() - KEPT)
    return dict(rows.values_list("whose").annotate(peak=Max("peak")))
