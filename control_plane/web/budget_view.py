"""Budgets as pages show them: a gauge per counter with its stages, what resets it, what was added for a while."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, QuerySet, Sum

from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.budgets.stages import loaded_stages, told_text
from control_plane.dashboards.reserved import CounterName, Reserved, reserved_of
from control_plane.rules.models import Mode
from control_plane.rules.periods import PeriodRule, Span, period_at, zone_of
from control_plane.usage.models import BudgetSpend
from control_plane.web.names import Names
from switchyard_contract.counters import PER_METADATA, counter_of, values_of

PAGE_ROWS = 25
ROOM_PERCENT = 9
"""So far apart two numbers below a gauge must be to be read on a phone."""
KINDS = {
    "principal": "user",
    "user": "user",
    "service_account": "user",
    "team": "team",
    "key": "key",
    "provider": "provider",
}
"""How `Names` calls what a counter is counted by."""
Held = Mapping[CounterName, Reserved] | None
"""None: the counter store is out of reach."""
ACTION_WORDS = {"alert": "tells", "downgrade": "downgrades", "block": "stops"}


@dataclass(frozen=True, slots=True)
class StageMark:
    """One stage of a gauge. told: for people."""

    at_percent: int
    action: str
    amount_nano_usd: int
    told: tuple[str, ...] = ()
    is_reached: bool = False

    @property
    def word(self) -> str:
        return ACTION_WORDS[self.action]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of a limit is spent. reserved_nano_usd: held by what runs now; None: not known here."""

    spent_nano_usd: int
    limit_nano_usd: int
    stages: tuple[StageMark, ...]
    reserved_nano_usd: int | None = None
    is_enforced: bool = True

    @property
    def percent(self) -> int:
        return 100 * self.spent_nano_usd // self.limit_nano_usd

    @property
    def left_nano_usd(self) -> int:
        return max(0, self.limit_nano_usd - self.spent_nano_usd)

    @property
    def _whole(self) -> int:
        """What the gauge's right end stands for, in per cent of the limit."""
        return max(100, *(mark.at_percent for mark in self.stages), min(self.percent, 130))

    def at(self, percent: float) -> str:
        """Where a share of the limit stands, in per cent of the gauge's width."""
        return f"{max(0.0, min(100.0, 100 * percent / self._whole)):.2f}%"

    @property
    def spent_width(self) -> str:
        return self.at(100 * self.spent_nano_usd / self.limit_nano_usd)

    @property
    def reserved_width(self) -> str:
        both = 100 * (self.spent_nano_usd + (self.reserved_nano_usd or 0)) / self.limit_nano_usd
        spent = 100 * self.spent_nano_usd / self.limit_nano_usd
        return self.at(min(both, self._whole) - min(spent, self._whole))

    @property
    def marks(self) -> list[tuple[str, StageMark, bool]]:
        """(where, the stage, whether its number has room before that of the next one)."""
        following = [*(mark.at_percent for mark in self.stages[1:]), None]
        return [
            (self.at(mark.at_percent), mark, after is None or after - mark.at_percent >= ROOM_PERCENT)
            for mark, after in zip(self.stages, following, strict=False)
        ]

    @property
    def stage(self) -> StageMark | None:
        """The last one that is reached."""
        return next((mark for mark in reversed(self.stages) if mark.is_reached), None)

    @property
    def tone(self) -> str:
        stage = self.stage
        if stage is None:
            return "fine"
        if not self.is_enforced:
            return "off"
        return "stopped" if stage.action == "block" else "look"

    @property
    def word(self) -> str:
        """The state in a word; colour alone says nothing."""
        stage = self.stage
        if stage is None:
            return "fine"
        if not self.is_enforced:
            return f"would have {'stopped' if stage.action == 'block' else 'acted'}"
        return {"block": "stopped", "downgrade": "downgrades", "alert": "told"}[stage.action]

    @property
    def state_tone(self) -> str:
        return {"fine": "works", "look": "look", "stopped": "stopped", "off": "off"}[self.tone]


@dataclass(frozen=True, slots=True)
class CounterRow:
    """One counter of a budget in the present period."""

    counter: str
    name: str
    gauge: Gauge
    count: int
    last_at: datetime | None
    raised_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class CounterPage:
    rows: Sequence[CounterRow]
    next: str
    near: int = 0
    """Counters that have reached their first stage."""
    total: int = 0
    spent_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class Present:
    """A budget with its period of now and the raises in force."""

    budget: Budget
    span: Span
    raises: Sequence[BudgetRaise] = field(default_factory=tuple)

    @property
    def period_ms(self) -> int:
        return int(self.span.id)

    @property
    def resets_at(self) -> datetime | None:
        return self.span.end

    @property
    def counts_since(self) -> datetime | None:
        """When it was made, in the course of this period: what was spent before is in no counter of it. None: it was
        there from the beginning."""
        made_at = self.budget.created_at
        return made_at if made_at.timestamp() * 1000 > self.period_ms else None

    @property
    def zone(self) -> str:
        return self.budget.timezone

    @property
    def resets_text(self) -> str:
        """Sunday 22 Nov, 00:00 Europe/Berlin; empty: never."""
        if self.span.end is None:
            return ""
        local = self.span.end.astimezone(zone_of(self.budget.timezone) or ZoneInfo("UTC"))
        return f"{local:%A %-d %b, %H:%M} {self.budget.timezone}"

    def limit_of(self, counter: str) -> int:
        return self.budget.limit_nano_usd + self.raised_of(counter)

    def raised_of(self, counter: str) -> int:
        return sum(each.amount_nano_usd for each in self.raises if each.counter in ("", counter))

    def gauge(self, counter: str, spent_nano_usd: int, reserved_nano_usd: int | None) -> Gauge:
        limit = self.limit_of(counter)
        marks = tuple(
            StageMark(
                stage.at_percent,
                stage.action,
                limit * stage.at_percent // 100,
                tuple(told_text(told) for told in stage.notify),
                spent_nano_usd * 100 >= limit * stage.at_percent,
            )
            for stage in loaded_stages(self.budget.stages)
        )
        return Gauge(spent_nano_usd, limit, marks, reserved_nano_usd, self.budget.mode == Mode.ENFORCE)


def present_of(budgets: Iterable[Budget], now: datetime) -> list[Present]:
    """Budgets with their periods and raises of now; one query."""
    found = list(budgets)
    raises: dict[UUID, list[BudgetRaise]] = {}
    in_force = BudgetRaise.objects.filter(budget__in=[each.id for each in found], from_at__lte=now, until_at__gt=now)
    for each in in_force.order_by("until_at", "id")[:2000]:
        raises.setdefault(each.budget_id, []).append(each)
    return [
        Present(each, period_at(PeriodRule(each.period, each.timezone, each.anchor), now), raises.get(each.id, []))
        for each in found
    ]


def spent_rows(presents: Sequence[Present]) -> QuerySet[BudgetSpend]:
    """What was posted in the present periods of these budgets."""
    where = Q(pk__in=[])
    for each in presents:
        where |= Q(budget_id=each.budget.id, period_ms=each.period_ms)
    organization_ids = {each.budget.organization_id for each in presents}
    return BudgetSpend.objects.filter(where, organization_id__in=organization_ids)


def counter_name(per: Sequence[str], counter: str, names: Names) -> str:
    """Whose counter it is: ada@example.com · claude-opus-4-8; empty: everybody's together."""
    parts = []
    for kind, value in zip(per, values_of(counter), strict=False):
        if kind == "organization":
            continue
        if kind in KINDS:
            parts.append(names.of(KINDS[kind], value))
        elif kind.startswith(PER_METADATA):
            parts.append(f"{kind.removeprefix(PER_METADATA)} {value or '–'}")
        else:
            parts.append(value or f"no {kind}")
    return " · ".join(parts)


def learn_names(per: Sequence[str], counters: Iterable[str], names: Names) -> None:
    """Look up all that counters speak of, with one query for each kind."""
    wanted: dict[str, set[str]] = {}
    for counter in counters:
        for kind, value in zip(per, values_of(counter), strict=False):
            if kind in KINDS:
                wanted.setdefault(KINDS[kind], set()).add(value)
    for kind, values in wanted.items():
        names.learn(kind, values)


def counters_page(
    present: Present,
    names: Names,
    *,
    within: Q | None = None,
    text: str = "",
    after: str = "",
    limit: int = PAGE_ROWS,
) -> CounterPage:
    """Counters of a budget in its present period, the fullest first. within: those that a person may see."""
    rows = spent_rows([present])
    if within is not None:
        rows = rows.filter(within)
    per = present.budget.per
    sums = rows.aggregate(
        total=Count("id"),
        near=Count("id", filter=_near(present)),
        spent=Sum("posted_nano_usd", default=0),
    )
    if text:
        rows = rows.filter(_named_like(per, text, names))
    if (cursor := _read_cursor(after)) is not None:
        posted, row_id = cursor
        rows = rows.filter(Q(posted_nano_usd__lt=posted) | Q(posted_nano_usd=posted, id__gt=row_id))
    found = list(rows.order_by("-posted_nano_usd", "id")[: limit + 1])
    shown = found[:limit]
    learn_names(per, [row.counter for row in shown], names)
    held = held_of((present, row.counter) for row in shown)
    return CounterPage(
        [counter_row(present, row.counter, row, names, held) for row in shown],
        _cursor(shown[-1]) if len(found) > limit else "",
        sums["near"],
        sums["total"],
        sums["spent"],
    )


def held_of(named: Iterable[tuple[Present, str]]) -> Held:
    """What running exchanges hold of counters, in one question to the counter store."""
    asked = list(named)
    if not asked:
        return {}
    counters = [CounterName(present.budget.id, present.period_ms, counter) for present, counter in asked]
    return reserved_of(asked[0][0].budget.organization_id, counters)


def counter_row(present: Present, counter: str, spent: BudgetSpend | None, names: Names, held: Held) -> CounterRow:
    """One counter; spent None: nothing was posted to it yet."""
    reserved = None
    if held is not None:
        reserved = held.get(CounterName(present.budget.id, present.period_ms, counter), Reserved(0, 0)).expected
    return CounterRow(
        counter,
        counter_name(present.budget.per, counter, names),
        present.gauge(counter, spent.posted_nano_usd if spent else 0, reserved),
        spent.count if spent else 0,
        spent.last_at if spent else None,
        present.raised_of(counter),
    )


def fullest_of(
    presents: Sequence[Present], names: Names, within: Callable[[Present], Q | None]
) -> Mapping[UUID, CounterRow]:
    """The fullest counter of each budget that somebody may see, by the budget's id; a fixed number of queries."""
    if not presents:
        return {}
    where = Q(pk__in=[])
    for each in presents:
        mine = within(each)
        where |= Q(budget_id=each.budget.id) if mine is None else Q(budget_id=each.budget.id) & mine
    rows = spent_rows(presents).filter(where)
    by_budget = {
        row.budget_id: row for row in rows.order_by("budget_id", "-posted_nano_usd", "id").distinct("budget_id")
    }
    for each in presents:
        if each.budget.id in by_budget:
            learn_names(each.budget.per, [by_budget[each.budget.id].counter], names)
    held = held_of((each, by_budget[each.budget.id].counter) for each in presents if each.budget.id in by_budget)
    return {
        each.budget.id: counter_row(each, row.counter, row, names, held)
        for each in presents
        if (row := by_budget.get(each.budget.id)) is not None
    }


def _near(present: Present) -> Q:
    """Counters that have reached their first stage, each by its own limit."""
    percent = min([stage.at_percent for stage in loaded_stages(present.budget.stages)], default=100)
    raised = {each.counter for each in present.raises} - {""}
    near = Q(posted_nano_usd__gte=present.limit_of("") * percent // 100) & ~Q(counter__in=raised)
    for counter in raised:
        near |= Q(counter=counter, posted_nano_usd__gte=present.limit_of(counter) * percent // 100)
    return near


def _named_like(per: Sequence[str], text: str, names: Names) -> Q:
    """Counters whose names hold a text: looked up by today's names, and in the counter itself."""
    where = Q(counter__icontains=counter_of([text]))
    for kind in {KINDS[each] for each in per if each in KINDS}:
        for value in names.ids_like(kind, text):
            where |= Q(counter__contains=value)
    return where


def _cursor(row: BudgetSpend) -> str:
    content = json.dumps([row.posted_nano_usd, row.id.hex])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, UUID] | None:
    """None: there is none, or it is not one of ours."""
    try:
        posted, row_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(posted), UUID(row_id)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return None
