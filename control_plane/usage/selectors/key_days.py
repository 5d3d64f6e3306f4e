"""Where in the ledger the rows of keys are. It has an index of owners and none of keys; the sums by day know the keys.

Of a key that was used on two days, those two are read and not a year of its owner's rows.
Source: docs/decisions/0193-days-of-a-key.md
"""

from collections.abc import Iterable
from datetime import date, timedelta
from uuid import UUID

from django.db import connection
from psycopg import sql

from control_plane.usage.closing import closed_until
from control_plane.usage.models import UsageDay
from control_plane.usage.selectors.standing import owned_by

MOST_DAYS = 100
"""Keys that are used on more days are found by their owner alone."""

_LATE = (
    "SELECT DISTINCT day FROM usage_ledger WHERE organization_id = %s AND counted_at <> started_at AND key_id = ANY(%s)"
)


def key_conditions(organization_id: UUID, key_ids: Iterable[str]) -> list[sql.Composable]:
    """What else is true of the ledger's rows of keys: whose they are, and of which days of admission."""
    keys = list(key_ids)
    used = UsageDay.objects.filter(organization_id=organization_id, key_id__in=keys)
    found = list(used.order_by().values_list("principal_id", "day").distinct())
    conditions = owned_by(principal_id for principal_id, _ in found)
    counted = {day for _, day in found}
    if 0 < len(counted) <= MOST_DAYS:
        days = _admitted(organization_id, keys, counted)
        conditions.append(sql.SQL("day = ANY({}::date[])").format(sql.Literal(sorted(days))))
    return conditions


def _admitted(organization_id: UUID, keys: list[str], counted: set[date]) -> set[date]:
    """The days on which rows that count on these may have been admitted."""
    # Before midnight, or by a clock that was set back after it.
    days = {day + timedelta(days=beside) for day in counted for beside in (-1, 0, 1)}
    if closed_until(organization_id) is not None:
        # What came after its month was closed counts on the day on which it came.
        with connection.cursor() as cursor:
            cursor.execute(_LATE, [organization_id, keys])
            days |= {day for (day,) in cursor.fetchall()}
    return days
