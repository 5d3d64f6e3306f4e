"""Where usage over time is read from: roll-ups, or the ledger's rows. SQL pieces; what is asked for them:
known labels, and whose keys are.

The narrowest table that knows everything a question speaks of: by team, where nothing is said of people, keys or
versions; whole rows otherwise; labels, where one rule or one tag is asked for besides the team; rows for the rest, over
a limited range.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from django.conf import settings
from psycopg import sql

from control_plane.usage.labels import METADATA, OTHER, RULE
from control_plane.usage.models import LabelValue
from control_plane.usage.rollups import COUNTS, LATENCY_GRAIN, TEAM_GRAIN
from control_plane.usage.row_sums import COUNTS_NEED, FAILURE, STATUS_CLASS, SUMS_NEED, row_sums
from control_plane.usage.selectors.arms import Arm, end_arms, minutes_arm, rollup_arms
from control_plane.usage.selectors.key_days import key_conditions
from control_plane.usage.selectors.parts import parts_of
from control_plane.usage.selectors.scope import Scope, all_of

GROUPINGS: Final[Mapping[str, str]] = {
    "user": "principal_id",
    "principal_kind": "principal_kind",
    "team": "team_id",
    "key": "key_id",
    "provider": "provider_id",
    "model": "model",
    "requested_model": "requested_model",
    "region": "region",
    "client": "client",
    "client_version": "client_version",
    "agent": "agent",
    "protocol": "protocol",
    "stage": "stage",
    "outcome": "outcome",
    "status": "status_class",
    "reason": "reason",
    "failure": "failure",
}
"""What a series may be grouped and filtered by, and the roll-up's column for it."""
SESSION = "session"
MOST_TAG_LENGTH = 200
NOBODY = UUID(int=0)
"""Stands for an id that is not there, so that groups can be joined by equality."""
IDS: Final = frozenset({"user", "team", "provider"})
_BY_TEAM: Final = frozenset(name for name, column in GROUPINGS.items() if column in TEAM_GRAIN)
_BY_MODEL: Final = frozenset(name for name, column in GROUPINGS.items() if column in LATENCY_GRAIN)
_COMPUTED: Final = {"status": STATUS_CLASS, "failure": FAILURE}

Period = Literal["minute", "hour", "day"]


class UnknownGrouping(ValueError):
    """Nothing can be grouped or filtered by this name, or not over so long a range."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question speaks of: names of groups and filters, and the values wanted of each filter."""

    scope: Scope
    groups: tuple[str, ...]
    filters: Mapping[str, Sequence[str]]

    @property
    def names(self) -> frozenset[str]:
        return frozenset((*self.groups, *self.filters))

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(name for name in self.names if is_label(name))


def is_label(name: str) -> bool:
    return name == RULE or name.startswith(METADATA)


def has_sums_by_label(asked: Asked) -> bool:
    """Whether sums by label answer it; it asks for one label, and for nothing else but the team."""
    if len(asked.labels) != 1 or not asked.scope.is_everything or asked.names - asked.labels - {"team"}:
        return False
    (label,) = asked.labels
    values = {value for value in asked.filters.get(label, ()) if value} - {OTHER}
    known = LabelValue.objects.filter(organization_id=asked.scope.organization_id, label=label)
    if values:
        return known.filter(value__in=values).count() == len(values)
    return label == RULE or known.exists()


def label_arms(asked: Asked, since: datetime, until: datetime, now: datetime, *, days: bool) -> tuple[Arm, ...]:
    """Read sums by one label. What has no such tag is all there is, less what has one."""
    (label,) = asked.labels
    parts = parts_of(since, until, now)
    since, until, ends = parts.since, parts.until, end_arms(asked.scope.organization_id, parts)
    if not parts.has_hours:
        return ends
    arms = list(rollup_arms("usage_label", since, until, now, days=days, label=label))
    wants_rest = label in asked.groups and (label not in asked.filters or "" in asked.filters[label])
    wants_rest = wants_rest or "" in asked.filters.get(label, ())
    if label != RULE and wants_rest:
        arms += rollup_arms("usage_label", since, until, now, days=days, label=label, share=-1, part="")
        arms += rollup_arms("usage_team", since, until, now, days=days, part="")
    return (*arms, *ends)


def sum_arms(asked: Asked, since: datetime, until: datetime, now: datetime, *, days: bool) -> tuple[Arm, ...]:
    """Read days and hours: by team if nothing more is spoken of, else whole rows."""
    is_by_team = asked.scope.is_everything and asked.names <= _BY_TEAM
    parts = parts_of(since, until, now)
    whole = "usage_team" if is_by_team else "usage_usage"
    arms = rollup_arms(whole, parts.since, parts.until, now, days=days) if parts.has_hours else ()
    # What is in no hour either is nothing, asked of any table.
    return (*arms, *end_arms(asked.scope.organization_id, parts)) or rollup_arms(whole, since, until, now, days=days)


def minute_arms(asked: Asked, since: datetime, until: datetime) -> tuple[Arm, ...] | None:
    """Read minutes. None: they do not know all that is spoken of."""
    if not asked.scope.is_everything or not asked.names <= _BY_TEAM:
        return None
    return (minutes_arm("usage_teamminute", since, until),)


def latency_arms(
    asked: Asked, since: datetime, until: datetime, now: datetime, *, period: Period
) -> tuple[Arm, ...] | None:
    """Read latencies from roll-ups. None: they do not know all that is spoken of."""
    if not asked.scope.is_everything or not asked.names <= _BY_MODEL:
        return None
    if period == "minute":
        return (minutes_arm("usage_latencyminute", since, until),)
    if now - since > timedelta(days=settings.SWITCHYARD.minutes_days):
        return rollup_arms("usage_latency", since, until, now, days=period == "day")
    parts = parts_of(since, until, now)
    hours = rollup_arms("usage_latency", parts.since, parts.until, now, days=period == "day") if parts.has_hours else ()
    return (*hours, *(minutes_arm("usage_latencyminute", *end) for end in parts.ends))


def used(
    arms: Iterable[Arm],
    asked: Asked,
    columns: Sequence[str],
    *,
    folds: bool = False,
    page: str = "",
    page_spans: str | None = None,
) -> sql.Composable:
    """All rows of a question as one table: `at`, a column `group_<number>` for each grouping, never NULL, and the
    columns named.

    folds: of rows that sum up those of one time and group become one.
    page: a table with columns `start` and `group_<number>`; what is none of its points need not be read.
    page_spans: how long its points are at most; None: there is one, the whole range.

    Where rows stand beside sums, they are summed first, to the same columns.
    """
    selects = []
    arms = tuple(arms)
    is_mixed = any(arm.is_ledger for arm in arms) and not all(arm.is_ledger for arm in arms)
    for arm in arms:
        is_summed = is_mixed and arm.is_ledger
        found: list[sql.Composable] = [sql.SQL("{} AS at").format(arm.at)]
        found += [
            sql.SQL("{} AS {}").format(_group(name, arm), group_column(number))
            for number, name in enumerate(asked.groups)
        ]
        if is_summed:
            found += [
                sql.SQL("{} AS {}").format(value, sql.Identifier(name))
                for name, value in zip(columns, row_sums(columns), strict=True)
            ]
        else:
            found += [_column(name, arm.share, folds=folds) for name in columns]
        conditions = [*asked.scope.conditions(), arm.range]
        if arm.label:
            conditions.append(sql.SQL("label = {}").format(sql.Literal(arm.label)))
        conditions += _filters(asked, arm)
        if page and not arm.is_ledger:
            conditions += _in_page(asked, arm, page) if page_spans is None else _while_page(arm, page, page_spans)
        joined = _RULES_OF_ROWS if arm.is_ledger and RULE in asked.groups else sql.SQL("")
        numbers = sql.SQL(", ").join(sql.SQL(str(number)) for number in range(1, len(asked.groups) + 2))
        selects.append(
            sql.SQL("SELECT {} FROM {}{} WHERE {}{}").format(
                sql.SQL(", ").join(found),
                sql.Identifier(arm.table),
                joined,
                all_of(conditions),
                sql.SQL(" GROUP BY {}").format(numbers) if folds or is_summed else sql.SQL(""),
            )
        )
    return sql.SQL("({}) AS used").format(sql.SQL(" UNION ALL ").join(selects))


def group_column(number: int) -> sql.Composable:
    return sql.Identifier(f"group_{number}")


def columns_of(measures: Sequence[str], *, is_ledger: bool) -> tuple[str, ...]:
    """The columns that sums over these measures need."""
    if not is_ledger:
        return tuple(measures)
    return COUNTS_NEED if any(name in COUNTS for name in measures) else SUMS_NEED


def sums_of(measures: Sequence[str], *, is_ledger: bool) -> list[sql.Composable]:
    """The sums over `used`, in the order of the measures; none of them a latency."""
    if is_ledger:
        return row_sums(measures)
    return [sql.SQL("usage_total({})").format(sql.Identifier(name)) for name in measures]


_RULES_OF_ROWS: Final = sql.SQL(
    " CROSS JOIN LATERAL (SELECT unnest(rule_ids) AS rule_id FROM usage_rulesseen WHERE digest = rules_digest) AS ruled"
)


def is_among(name: str, group: sql.Composable, values: Iterable[str]) -> sql.Composable:
    """Whether a group's column holds one of these values, as the API writes them."""
    if name in IDS:
        ids = sorted({UUID(value) if value else NOBODY for value in values})
        return sql.SQL("{} = ANY({}::uuid[])").format(group, sql.Literal(ids))
    return sql.SQL("{} = ANY({}::text[])").format(group, sql.Literal(sorted(set(values))))


def _group(name: str, arm: Arm) -> sql.Composable:
    """A group's value, never NULL. Only ids may be missing in roll-ups, and what metadata does not name in rows."""
    value = _value(name, arm)
    if name in IDS:
        return sql.SQL("COALESCE({}, {})").format(value, sql.Literal(NOBODY))
    return sql.SQL("COALESCE({}, '')").format(value) if arm.is_ledger else value


def _in_page(asked: Asked, arm: Arm, page: str) -> Iterator[sql.Composable]:
    """People and keys of a page: they have indexes."""
    for number, name in enumerate(asked.groups):
        if name not in ("user", "key"):
            continue
        value = _value(name, arm)
        wanted = sql.SQL("{} = ANY(ARRAY(SELECT {} FROM {}))").format(value, group_column(number), sql.Identifier(page))
        yield sql.SQL("({} OR {} IS NULL)").format(wanted, value) if name in IDS else wanted


def _while_page(arm: Arm, page: str, spans: str) -> Iterator[sql.Composable]:
    """The part of the range that a page is of: often a day of a month."""
    table = sql.Identifier(page)
    first = sql.SQL("(SELECT min(start) FROM {})").format(table)
    last = sql.SQL("((SELECT max(start) FROM {}) + {}::interval)").format(table, sql.Literal(spans))
    if arm.table.endswith("day"):
        yield sql.SQL("day >= ({} AT TIME ZONE 'UTC')::date AND day < {} AT TIME ZONE 'UTC'").format(first, last)
    else:
        column = sql.Identifier("minute" if arm.table.endswith("minute") else "hour")
        yield sql.SQL("{0} >= {1} AND {0} < {2}").format(column, first, last)


def _column(name: str, share: int, *, folds: bool) -> sql.Composable:
    column = sql.Identifier(name)
    value = column if share == 1 else sql.SQL("{} * {}").format(column, share)
    if folds:
        return sql.SQL("usage_total({}) AS {}").format(value, column)
    return sql.SQL("{} AS {}").format(value, column)


def _value(name: str, arm: Arm) -> sql.Composable:
    if is_label(name) and not arm.is_ledger:
        return sql.Identifier("value") if arm.part is None else sql.SQL("{}::text").format(sql.Literal(arm.part))
    if name == SESSION:
        return sql.Identifier("session_id")
    if name == RULE:
        return sql.Identifier("rule_id")
    if name.startswith(METADATA) and 0 < len(name) - len(METADATA) <= MOST_TAG_LENGTH:
        tag = sql.Literal(name.removeprefix(METADATA))
        # What key, principal and team say wins over what the request's header said.
        return sql.SQL("COALESCE(tags ->> {tag}, request_tags ->> {tag})").format(tag=tag)
    if name not in GROUPINGS:
        known = ", ".join((*GROUPINGS, SESSION, RULE, METADATA + "<key>"))
        raise UnknownGrouping(f"{name[:60]!r} is none of {known}")
    if name in _COMPUTED and arm.is_ledger:
        return _COMPUTED[name]
    return sql.Identifier(GROUPINGS[name])


def _filters(asked: Asked, arm: Arm) -> Iterator[sql.Composable]:
    for name, values in asked.filters.items():
        if is_label(name) and arm.part is not None:
            # What has no such tag was chosen when the arm was.
            continue
        if name == RULE and arm.is_ledger:
            yield sql.SQL(
                "rules_digest IN (SELECT digest FROM usage_rulesseen WHERE rule_ids && {}::varchar[])"
            ).format(sql.Literal(list(values)))
            if RULE in asked.groups:
                yield sql.SQL("rule_id = ANY({})").format(sql.Literal(list(values)))
            continue
        yield _filter(name, values, arm)
        if name == "key" and arm.is_ledger and all(values):
            yield from key_conditions(asked.scope.organization_id, values)


def _filter(name: str, values: Sequence[str], arm: Arm) -> sql.Composable:
    """One of several values; an empty one: not known. Columns are compared as they are, so that indexes serve."""
    value = _value(name, arm)
    if name not in IDS:
        if name.startswith(METADATA) or (name in _COMPUTED and arm.is_ledger):
            value = sql.SQL("COALESCE({}, '')").format(value)
        return sql.SQL("{} = ANY({})").format(value, sql.Literal(list(values)))
    ids = [found for found in map(_uuid, values) if found is not None]
    condition = sql.SQL("{} = ANY({}::uuid[])").format(value, sql.Literal(ids))
    return condition if all(values) else sql.SQL("({} OR {} IS NULL)").format(condition, value)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
