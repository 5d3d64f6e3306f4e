"""Exchanges: one row per client request, folded from the ledger's rows of its attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from psycopg import sql

from control_plane.usage import ulid
from control_plane.usage.entries import CERTAINTY, COLUMNS, JSON_COLUMNS, LedgerRow
from control_plane.usage.labels import NONE
from control_plane.usage.replacement import standing
from control_plane.usage.selectors.key_days import key_conditions
from control_plane.usage.selectors.scope import Scope, all_of
from control_plane.usage.selectors.standing import session_conditions
from switchyard_contract.usage import KINDS as TOKEN_KINDS
from switchyard_contract.usage import TokenCounts

DEFAULT_RANGE = timedelta(days=31)
_MAY_BE_ABSENT: Final = {
    "user": "principal_id",
    "team": "team_id",
    "provider": "provider_id",
    "key": "key_id",
    "model": "model",
    "client": "client",
    "reason": "reason",
}
"""Names in addresses, and the columns that they are about."""
# A row counts for a search while it stands: an estimate that was taken back must not be found. Corrections by people
# are no exchanges.
_IS_STANDING = sql.SQL(
    "kind <> 'reversal' AND ((kind = 'final' AND revision = 0) OR NOT EXISTS (SELECT 1 FROM usage_ledger AS undone"
    " WHERE undone.day = entry.day AND undone.exchange_id = entry.exchange_id AND undone.attempt = entry.attempt"
    " AND undone.kind = 'reversal' AND undone.revision = entry.revision * 4 + CASE entry.kind"
    " WHEN 'orphan_estimated' THEN 0 WHEN 'estimated' THEN 1 WHEN 'counted' THEN 2 ELSE 3 END))"
)


@dataclass(frozen=True, slots=True)
class ExchangeSearch:
    """What exchanges are looked for; None or empty: anything."""

    scope: Scope
    since: datetime | None = None
    until: datetime | None = None
    request_id: str = ""
    """Ours, or the provider's."""
    session_id: str = ""
    principal_id: UUID | None = None
    team_id: UUID | None = None
    key_id: str = ""
    provider_id: UUID | None = None
    model: str = ""
    """Requested or answered."""
    client: str = ""
    protocol: str = ""
    status: str = ""
    """A number, or a class such as 4xx."""
    outcome: str = ""
    reason: str = ""
    kind: str = ""
    absent: frozenset[str] = frozenset()
    """Columns that must be empty: what reached no model, what is nobody's."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One client request and its answer."""

    attempts: tuple[LedgerRow, ...]
    """The standing row of each attempt, in order; never empty. A single attempt 0: refused before any."""

    @property
    def first(self) -> LedgerRow:
        return self.attempts[0]

    @property
    def last(self) -> LedgerRow:
        """What the client got."""
        return self.attempts[-1]

    @property
    def id(self) -> str:
        return self.first.exchange_id

    @property
    def started_at(self) -> datetime:
        return min(row.started_at for row in self.attempts)

    @property
    def attempt_count(self) -> int:
        return sum(row.attempt >= 1 for row in self.attempts)

    @property
    def kind(self) -> str:
        """The least sure of the attempts."""
        return min((row.kind for row in self.attempts), key=lambda kind: CERTAINTY[kind])

    @property
    def tokens(self) -> TokenCounts:
        return TokenCounts(**{kind: sum(getattr(row, kind) for row in self.attempts) for kind in TOKEN_KINDS})

    @property
    def cost_nano_usd(self) -> int:
        return sum(row.cost_nano_usd for row in self.attempts)

    @property
    def is_subscription(self) -> bool:
        return any(row.is_subscription for row in self.attempts)

    @property
    def price_version(self) -> str:
        return self.last.price_version

    @property
    def gateway_us(self) -> int:
        return self.first.gateway_us

    @property
    def duration_us(self) -> int:
        """From the first attempt's start to the last one's end."""
        return max(_since(self.started_at, row) + row.duration_us for row in self.attempts)

    @property
    def ended_at(self) -> datetime:
        """When the last of its attempts ended."""
        return max(row.started_at + timedelta(microseconds=row.duration_us) for row in self.attempts)

    @property
    def first_token_us(self) -> int | None:
        """None: no token came."""
        return _since(self.started_at, self.last) + self.last.first_token_us if self.last.first_token_us else None

    @property
    def metadata(self) -> tuple[str, str]:
        """Tags that win, and what the request said: two JSON objects as text."""
        return self.last.tags, self.last.request_tags


def _since(start: datetime, row: LedgerRow) -> int:
    return (row.started_at - start) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ExchangePage:
    """Newest first. before: hand it in to get the next page; empty: this is the last one."""

    exchanges: tuple[Exchange, ...]
    before: str


def exchanges_page(search: ExchangeSearch, *, before: str = "", limit: int = 50) -> ExchangePage:
    """Find exchanges, newest first, by keyset over their ids, which ascend with time.

    Without a beginning the last 31 days are searched, so that a rare match does not open every partition.
    """
    ids = _ids(search, before, limit + 1)
    shown = ids[:limit]
    return ExchangePage(tuple(exchanges_load(search.scope, shown)), shown[-1] if len(ids) > limit else "")


def exchange_by_id(scope: Scope, exchange_id: str) -> Exchange | None:
    """Find one exchange. None: there is none in this scope."""
    try:
        ulid.day_of(exchange_id)
    except ulid.NotAUlid:
        return None
    found = exchanges_load(scope, [exchange_id])
    return found[0] if found else None


def newest_exchange_of_key(organization_id: UUID, key_id: str, *, since: datetime) -> Exchange | None:
    """Find the newest exchange of a key: has its first request arrived?"""
    search = ExchangeSearch(Scope(organization_id), since=since, key_id=key_id)
    page = exchanges_page(search, limit=1)
    return page.exchanges[0] if page.exchanges else None


def _ids(search: ExchangeSearch, before: str, limit: int) -> list[str]:
    conditions = search_conditions(search)
    if before:
        conditions.append(sql.SQL("exchange_id < {}").format(sql.Literal(before)))
    statement = sql.SQL(
        "SELECT DISTINCT exchange_id FROM usage_ledger AS entry WHERE {} ORDER BY exchange_id DESC LIMIT {}"
    ).format(all_of(conditions), sql.Literal(limit))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [row[0] for row in cursor.fetchall()]


def absent_columns(given: Mapping[str, str]) -> frozenset[str]:
    """The columns that an address wants empty: `model=(none)`."""
    return frozenset(column for name, column in _MAY_BE_ABSENT.items() if given.get(name) == NONE)


def search_conditions(search: ExchangeSearch) -> list[sql.Composable]:
    """What is true of standing rows, named `entry`, of the exchanges that are looked for."""
    return [*search.scope.conditions(), _IS_STANDING, *_conditions(search)]


def _conditions(search: ExchangeSearch) -> list[sql.Composable]:
    conditions: list[sql.Composable] = []

    def equal(column: str, value: object) -> None:
        if value:
            conditions.append(sql.SQL("{} = {}").format(sql.Identifier(column), sql.Literal(value)))

    _in_time(search, conditions)
    if search.request_id:
        conditions.append(
            sql.SQL("(exchange_id = {request} OR upstream_request_id = {request})").format(
                request=sql.Literal(search.request_id)
            )
        )
    if search.model:
        conditions.append(
            sql.SQL("(model = {model} OR requested_model = {model})").format(model=sql.Literal(search.model))
        )
    if search.status.isdigit() and len(search.status) == 3:
        equal("client_status", int(search.status))
    elif search.status:
        digit = int(search.status[0]) if search.status[0].isdigit() else 0
        conditions.append(sql.SQL("client_status / 100 = {}").format(sql.Literal(digit)))
    if search.session_id:
        conditions += session_conditions(search.scope.organization_id, search.session_id)
    equal("principal_id", search.principal_id)
    equal("team_id", search.team_id)
    equal("key_id", search.key_id)
    if search.key_id:
        conditions += key_conditions(search.scope.organization_id, [search.key_id])
    equal("provider_id", search.provider_id)
    equal("client", search.client)
    equal("protocol", search.protocol)
    equal("outcome", search.outcome)
    equal("reason", search.reason)
    equal("kind", search.kind)
    for column in sorted(search.absent):
        empty = "{} IS NULL" if column.endswith("_id") and column != "key_id" else "{} = ''"
        conditions.append(sql.SQL(empty).format(sql.Identifier(column)))
    return conditions


def _in_time(search: ExchangeSearch, conditions: list[sql.Composable]) -> None:
    """Bound the search by admission time: by day for the partitions, by id within them."""
    if search.request_id and not search.since:
        try:
            day = ulid.day_of(search.request_id)
        except ulid.NotAUlid:
            pass
        else:
            conditions.append(sql.SQL("day = {}").format(sql.Literal(day)))
            return
    since = search.since or (search.until or datetime.now(UTC)) - DEFAULT_RANGE
    bounds = [(">=", since)] if search.until is None else [(">=", since), ("<", search.until)]
    for comparison, at in bounds:
        by_day = ">=" if comparison == ">=" else "<="
        conditions.append(
            sql.SQL("day " + by_day + " {} AND exchange_id " + comparison + " {}").format(
                sql.Literal(at.astimezone(UTC).date()), sql.Literal(ulid.lowest_at(at))
            )
        )


def exchanges_load(scope: Scope, ids: Sequence[str]) -> list[Exchange]:
    """Read and fold the rows of exchanges, newest first. Attempts outside the scope stay unseen."""
    if not ids:
        return []
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) if name in JSON_COLUMNS else sql.Identifier(name)
        for name in COLUMNS
    )
    days = sorted({ulid.day_of(exchange_id) for exchange_id in ids})
    conditions = [
        *scope.conditions(),
        sql.SQL("day = ANY({})").format(sql.Literal(days)),
        sql.SQL("exchange_id = ANY({})").format(sql.Literal(list(ids))),
        sql.SQL("kind <> 'adjustment'"),
    ]
    statement = sql.SQL("SELECT {} FROM usage_ledger WHERE {}").format(columns, all_of(conditions))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = [LedgerRow(*values) for values in cursor.fetchall()]
    by_exchange: dict[str, list[LedgerRow]] = {}
    for row in standing(rows).values():
        by_exchange.setdefault(row.exchange_id, []).append(row)
    return [
        Exchange(tuple(sorted(by_exchange[name], key=lambda row: row.attempt)))
        for name in sorted(by_exchange, reverse=True)
    ]
