"""What rows really added to the ledger add to hours, days, sessions and keys. Pure.

Each delta is the sum of its rows, reversals included with their sign, so the sum over a roll-up equals the sum over the
ledger at every commit. Deltas come out sorted by key: workers that merge them wait for one another in one direction
only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from hashlib import blake2b
from uuid import UUID

from control_plane.usage import entries, histogram
from control_plane.usage.entries import LedgerRow


@dataclass(frozen=True, slots=True)
class Grain:
    """What a roll-up row is about, apart from its time."""

    organization_id: UUID
    team_id: UUID | None
    principal_id: UUID | None
    principal_kind: str
    key_id: str
    provider_id: UUID | None
    provider_name: str
    model: str
    requested_model: str
    client: str
    protocol: str
    outcome: str
    status_class: str

    @property
    def id(self) -> UUID:
        """Sixteen bytes in place of thirteen columns: the second half of a roll-up's primary key."""
        # The separator cannot occur in a name: names from events have no NUL.
        text = "\x00".join(str(getattr(self, name)) for name in GRAIN_COLUMNS)
        return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())


GRAIN_COLUMNS: tuple[str, ...] = tuple(part.name for part in fields(Grain))


@dataclass(slots=True)
class Measures:
    """Sums over rows. Grows while rows are folded; costs are nano-USD.

    requests counts exchanges (by their first attempt, or the refusal before it), attempts what went to a provider.
    cost is what all tokens are worth; subscription_cost the part of it that a caller's own account paid.
    """

    requests: int = 0
    attempts: int = 0
    errors: int = 0
    refusals: int = 0
    estimates: int = 0
    input_fresh: int = 0
    input_tool: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_30m: int = 0
    cache_write_12h: int = 0
    cache_write_other: int = 0
    output: int = 0
    reasoning: int = 0
    web_searches: int = 0
    cost_nano_usd: int = 0
    subscription_cost_nano_usd: int = 0
    gateway_counts: list[int] = field(default_factory=histogram.empty)
    first_token_counts: list[int] = field(default_factory=histogram.empty)
    duration_counts: list[int] = field(default_factory=histogram.empty)

    def add(self, row: LedgerRow) -> None:
        if row.kind == entries.ADJUSTMENT:
            # Money alone: no exchange stands behind it.
            self.cost_nano_usd += row.cost_nano_usd
            return
        sign = row.sign
        self.requests += sign * (row.attempt <= 1)
        self.attempts += sign * (row.attempt >= 1)
        self.errors += sign * (row.outcome in (entries.FAILED, entries.INTERNAL))
        self.refusals += sign * (row.outcome == entries.REFUSED)
        self.estimates += _estimates_of(row)
        # Spelt out: this runs for every event, twice.
        self.input_fresh += row.input_fresh
        self.input_tool += row.input_tool
        self.cache_read += row.cache_read
        self.cache_write_5m += row.cache_write_5m
        self.cache_write_1h += row.cache_write_1h
        self.cache_write_30m += row.cache_write_30m
        self.cache_write_12h += row.cache_write_12h
        self.cache_write_other += row.cache_write_other
        self.output += row.output
        self.reasoning += row.reasoning
        self.web_searches += row.web_searches
        self.cost_nano_usd += row.cost_nano_usd
        if row.is_subscription:
            self.subscription_cost_nano_usd += row.cost_nano_usd
        self.gateway_counts[histogram.bucket_of(row.gateway_us)] += sign
        # Zero: no token came (a refusal, a failure, a count).
        if row.first_token_us > 0:
            self.first_token_counts[histogram.bucket_of(row.first_token_us)] += sign
        if row.attempt >= 1:
            self.duration_counts[histogram.bucket_of(row.duration_us)] += sign

    def merge(self, other: "Measures") -> None:
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in COUNTS:
            mine: list[int] = getattr(self, name)
            for bucket, count in enumerate(getattr(other, name)):
                mine[bucket] += count


COUNTS: tuple[str, ...] = ("gateway_counts", "first_token_counts", "duration_counts")
MEASURES: tuple[str, ...] = tuple(part.name for part in fields(Measures))
SUMS: tuple[str, ...] = tuple(name for name in MEASURES if name not in COUNTS)


SessionName = tuple[UUID, str, str]
"""Organization, key and the tool's own id."""


@dataclass(slots=True)
class SessionDelta:
    """What rows add to one conversation session of one key."""

    organization_id: UUID
    key_id: str
    session_id: str
    team_id: UUID | None
    principal_id: UUID | None
    principal_kind: str
    client: str
    client_version: str
    parent_session_id: str
    is_derived: bool
    first_seen: datetime
    last_seen: datetime
    models: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    measures: Measures = field(default_factory=Measures)

    @property
    def id(self) -> UUID:
        return session_row_id(self.organization_id, self.key_id, self.session_id)


@dataclass(frozen=True, slots=True)
class LastUse:
    """The newest use of a key among the rows."""

    key_id: str
    organization_id: UUID
    used_at: datetime
    exchange_id: str
    client: str


@dataclass(frozen=True, slots=True)
class Deltas:
    """All that the rows add, each tuple sorted by key."""

    hours: tuple[tuple[datetime, Grain, Measures], ...]
    days: tuple[tuple[date, Grain, Measures], ...]
    sessions: tuple[SessionDelta, ...]
    last_uses: tuple[LastUse, ...]


def session_row_id(organization_id: UUID, key_id: str, session_id: str) -> UUID:
    """Name a session: the tool's own id is its word only, so it is bound to the organization and the key."""
    text = f"{organization_id.hex}\x00{key_id}\x00{session_id}"
    return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())


def grain_of(row: LedgerRow) -> Grain:
    return Grain(
        row.organization_id,
        row.team_id,
        row.principal_id,
        row.principal_kind,
        row.key_id,
        row.provider_id,
        row.provider_name,
        row.model,
        row.requested_model,
        row.client,
        row.protocol,
        row.outcome,
        f"{row.client_status // 100}xx" if row.client_status else "",
    )


def hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def fold(rows: Iterable[LedgerRow]) -> Deltas:
    """Sum rows into deltas.

    The hour and day are those of `started_at`, in UTC.
    """
    hours: dict[tuple[datetime, Grain], Measures] = {}
    sessions: dict[SessionName, SessionDelta] = {}
    last_uses: dict[str, LastUse] = {}
    for row in rows:
        where = (hour_of(row.counted_at), grain_of(row))
        measures = hours.get(where)
        if measures is None:
            measures = hours[where] = Measures()
        measures.add(row)
        if row.key_id:
            _note_use(last_uses, row)
        if row.session_id and row.key_id:
            _note_session(sessions, row)
    days: dict[tuple[date, Grain], Measures] = {}
    for (hour, grain), measures in hours.items():
        days.setdefault((hour.date(), grain), Measures()).merge(measures)
    return Deltas(
        tuple((hour, grain, hours[hour, grain]) for hour, grain in sorted(hours, key=_by_time_and_grain)),
        tuple((day, grain, days[day, grain]) for day, grain in sorted(days, key=_by_time_and_grain)),
        tuple(sorted(sessions.values(), key=lambda session: session.id)),
        tuple(last_uses[key] for key in sorted(last_uses)),
    )


def _by_time_and_grain(where: tuple[date, Grain]) -> tuple[date, UUID]:
    return (where[0], where[1].id)


def _estimates_of(row: LedgerRow) -> int:
    if row.kind == entries.ESTIMATED:
        return 1
    reverses_estimate = row.kind == entries.REVERSAL and row.revision % 4 == entries.CERTAINTY[entries.ESTIMATED]
    return -1 if reverses_estimate else 0


def _note_use(last_uses: dict[str, LastUse], row: LedgerRow) -> None:
    known = last_uses.get(row.key_id)
    if known is None or row.started_at > known.used_at:
        last_uses[row.key_id] = LastUse(row.key_id, row.organization_id, row.started_at, row.exchange_id, row.client)


def _note_session(sessions: dict[SessionName, SessionDelta], row: LedgerRow) -> None:
    name = (row.organization_id, row.key_id, row.session_id)
    session = sessions.get(name)
    if session is None:
        session = sessions[name] = SessionDelta(
            organization_id=row.organization_id,
            key_id=row.key_id,
            session_id=row.session_id,
            team_id=row.team_id,
            principal_id=row.principal_id,
            principal_kind=row.principal_kind,
            client=row.client,
            client_version=row.client_version,
            parent_session_id=row.parent_session_id,
            is_derived=row.session_is_derived,
            first_seen=row.started_at,
            last_seen=row.started_at,
        )
    session.first_seen = min(session.first_seen, row.started_at)
    if row.started_at >= session.last_seen:
        session.last_seen = row.started_at
        session.client = row.client or session.client
        session.client_version = row.client_version or session.client_version
    session.parent_session_id = session.parent_session_id or row.parent_session_id
    if row.model and row.sign > 0:
        session.models.add(row.model)
    if row.agent_id and row.sign > 0:
        session.agents.add(row.agent_id)
    session.measures.add(row)
