"""Rows into tables by the fastest way there is: COPY into a temporary table, then one merging statement.

The merging statements take rows in the order of the key, so that workers wait for one another in one direction only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg import sql

from control_plane.usage.entries import COLUMNS as LEDGER_COLUMNS
from control_plane.usage.entries import LedgerKey, LedgerRow, values_of
from control_plane.usage.histogram import BUCKETS
from control_plane.usage.rollups import (
    COUNTS,
    GRAIN_COLUMNS,
    MEASURES,
    SUMS,
    Deltas,
    Grain,
    LastUse,
    Measures,
    SessionDelta,
)
from control_plane.usage.rule_days import RULE_SUMS, RuleDelta
from control_plane.usage.spending import Posted, Spent

LEDGER_KEY = ("day", "exchange_id", "attempt", "kind", "revision")
SESSION_COLUMNS = (
    "id",
    "organization_id",
    "key_id",
    "session_id",
    "team_id",
    "principal_id",
    "principal_kind",
    "client",
    "client_version",
    "parent_session_id",
    "is_derived",
    "first_seen",
    "last_seen",
    "model_names",
    "agent_ids",
    *MEASURES,
)
LAST_USE_COLUMNS = ("key_id", "organization_id", "used_at", "exchange_id", "client")


def _names(columns: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


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


def insert_ledger(rows: Iterable[LedgerRow]) -> set[LedgerKey]:
    """Write rows that are not there yet; returns the keys of those really written."""
    staged = _stage("usage_ledger", LEDGER_COLUMNS, map(values_of, rows))
    statement = sql.SQL(
        "INSERT INTO usage_ledger ({columns}) SELECT {columns} FROM {staged} ORDER BY {key} "
        "ON CONFLICT ({key}) DO NOTHING RETURNING {key}"
    ).format(columns=_names(LEDGER_COLUMNS), staged=sql.Identifier("pg_temp", staged), key=_names(LEDGER_KEY))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return {LedgerKey(*values) for values in cursor.fetchall()}


def merge_deltas(deltas: Deltas) -> None:
    """Add deltas to hours, days, sessions and keys: always in this order."""
    _merge_rollup("usage_usagehour", "hour", deltas.hours)
    _merge_rollup("usage_usageday", "day", deltas.days)
    _merge_sessions(deltas.sessions)
    _merge_last_uses(deltas.last_uses)


def _measured(measures: Measures) -> tuple[Any, ...]:
    return tuple([getattr(measures, name) for name in MEASURES])


def _sums(target: str) -> sql.Composable:
    """`column = target.column + excluded.column` for each measure, element by element for the histograms."""
    table = sql.Identifier(target)
    parts: list[sql.Composable] = [
        sql.SQL("{name} = {table}.{name} + excluded.{name}").format(name=sql.Identifier(name), table=table)
        for name in SUMS
    ]
    for name in COUNTS:
        elements = sql.SQL(", ").join(
            sql.SQL("{table}.{name}[{index}] + excluded.{name}[{index}]").format(
                table=table, name=sql.Identifier(name), index=sql.Literal(index)
            )
            for index in range(1, BUCKETS + 1)
        )
        parts.append(sql.SQL("{name} = ARRAY[{elements}]").format(name=sql.Identifier(name), elements=elements))
    return sql.SQL(", ").join(parts)


def _merge_rollup(target: str, period: str, rows: Sequence[tuple[Any, Grain, Measures]]) -> None:
    if not rows:
        return
    columns = (period, "grain", *GRAIN_COLUMNS, *MEASURES)
    staged = _stage(
        target,
        columns,
        (
            (start, grain.id, *[getattr(grain, name) for name in GRAIN_COLUMNS], *_measured(measures))
            for start, grain, measures in rows
        ),
    )
    statement = sql.SQL(
        "INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged} ORDER BY {period}, grain "
        "ON CONFLICT ({period}, grain) DO UPDATE SET {sums}"
    ).format(
        target=sql.Identifier(target),
        columns=_names(columns),
        staged=sql.Identifier("pg_temp", staged),
        period=sql.Identifier(period),
        sums=_sums(target),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _merge_sessions(sessions: Sequence[SessionDelta]) -> None:
    if not sessions:
        return
    target = "usage_conversationsession"
    staged = _stage(target, SESSION_COLUMNS, map(_session_values, sessions))
    statement = sql.SQL(
        "INSERT INTO {target} AS known ({columns}, moved_at) SELECT {columns}, clock_timestamp() FROM {staged} "
        "ORDER BY id ON CONFLICT (id) DO UPDATE SET moved_at = excluded.moved_at, "
        "client = CASE WHEN excluded.last_seen >= known.last_seen AND excluded.client <> ''"
        " THEN excluded.client ELSE known.client END, "
        "client_version = CASE WHEN excluded.last_seen >= known.last_seen AND excluded.client_version <> ''"
        " THEN excluded.client_version ELSE known.client_version END, "
        "parent_session_id = COALESCE(NULLIF(known.parent_session_id, ''), excluded.parent_session_id), "
        "first_seen = LEAST(known.first_seen, excluded.first_seen), "
        "last_seen = GREATEST(known.last_seen, excluded.last_seen), "
        "model_names = ARRAY(SELECT DISTINCT name FROM unnest(known.model_names || excluded.model_names) AS name"
        " ORDER BY name), "
        "agent_ids = ARRAY(SELECT DISTINCT name FROM unnest(known.agent_ids || excluded.agent_ids) AS name"
        " ORDER BY name), "
        "{sums}"
    ).format(
        target=sql.Identifier(target),
        columns=_names(SESSION_COLUMNS),
        staged=sql.Identifier("pg_temp", staged),
        sums=_sums("known"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _session_values(session: SessionDelta) -> tuple[Any, ...]:
    return (
        session.id,
        session.organization_id,
        session.key_id,
        session.session_id,
        session.team_id,
        session.principal_id,
        session.principal_kind,
        session.client,
        session.client_version,
        session.parent_session_id,
        session.is_derived,
        session.first_seen,
        session.last_seen,
        sorted(session.models),
        sorted(session.agents),
        *_measured(session.measures),
    )


def _merge_last_uses(last_uses: Sequence[LastUse]) -> None:
    if not last_uses:
        return
    staged = _stage(
        "usage_keylastuse",
        LAST_USE_COLUMNS,
        ((use.key_id, use.organization_id, use.used_at, use.exchange_id, use.client) for use in last_uses),
    )
    statement = sql.SQL(
        "INSERT INTO usage_keylastuse AS known ({columns}) SELECT {columns} FROM {staged} ORDER BY key_id "
        "ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at, exchange_id = excluded.exchange_id, "
        "client = excluded.client "
        "WHERE known.organization_id = excluded.organization_id AND known.used_at < excluded.used_at"
    ).format(columns=_names(LAST_USE_COLUMNS), staged=sql.Identifier("pg_temp", staged))
    with connection.cursor() as cursor:
        cursor.execute(statement)


def merge_rules(payloads: Mapping[UUID, tuple[bytes, date]]) -> None:
    """Keep the rules that rows name: by digest, their text and the newest day that names it."""
    if not payloads:
        return
    staged = _stage(
        "usage_rulesseen",
        ("digest", "payload", "last_day"),
        ((digest, payload, day) for digest, (payload, day) in payloads.items()),
    )
    statement = sql.SQL(
        "INSERT INTO usage_rulesseen AS known (digest, payload, last_day) "
        "SELECT digest, payload, last_day FROM {staged} ORDER BY digest "
        "ON CONFLICT (digest) DO UPDATE SET last_day = excluded.last_day WHERE known.last_day < excluded.last_day"
    ).format(staged=sql.Identifier("pg_temp", staged))
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
