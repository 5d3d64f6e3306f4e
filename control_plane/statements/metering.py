"""A day's usage by what was metered: kinds of tokens, searches, pieces; each with the price it was booked at.

Read from the ledger, since roll-ups know neither versions of prices nor kinds of tokens by price. Rows are summed where
everything is alike that decides a rate; rows with passes of other models or with pieces are few, and read one by one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from psycopg import sql

from control_plane.catalog.models import ListPrice, OrganizationPrice
from control_plane.statements.reading import WHO, Teams
from control_plane.usage import ulid
from control_plane.usage.entries import AMOUNTS, BLANK, JSON_COLUMNS, REVERSAL, LedgerRow
from control_plane.usage.row_costs import passes_of
from switchyard_contract.usage import KINDS, TokenCounts

ADMITTED_BEFORE: Final = timedelta(hours=12)
"""How long before an attempt began its exchange may have been admitted, with much to spare."""
ADMITTED_AFTER: Final = timedelta(hours=1)
"""None is, but for a pod whose clock was set back meanwhile."""
_PRICED_BY: Final = ("is_subscription", "vendor", "price_version", "service_tier", "inference_geo")
GROUP: Final = (*WHO, "provider_id", "region", *_PRICED_BY)
_PROMPT: Final = KINDS[:8]
_ONE: Final = "CASE WHEN attempt > 1 THEN 0 WHEN kind = 'reversal' THEN -1 ELSE 1 END"


@dataclass(frozen=True, slots=True)
class Metered:
    """What decides whose usage it is, and its rates."""

    team_id: UUID | None
    principal_id: UUID | None
    principal_kind: str
    account: str
    model: str
    provider_id: UUID | None
    region: str
    is_subscription: bool
    vendor: str
    price_version: str
    service_tier: str
    inference_geo: str
    band: int
    """The prompt reached so many tokens, a step of some price; 0: none."""


@dataclass(slots=True)
class Amounts:
    """What came together. cost: as booked, nano-USD. rows: how often a sum was rounded."""

    requests: int = 0
    rows: int = 0
    cost: int = 0
    web_searches: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * len(KINDS))
    units: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def tokens_in(self) -> int:
        return sum(self.tokens[: len(_PROMPT)])

    @property
    def tokens_out(self) -> int:
        return sum(self.tokens[len(_PROMPT) :])


def read_metered(organization_id: UUID, day: date, teams: Teams = None) -> dict[Metered, Amounts]:
    """Usage that began and counts on a day (UTC). Corrections of closed months are not in it."""
    steps = _steps(organization_id)
    where = _where(organization_id, day, teams)
    found: dict[Metered, Amounts] = defaultdict(Amounts)
    bucket = sql.SQL("width_bucket(abs({})::bigint, {}::bigint[])").format(
        sql.SQL(" + ").join(map(sql.Identifier, _PROMPT)), sql.Literal(steps)
    )
    group = sql.SQL(", ").join(map(sql.Identifier, GROUP))
    summed = sql.SQL(", ").join(sql.SQL("sum({})::bigint").format(sql.Identifier(name)) for name in KINDS)
    statement = sql.SQL(
        "SELECT {group}, {bucket}, sum({one})::bigint, count(*), sum(cost_nano_usd)::bigint, sum(web_searches)::bigint,"
        " {summed} FROM usage_ledger WHERE {where} AND extras = '{{}}' GROUP BY {group}, {bucket}"
    ).format(group=group, bucket=bucket, one=sql.SQL(_ONE), summed=summed, where=where)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        for row in cursor.fetchall():
            place = len(GROUP)
            band = steps[row[place] - 1] if row[place] else 0
            requests, rows, cost, searches, *tokens = row[place + 1 :]
            found[Metered(*(*row[:place], band))] = Amounts(requests, rows, cost, searches, tokens)
    for each in _read_apart(where):
        _add_apart(found, each, steps)
    return dict(found)


def _where(organization_id: UUID, day: date, teams: Teams) -> sql.Composable:
    since = datetime.combine(day, time(), UTC)
    conditions = [
        sql.SQL("organization_id = {}").format(sql.Literal(organization_id)),
        # The partition's day is that of admission, at most minutes before the start; its neighbours are not read whole.
        sql.SQL("day BETWEEN {} AND {}").format(
            sql.Literal(day - timedelta(days=1)), sql.Literal(day + timedelta(days=1))
        ),
        sql.SQL("exchange_id >= {} AND exchange_id <= {}").format(
            sql.Literal(ulid.lowest_at(since - ADMITTED_BEFORE)),
            sql.Literal(ulid.lowest_at(since + timedelta(days=1) + ADMITTED_AFTER)),
        ),
        sql.SQL("counted_at >= {} AND counted_at < {}").format(
            sql.Literal(since), sql.Literal(since + timedelta(days=1))
        ),
        sql.SQL("counted_at = started_at AND kind <> 'adjustment'"),
    ]
    if teams is not None:
        some = sql.SQL("team_id = ANY({}::uuid[])").format(sql.Literal([team for team in teams if team is not None]))
        none = sql.SQL("OR team_id IS NULL") if None in teams else sql.SQL("")
        conditions.append(sql.SQL("({} {})").format(some, none))
    return sql.SQL(" AND ").join(conditions)


def _read_apart(where: sql.Composable) -> list[tuple[LedgerRow, int]]:
    """Rows with pieces or passes, with positive amounts; and the sign of each."""
    names = (*GROUP, *AMOUNTS, "kind", "attempt", "extras")
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text" if name in JSON_COLUMNS else "{}").format(sql.Identifier(name)) for name in names
    )
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM usage_ledger WHERE {} AND extras <> '{{}}'").format(columns, where))
        found = []
        for values in cursor.fetchall():
            said: dict[str, Any] = dict(zip(names, values, strict=True))
            sign = -1 if said["kind"] == REVERSAL else 1
            said |= {name: sign * said[name] for name in AMOUNTS}
            identity = {"day": date.min, "started_at": datetime.min, "organization_id": UUID(int=0)}
            found.append((LedgerRow(**{**BLANK, **identity, **said}), sign))
    return found


def _add_apart(found: dict[Metered, Amounts], each: tuple[LedgerRow, int], steps: Sequence[int]) -> None:
    row, sign = each
    for place, one in enumerate(passes_of(row)):
        whose = [getattr(row, name) for name in GROUP]
        whose[GROUP.index("model")], whose[GROUP.index("price_version")] = one.model, one.price_version
        amounts = found[Metered(*(*whose, _step(one.tokens, steps)))]
        amounts.requests += sign * (not place and row.attempt <= 1)
        amounts.rows += 1
        amounts.cost += sign * one.cost_nano_usd
        amounts.web_searches += sign * one.billed.web_searches
        amounts.tokens = [all_of + sign * more for all_of, more in zip(amounts.tokens, one.tokens, strict=True)]
        for kind, count in one.billed.units:
            amounts.units[kind] += sign * count


def _step(tokens: TokenCounts, steps: Sequence[int]) -> int:
    return max((step for step in steps if tokens.prompt >= step), default=0)


def _steps(organization_id: UUID) -> list[int]:
    """Where a longer prompt has other rates, by any price."""
    own = OrganizationPrice.objects.filter(organization_id=organization_id).exclude(bands=[])
    lists = [*ListPrice.objects.exclude(bands=[]).values_list("bands", flat=True), *own.values_list("bands", flat=True)]
    return sorted({int(band["from_prompt_tokens"]) for bands in lists for band in bands})
