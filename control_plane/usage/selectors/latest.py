"""The exchanges that ended last, for whoever watches them come in.

The ledger has no index of ends: it would be paid for by every row. Lists go by exchange ids, and so by when each was
admitted; one that ran ten minutes stands ten minutes deep in them when it ends. Here two things are looked at instead:
the newest by id, which are all of a quiet organization, and the ends of the partitions' files, because rows are only
ever added there: what was booked last lies last, whenever it began.
Source: docs/decisions/0191-live-goes-by-the-end.md
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.db import connection
from psycopg import sql

from control_plane.usage.partitions import partition_name
from control_plane.usage.selectors.exchanges import Exchange, ExchangeSearch, exchanges_load, search_conditions
from control_plane.usage.selectors.scope import all_of

LONGEST = timedelta(hours=24)
"""Whatever ended lately was admitted within so long before; longer ones are in the list."""
MOST_LOOKED_AT = 1000
"""So many of the newest by id."""
LAST_PAGES = (256, 2048)
"""So many of a partition's last pages, of a dozen rows each, and so many where these hold too few."""

_SIZES = """
SELECT name, pg_relation_size(to_regclass(name)) / current_setting('block_size')::int
FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL
"""
_END = sql.SQL("max(started_at + duration_us * interval '1 microsecond')")


def exchanges_ended(
    search: ExchangeSearch, *, ended_since: datetime, now: datetime, limit: int
) -> tuple[Exchange, ...]:
    """Those that match and ended since, the one that ended last first. Bounds of the search itself narrow further."""
    bounded = replace(search, since=max(search.since or ended_since - LONGEST, ended_since - LONGEST))
    found = dict(_newest_by_id(bounded, ended_since, limit))
    pages = _pages_of((now - timedelta(days=1), now))
    for most in LAST_PAGES:
        booked: dict[str, datetime] = {}
        for partition, count in pages:
            booked |= _booked_last(bounded, ended_since, limit, partition, max(0, count - most))
        found |= booked
        # Where others book much, there are few of these among the last.
        if len(booked) >= limit or all(count <= most for _, count in pages):
            break
    ids = sorted(found, key=lambda one: (found[one], one), reverse=True)[:limit]
    exchanges = exchanges_load(search.scope, ids)
    return tuple(sorted(exchanges, key=lambda one: (one.ended_at, one.id), reverse=True))


def _newest_by_id(search: ExchangeSearch, ended_since: datetime, limit: int) -> list[tuple[str, datetime]]:
    newest = sql.SQL(
        "SELECT exchange_id, started_at, duration_us FROM usage_ledger AS entry WHERE {} ORDER BY exchange_id DESC"
        " LIMIT {}"
    ).format(all_of(search_conditions(search)), sql.Literal(MOST_LOOKED_AT))
    return _ended(newest, ended_since, limit)


def _booked_last(
    search: ExchangeSearch, ended_since: datetime, limit: int, partition: str, first_page: int
) -> list[tuple[str, datetime]]:
    conditions = [
        sql.SQL("ctid >= {}::tid").format(sql.Literal(f"({first_page},0)")),
        *search_conditions(search),
    ]
    booked = sql.SQL("SELECT exchange_id, started_at, duration_us FROM {} AS entry WHERE {}").format(
        sql.Identifier(partition), all_of(conditions)
    )
    return _ended(booked, ended_since, limit)


def _ended(rows: sql.Composable, ended_since: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Of these rows the exchanges that ended last."""
    statement = sql.SQL(
        "SELECT exchange_id, {end} FROM ({rows}) AS entry GROUP BY 1 HAVING {end} >= {since}"
        " ORDER BY 2 DESC, 1 DESC LIMIT {limit}"
    ).format(end=_END, rows=rows, since=sql.Literal(ended_since), limit=sql.Literal(limit))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [(exchange_id, ended_at) for exchange_id, ended_at in cursor.fetchall()]


def _pages_of(moments: Sequence[datetime]) -> list[tuple[str, int]]:
    """The partitions of the days of these moments that are there, and how many pages each has."""
    names = sorted({partition_name(at.astimezone(UTC).date()) for at in moments})
    with connection.cursor() as cursor:
        cursor.execute(_SIZES, [names])
        return [(name, pages) for name, pages in cursor.fetchall() if pages]
