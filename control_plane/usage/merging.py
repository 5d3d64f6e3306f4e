"""What rows really added to the ledger add to everything that sums it up. All of it is done by PostgreSQL.

The rows lie in a temporary table (`control_plane.usage.staging`). They are folded by minute first, and minutes into
hours and days, so that each row is read few times. Statements take the rows of a table in the order of its key and
tables come in one order, so that workers wait for one another in one direction only; what every worker touches comes
last and is held shortest.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from django.db import connection
from psycopg import sql

from control_plane.usage.histogram import BUCKETS
from control_plane.usage.rollups import (
    COUNTS,
    LABEL_GRAIN,
    LATENCY_GRAIN,
    SUMS,
    TEAM_GRAIN,
    WHOLE_GRAIN,
)
from control_plane.usage.row_sums import FAILURE, STATUS_CLASS, added_counts, row_sums

ARRIVING: Final = "usage_arriving"
"""The rows, with the number of their set of labels and the id of their session."""
_FOLDED: Final = "usage_folded"
LATENCIES: Final = "usage_latencies_folded"
"""Latencies by the minute, with their digest."""
_LABELS: Final = "usage_labels_folded"
LABEL_SETS: Final = "usage_label_sets"
_IDS: Final = frozenset({"organization_id", "team_id", "principal_id", "provider_id"})
_COMPUTED: Final = {"status_class": STATUS_CLASS, "failure": FAILURE}


def fold_rows(*, has_labels: bool) -> None:
    """Work out what the arriving rows add to roll-ups; nothing that others see is touched."""
    _execute([*_temporary_tables(), _fold(), *([_fold_labels()] if has_labels else [])])


def merge_rows(*, has_sessions: bool, has_labels: bool, has_minutes: bool = True, is_one_minute: bool = False) -> None:
    """Add what the arriving rows, which are folded, add to sessions, keys and all roll-ups.

    has_minutes: False where all rows are older than minutes are kept. is_one_minute: all rows count in the same one, as
    they do in most claims; its sums are then those of the hour and of the day.
    """
    spread = not is_one_minute
    statements = [_sessions()] if has_sessions else []
    statements += [_last_uses(), _whole("usage_usagehour", "hour", spread), _whole("usage_usageday", "day", spread)]
    if has_labels:
        statements += [_labels("usage_labelhour", "hour", False), _labels("usage_labelday", "day", spread)]
    periods = ("minute", "hour", "day") if has_minutes else ("hour", "day")
    statements.append(_by_team(periods, spread))
    statements += [_latencies(f"usage_latency{period}", period, spread and period != "minute") for period in periods]
    _execute(statements)


def _execute(statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def names(columns: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _text(statement: sql.Composable) -> str:
    """Written once: some of these are long."""
    return statement.as_string(None)


@cache
def _temporary_tables() -> tuple[str, ...]:
    def made(name: str, columns: str) -> str:
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns}) ON COMMIT DELETE ROWS"

    def typed(columns: Iterable[str]) -> str:
        return ", ".join(f"{name} {'uuid' if name in _IDS else 'text'}" for name in columns)

    sums = ", ".join(f"{name} bigint" for name in SUMS)
    return (
        made(_FOLDED, f"minute timestamptz, grain uuid, {typed(WHOLE_GRAIN)}, {sums}"),
        made(_LABELS, f"hour timestamptz, grain uuid, {typed(LABEL_GRAIN)}, {sums}"),
        # Several claims may share a transaction, in tests.
        f"TRUNCATE {_FOLDED}, {_LABELS}",
    )


def grain_of(columns: Sequence[str]) -> sql.Composable:
    """Sixteen bytes in place of many columns. A record's text quotes, so two grains never have one text."""
    return sql.SQL("md5(ROW({})::text)::uuid").format(names(columns))


def _columns_of_rows(columns: Iterable[str]) -> sql.Composable:
    """Columns of a grain out of rows of the ledger."""
    found = [
        sql.SQL("{} AS {}").format(_COMPUTED[name], sql.Identifier(name)) if name in _COMPUTED else sql.Identifier(name)
        for name in columns
    ]
    return sql.SQL(", ").join(found)


def _period(period: str, of: str = "minute") -> sql.Composable:
    if period == of:
        return sql.Identifier(of)
    if period == "day":
        return sql.SQL("({} AT TIME ZONE 'UTC')::date").format(sql.Identifier(of))
    return sql.SQL("date_trunc({}, {}, 'UTC')").format(sql.Literal(period), sql.Identifier(of))


def _numbered(count: int, first: int = 1) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL(str(number)) for number in range(first, first + count))


def _sums(columns: Iterable[str] = SUMS) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("usage_total({})").format(sql.Identifier(name)) for name in columns)


@cache
def _adding(table: str) -> sql.Composable:
    """`column = known.column + excluded.column` for each sum."""
    return sql.SQL(", ").join(
        sql.SQL("{name} = {table}.{name} + excluded.{name}").format(
            name=sql.Identifier(name), table=sql.Identifier(table)
        )
        for name in SUMS
    )


@cache
def _adding_counts() -> sql.Composable:
    parts = []
    for name in COUNTS:
        elements = sql.SQL(", ").join(
            sql.SQL("known.{name}[{index}] + excluded.{name}[{index}]").format(
                name=sql.Identifier(name), index=sql.Literal(index)
            )
            for index in range(1, BUCKETS + 1)
        )
        parts.append(sql.SQL("{} = ARRAY[{}]").format(sql.Identifier(name), elements))
    return sql.SQL(", ").join(parts)


@cache
def _fold() -> str:
    """Rows to minutes of whole rows, with the digest of their grain."""
    return _text(
        sql.SQL(
            "INSERT INTO {folded} (minute, grain, {grain}, {sums})"
            " SELECT minute, {digest}, {grain}, {sums} FROM (SELECT"
            " date_trunc('minute', counted_at) AS minute, {columns}, {expressions} FROM {arriving}"
            " GROUP BY {numbers}) AS summed (minute, {grain}, {sums})"
        ).format(
            folded=sql.Identifier(_FOLDED),
            grain=names(WHOLE_GRAIN),
            sums=names(SUMS),
            digest=grain_of(WHOLE_GRAIN),
            columns=_columns_of_rows(WHOLE_GRAIN),
            expressions=sql.SQL(", ").join(row_sums(SUMS)),
            arriving=sql.Identifier(ARRIVING),
            numbers=_numbered(1 + len(WHOLE_GRAIN)),
        )
    )


@cache
def _whole(table: str, period: str, is_spread: bool) -> str:
    return _text(_upsert(table, period, WHOLE_GRAIN, _FOLDED, is_spread))


@cache
def _by_team(periods: Sequence[str], is_spread: bool) -> str:
    """Whole rows to minutes by team once, and these into all tables by team, in one order for all workers."""
    folded = sql.SQL(
        "SELECT minute, {digest} AS grain, {grain}, {sums} FROM (SELECT minute, {grain}, {summed} FROM {folded}"
        " GROUP BY {numbers}) AS summed (minute, {grain}, {sums})"
    ).format(
        digest=grain_of(TEAM_GRAIN),
        grain=names(TEAM_GRAIN),
        sums=names(SUMS),
        summed=_sums(),
        folded=sql.Identifier(_FOLDED),
        numbers=_numbered(1 + len(TEAM_GRAIN)),
    )
    *first, last = [
        _upsert(f"usage_team{period}", period, TEAM_GRAIN, "by_team", is_spread and period != "minute")
        for period in periods
    ]
    parts = [sql.SQL("by_team AS MATERIALIZED ({})").format(folded)]
    parts += [sql.SQL("part_{} AS ({})").format(sql.SQL(str(number)), part) for number, part in enumerate(first)]
    return _text(sql.SQL("WITH {} {}").format(sql.SQL(", ").join(parts), last))


def _upsert(table: str, period: str, grain: Sequence[str], folded: str, is_spread: bool) -> sql.Composable:
    """is_spread: several rows of what is folded may be of one period; else none are, and nothing is left to sum up."""
    return sql.SQL(
        "INSERT INTO {table} AS known ({period}, grain, {grain}, {sums})"
        " SELECT {start}, grain, {grain}, {summed} FROM {folded} {grouped}"
        " ORDER BY organization_id, 1, 2 ON CONFLICT (organization_id, {period}, grain) DO UPDATE SET {adding}"
    ).format(
        table=sql.Identifier(table),
        period=sql.Identifier(period),
        grain=names(grain),
        sums=names(SUMS),
        start=_period(period),
        summed=_sums() if is_spread else names(SUMS),
        folded=sql.Identifier(folded),
        grouped=_grouped(2 + len(grain), is_spread),
        adding=_adding("known"),
    )


def _grouped(columns: int, is_spread: bool) -> sql.Composable:
    return sql.SQL("GROUP BY {}").format(_numbered(columns)) if is_spread else sql.SQL("")


@cache
def _fold_labels() -> str:
    return _text(
        sql.SQL(
            "WITH by_set AS MATERIALIZED (SELECT {hour} AS hour, organization_id, team_id, label_set, {expressions}"
            " FROM {arriving} WHERE label_set > 0 GROUP BY 1, 2, 3, 4)"
            " INSERT INTO {labels} (hour, grain, {grain}, {sums}) SELECT hour, {digest}, {grain}, {summed}"
            " FROM by_set JOIN {sets} USING (label_set) GROUP BY hour, {grain}"
        ).format(
            hour=_period("hour", "counted_at"),
            expressions=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(value, sql.Identifier(name))
                for name, value in zip(SUMS, row_sums(SUMS), strict=True)
            ),
            arriving=sql.Identifier(ARRIVING),
            labels=sql.Identifier(_LABELS),
            grain=names(LABEL_GRAIN),
            sums=names(SUMS),
            digest=grain_of(LABEL_GRAIN),
            summed=_sums(),
            sets=sql.Identifier(LABEL_SETS),
        )
    )


@cache
def _labels(table: str, period: str, is_spread: bool) -> str:
    return _text(
        sql.SQL(
            "INSERT INTO {table} AS known ({period}, grain, {grain}, {sums})"
            " SELECT {start}, grain, {grain}, {summed} FROM {labels} {grouped}"
            " ORDER BY organization_id, label, 1, 2"
            " ON CONFLICT (organization_id, label, {period}, grain) DO UPDATE SET {adding}"
        ).format(
            table=sql.Identifier(table),
            period=sql.Identifier(period),
            grain=names(LABEL_GRAIN),
            sums=names(SUMS),
            start=_period(period, "hour"),
            summed=_sums() if is_spread else names(SUMS),
            labels=sql.Identifier(_LABELS),
            grouped=_grouped(2 + len(LABEL_GRAIN), is_spread),
            adding=_adding("known"),
        )
    )


@cache
def _latencies(table: str, period: str, is_spread: bool) -> str:
    return _text(
        sql.SQL(
            "INSERT INTO {table} AS known ({period}, grain, {grain}, {counts})"
            " SELECT {start}, grain, {grain}, {summed} FROM {folded} {grouped}"
            " ORDER BY organization_id, 1, 2 ON CONFLICT (organization_id, {period}, grain) DO UPDATE SET {adding}"
        ).format(
            table=sql.Identifier(table),
            period=sql.Identifier(period),
            grain=names(LATENCY_GRAIN),
            counts=names(COUNTS),
            start=_period(period),
            summed=sql.SQL(", ").join(added_counts(COUNTS)) if is_spread else names(COUNTS),
            folded=sql.Identifier(LATENCIES),
            grouped=_grouped(2 + len(LATENCY_GRAIN), is_spread),
            adding=_adding_counts(),
        )
    )


_SESSION_NAMES: Final = ("key_id", "session_id", "principal_kind", "client", "client_version", "parent_session_id")


@cache
def _sessions() -> str:
    """Of names that differ within one session the greatest is kept: they do not, but for a version now and then."""
    return _text(
        sql.SQL(
            "INSERT INTO usage_conversationsession AS known (id, organization_id, team_id, principal_id, {names},"
            " is_derived, first_seen, last_seen, model_names, agent_ids, {sums}, moved_at)"
            " SELECT session_row, max(organization_id::text)::uuid, max(team_id::text)::uuid,"
            " max(principal_id::text)::uuid, {greatest}, bool_or(session_is_derived),"
            " min(started_at), max(started_at),"
            " COALESCE(array_agg(DISTINCT model) FILTER (WHERE kind <> 'reversal' AND model <> ''), '{{}}'),"
            " COALESCE(array_agg(DISTINCT agent_id) FILTER (WHERE kind <> 'reversal' AND agent_id <> ''), '{{}}'),"
            " {expressions}, clock_timestamp() FROM {arriving} WHERE session_row IS NOT NULL"
            " GROUP BY session_row ORDER BY session_row"
            " ON CONFLICT (id) DO UPDATE SET moved_at = excluded.moved_at,"
            " client = CASE WHEN excluded.last_seen >= known.last_seen AND excluded.client <> ''"
            " THEN excluded.client ELSE known.client END,"
            " client_version = CASE WHEN excluded.last_seen >= known.last_seen AND excluded.client_version <> ''"
            " THEN excluded.client_version ELSE known.client_version END,"
            " parent_session_id = COALESCE(NULLIF(known.parent_session_id, ''), excluded.parent_session_id),"
            " first_seen = LEAST(known.first_seen, excluded.first_seen),"
            " last_seen = GREATEST(known.last_seen, excluded.last_seen),"
            " model_names = CASE WHEN known.model_names @> excluded.model_names THEN known.model_names ELSE"
            " ARRAY(SELECT DISTINCT name FROM unnest(known.model_names || excluded.model_names) AS name"
            " ORDER BY name) END,"
            " agent_ids = CASE WHEN known.agent_ids @> excluded.agent_ids THEN known.agent_ids ELSE"
            " ARRAY(SELECT DISTINCT name FROM unnest(known.agent_ids || excluded.agent_ids) AS name"
            " ORDER BY name) END,"
            " {adding}"
        ).format(
            names=names(_SESSION_NAMES),
            greatest=sql.SQL(", ").join(sql.SQL("max({})").format(sql.Identifier(name)) for name in _SESSION_NAMES),
            arriving=sql.Identifier(ARRIVING),
            expressions=sql.SQL(", ").join(row_sums(SUMS)),
            sums=names(SUMS),
            adding=_adding("known"),
        )
    )


@cache
def _last_uses() -> str:
    return _text(
        sql.SQL(
            "INSERT INTO usage_keylastuse AS known (key_id, organization_id, used_at, exchange_id, client)"
            # An exchange's id ascends with time.
            " SELECT key_id, max(organization_id::text)::uuid, max(started_at), max(exchange_id), max(client) FROM {}"
            " WHERE key_id <> '' GROUP BY key_id ORDER BY key_id"
            " ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at, exchange_id = excluded.exchange_id,"
            " client = excluded.client"
            " WHERE known.organization_id = excluded.organization_id AND known.used_at < excluded.used_at"
        ).format(sql.Identifier(ARRIVING))
    )
