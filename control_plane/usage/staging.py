"""Rows into tables by the fastest way there is: COPY into a temporary table, then one merging statement.

The merging statements take rows in the order of the key, so that workers wait for one another in one direction only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection
from psycopg import sql
from psycopg.errors import UniqueViolation

from control_plane.usage.copying import LATENCY_COLUMNS, LINE_COLUMNS, latency_lines, written_lines
from control_plane.usage.entries import COLUMNS as LEDGER_COLUMNS
from control_plane.usage.entries import LedgerKey, LedgerRow
from control_plane.usage.latencies import Counts, Grain
from control_plane.usage.merging import ARRIVING, LABEL_SETS, LATENCIES
from control_plane.usage.merging import names as _names
from control_plane.usage.rule_days import RULE_SUMS, RuleDelta
from control_plane.usage.spending import Posted, Spent

LEDGER_KEY = ("day", "exchange_id", "attempt", "kind", "revision")
# A claim of 20,000 rows is twice as large as what PostgreSQL keeps of temporary tables in memory as it comes, and is
# read six times. It can be said only before a connection's first temporary table.
_MAKE_ROOM = """
DO $$ BEGIN SET temp_buffers = '64MB'; EXCEPTION WHEN invalid_parameter_value THEN NULL; END $$
"""


def _stage(target: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Copy rows into a temporary table shaped like the target; returns its name."""
    staged = f"{target}_arriving"
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
            ).format(sql.Identifier(staged), sql.Identifier(target))
        )
        cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("pg_temp", staged)))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier("pg_temp", staged), _names(columns))
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    return staged


def arriving_stage(rows: Sequence[LedgerRow], label_sets: Sequence[int]) -> None:
    """Copy rows, sorted by their key, to where the ledger and the roll-ups take them from.

    label_sets: for each row the number of its set of labels; 0: it has none.
    """
    table = sql.Identifier(ARRIVING)
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_ROOM)
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE usage_ledger INCLUDING DEFAULTS,"
                " label_set integer NOT NULL, session_row uuid) ON COMMIT DELETE ROWS"
            ).format(table)
        )
        cursor.execute(sql.SQL("TRUNCATE {}").format(table))
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, _names(LINE_COLUMNS))) as copy:
            for lines in written_lines(rows, label_sets):
                copy.write(lines)


def latencies_stage(folded: Mapping[tuple[datetime, Grain], Counts]) -> None:
    """Lay out what rows add to latencies, by the minute."""
    table = sql.Identifier(LATENCIES)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE usage_latencyminute) ON COMMIT DELETE ROWS").format(
                table
            )
        )
        cursor.execute(sql.SQL("TRUNCATE {}").format(table))
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, _names(LATENCY_COLUMNS))) as copy:
            copy.write(latency_lines(folded))


def ledger_insert() -> frozenset[LedgerKey] | None:
    """Write the arriving rows to the ledger. None: all of them were new.

    Otherwise the keys of those that were; the others no longer arrive. That happens only where another worker wrote the
    same row after we looked.
    """
    into = sql.SQL("INSERT INTO usage_ledger ({columns}) SELECT {columns} FROM {arriving}").format(
        columns=_names(LEDGER_COLUMNS), arriving=sql.Identifier(ARRIVING)
    )
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT usage_all_new")
        try:
            cursor.execute(into)
        except IntegrityError as failure:
            if not isinstance(failure.__cause__, UniqueViolation):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT usage_all_new")
        else:
            cursor.execute("RELEASE SAVEPOINT usage_all_new")
            return None
        key = _names(LEDGER_KEY)
        cursor.execute(sql.SQL("{} ORDER BY {} ON CONFLICT ({}) DO NOTHING RETURNING {}").format(into, key, key, key))
        written = frozenset(LedgerKey(*values) for values in cursor.fetchall())
        cursor.execute(
            sql.SQL(
                "DELETE FROM {arriving} AS arriving WHERE NOT EXISTS (SELECT FROM unnest(%s::date[], %s::text[],"
                " %s::int[], %s::text[], %s::int[]) AS written ({key}) WHERE ({mine}) = ({theirs}))"
            ).format(
                arriving=sql.Identifier(ARRIVING),
                key=key,
                mine=sql.SQL(", ").join(sql.Identifier("arriving", name) for name in LEDGER_KEY),
                theirs=sql.SQL(", ").join(sql.Identifier("written", name) for name in LEDGER_KEY),
            ),
            [[getattr(each, name) for each in written] for name in LEDGER_KEY],
        )
        return written


def label_sets_stage(sets: Mapping[int, Sequence[tuple[str, str]]]) -> None:
    """Lay out which labels and values each set has."""
    table = sql.Identifier(LABEL_SETS)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE IF NOT EXISTS {} (label_set integer, label text, value text)"
                " ON COMMIT DELETE ROWS"
            ).format(table)
        )
        cursor.execute(sql.SQL("TRUNCATE {}").format(table))
        with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy:
            for number, labels in sets.items():
                for label, value in labels:
                    copy.write_row((number, label, value))


def merge_rules(kept: Mapping[UUID, tuple[bytes, date, Sequence[str]]]) -> None:
    """Keep the rules that rows name: by digest, their text, the newest day that names it, and their ids."""
    if not kept:
        return
    columns = ("digest", "payload", "last_day", "rule_ids")
    staged = _stage(
        "usage_rulesseen",
        columns,
        ((digest, payload, day, list(rule_ids)) for digest, (payload, day, rule_ids) in kept.items()),
    )
    statement = sql.SQL(
        "INSERT INTO usage_rulesseen AS known ({columns}) SELECT {columns} FROM {staged} ORDER BY digest "
        "ON CONFLICT (digest) DO UPDATE SET last_day = excluded.last_day WHERE known.last_day < excluded.last_day"
    ).format(columns=_names(columns), staged=sql.Identifier("pg_temp", staged))
    with connection.cursor() as cursor:
        cursor.execute(statement)


def merge_spending(spending: Sequence[Spent]) -> list[Posted]:
    """Add to the counters of budgets; returns where each stands then, in the order given."""
    if not spending:
        return []
    columns = ("id", "organization_id", "budget_id", "counter", "period_ms")
    sums = ("posted_nano_usd", "count", "last_at")
    staged = _stage(
        "usage_budgetspend",
        (*columns, *sums),
        (
            (
                spent.counter.id,
                spent.counter.organization_id,
                spent.counter.budget_id,
                spent.counter.counter,
                spent.counter.period_ms,
                spent.nano_usd,
                spent.count,
                spent.last_at,
            )
            for spent in spending
        ),
    )
    # The clock of the statement and not of the transaction: a floor that was asked for meanwhile must find the row.
    statement = sql.SQL(
        "INSERT INTO usage_budgetspend AS known ({columns}, changed_at) "
        "SELECT {columns}, clock_timestamp() FROM {staged} ORDER BY id "
        "ON CONFLICT (id) DO UPDATE SET posted_nano_usd = known.posted_nano_usd + excluded.posted_nano_usd, "
        "count = known.count + excluded.count, last_at = GREATEST(known.last_at, excluded.last_at), "
        "changed_at = excluded.changed_at RETURNING id, posted_nano_usd"
    ).format(columns=_names((*columns, *sums)), staged=sql.Identifier("pg_temp", staged))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        posted = dict(cursor.fetchall())
    return [Posted(spent.counter, posted[spent.counter.id], spent.nano_usd) for spent in spending]


def merge_rule_days(days: Sequence[RuleDelta]) -> None:
    """Add to what rules did on their days; in the order given."""
    if not days:
        return
    columns = ("organization_id", "day", "rule_id", "kind", *RULE_SUMS)
    staged = _stage("usage_ruleday", columns, (astuple(delta) for delta in days))
    statement = sql.SQL(
        "INSERT INTO usage_ruleday AS known ({columns}) SELECT {columns} FROM {staged} "
        "ORDER BY organization_id, day, rule_id ON CONFLICT (organization_id, day, rule_id) DO UPDATE SET {sums}"
    ).format(
        columns=_names(columns),
        staged=sql.Identifier("pg_temp", staged),
        sums=sql.SQL(", ").join(
            sql.SQL("{name} = known.{name} + excluded.{name}").format(name=sql.Identifier(name)) for name in RULE_SUMS
        ),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def delete_batches(ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM usage_inboxbatch WHERE id = ANY(%s)", [list(ids)])
