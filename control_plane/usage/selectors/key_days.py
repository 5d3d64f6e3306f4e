"""Where in the ledger the rows of keys are. It has an index of owners and none of keys; the sums by day know the keys.

Of a key that was used on two days, those two are read and not a month of its owner's rows.
Source: docs/decisions/0193-days-of-a-key.md
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from psycopg import sql

from control_plane.usage.closing import closed_until
from control_plane.usage.models import UsageDay
from control_plane.usage.selectors.standing import owned_by

MOST_DAYS = 100
"""Keys that are used on more days are found by their owner alone."""


def key_conditions(organization_id: UUID, key_ids: Iterable[str]) -> list[sql.Composable]:
    """What else is true of the ledger's rows of keys: whose they are, and of which days of admission."""
    used = UsageDay.objects.filter(organization_id=organization_id, key_id__in=list(key_ids))
    found = list(used.order_by().values_list("principal_id", "day").distinct())
    conditions = owned_by(principal_id for principal_id, _ in found)
    counted = {day for _, day in found}
    if 0 < len(counted) <= MOST_DAYS:
        # Before midnight, or by a clock that was set back after it.
        days = sorted({day + timedelta(days=beside) for day in counted for beside in (-1, 0, 1)})
        admitted = sql.SQL("day = ANY({}::date[])").format(sql.Literal(days))
        closed = closed_until(organization_id)
        if closed is not None:
            # What came after its month was closed counts on the day on which it came, so any day before may have some.
            # They are not looked up: PostgreSQL takes the few for many, and reads the whole ledger to find them.
            admitted = sql.SQL("({} OR day < {})").format(admitted, sql.Literal(closed.date()))
        conditions.append(admitted)
    return conditions
