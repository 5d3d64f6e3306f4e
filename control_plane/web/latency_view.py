"""Latencies as pages show them: quantiles over time, and by model, provider or tool; beside the range before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from control_plane.dashboards.charts import STEPS_S, interval_starts
from control_plane.dashboards.lines import UNIT_DURATION, Line, LineChart, line_chart
from control_plane.usage.histogram import quantile_us
from control_plane.usage.rollups import COUNTS, Measures
from control_plane.usage.selectors.parts import EXACT_UP_TO
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import Interval, SeriesQuery, latency_is_known, usage_points, usage_series
from control_plane.web import numbers
from control_plane.web.names import Names
from control_plane.web.ranges import TimeRange

Filters = Mapping[str, Sequence[str]]
QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
COMPARED = QUANTILES[:2]
"""What is drawn of the range before: more lines cannot be told apart."""
MOST_ROWS = 100
NOTHING: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the time that an exchange takes. counts: the histogram that counts it."""

    counts: str
    title: str
    says: str


PARTS = (
    Part("first_token_counts", "First token", "from the request's arrival to the first token of the answer"),
    Part("inter_token_counts", "Between tokens", "time per output token after the first one"),
    Part("duration_counts", "Whole answer", "from the request's arrival to the answer's end"),
    Part("gateway_counts", "Gateway's share", "before the provider had the request: what we add"),
)


@dataclass(frozen=True, slots=True)
class PartChart:
    """One part over time."""

    part: Part
    chart: LineChart
    sentence: str

    @property
    def id(self) -> str:
        return f"latency-{self.part.counts.removesuffix('_counts').replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One group over the whole range. parts: p50 and p95 of each of PARTS, in their order; None: too few were seen."""

    value: str
    name: str
    answers: int
    parts: tuple[tuple[int | None, int | None], ...]
    before: tuple[tuple[int | None, int | None], ...] | None = None
    """The same in the range before; None: it is not compared."""
    answers_before: int = 0

    @property
    def titled(self) -> list[tuple[str, int | None, int | None, str]]:
        """(title, p50, p95, how p50 changed): where a phone has no heads of columns, each value says what it is."""
        before = self.before or (NOTHING,) * len(PARTS)
        return [
            (part.title, p50, p95, change_words(p50, was))
            for part, (p50, p95), (was, _) in zip(PARTS, self.parts, before, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Tile:
    """One part over the whole range, beside the range before."""

    part: Part
    p50: int | None
    p95: int | None
    p50_before: int | None

    @property
    def change(self) -> str:
        """`+18 % (400 ms → 472 ms)`; empty: nothing to compare with."""
        if self.p50 is None or not self.p50_before:
            return ""
        was, now = numbers.duration(self.p50_before), numbers.duration(self.p50)
        return f"{numbers.change(self.p50, self.p50_before)} ({was} → {now})"


def change_words(now: int | None, before: int | None) -> str:
    """`+18 % from 400 ms`; a dash where one of them is not known."""
    if now is None or not before:
        return "–"
    return f"{numbers.change(now, before)} from {numbers.duration(before)}"


def latency_charts(
    scope: Scope, span: TimeRange, filters: Filters, *, zone: ZoneInfo, behind: str, compare: bool = False
) -> tuple[PartChart, ...] | None:
    """Each part's quantiles over time. None: latencies are not known for this question over this range.

    compare: with dashed lines of the range before, its first interval over the first.
    """
    query = _query(scope, span, filters, zone=zone, interval=span.interval)
    if not latency_is_known(query):
        return None
    starts = interval_starts(span.since, span.until, span.interval, zone)
    measures = _by_interval(query, starts)
    before: list[Measures | None] = []
    if compare:
        earlier = _before(query, span)
        first = span.before_since.astimezone(zone)
        before = _by_interval(earlier, interval_starts(first, span.before_until, span.interval, zone))[: len(starts)]
        # A month may be shorter than the one after it.
        before += [None] * (len(starts) - len(before))
    found = []
    for part in PARTS:
        lines = [
            Line(label, tuple(_quantile(each, part.counts, share) for each in measures), color)
            for color, (share, label) in enumerate(QUANTILES)
        ]
        if compare:
            lines += [
                Line(
                    f"{label}, {span.before_label}",
                    tuple(_quantile(each, part.counts, share) for each in before),
                    color,
                    is_dashed=True,
                )
                for color, (share, label) in enumerate(COMPARED)
            ]
        drawn = line_chart(UNIT_DURATION, zone, starts, STEPS_S[span.interval], lines, behind=behind)
        found.append(PartChart(part, drawn, _sentence(part, span, compare=compare)))
    return tuple(found)


def latency_rows(
    scope: Scope, span: TimeRange, group: str, names: Names, filters: Filters, *, compare: bool = False
) -> list[LatencyRow]:
    """Each group of a range, the busiest first; compare: beside what each was in the range before."""
    query = _query(scope, span, filters, group_by=(group,), interval=_of_sums(span))
    if not latency_is_known(query):
        return []
    found = {key[0]: measures for key, measures in _sums(query).items() if sum(measures.duration_counts)}
    names.learn(group, set(found))
    earlier = {key[0]: measures for key, measures in _sums(_before(query, span)).items()} if compare else None
    rows = [_row(value, measures, names.of(group, value), earlier) for value, measures in found.items()]
    rows.sort(key=lambda row: (-row.answers, row.name))
    return rows[:MOST_ROWS]


def latency_tiles(scope: Scope, span: TimeRange, filters: Filters) -> tuple[Tile, ...] | None:
    """Everything of a range as one, beside the range before. None: not known for this question; empty: no answer."""
    query = _query(scope, span, filters, interval=_of_sums(span))
    if not latency_is_known(query):
        return None
    now, before = (_sums(each).get((), Measures()) for each in (query, _before(query, span)))
    if not sum(now.duration_counts):
        return ()
    return tuple(
        Tile(
            part,
            _quantile(now, part.counts, 0.5),
            _quantile(now, part.counts, 0.95),
            _quantile(before, part.counts, 0.5),
        )
        for part in PARTS
    )


def _of_sums(span: TimeRange) -> Interval:
    """A short range is summed from its minutes."""
    return Interval.MINUTE if span.interval is Interval.MINUTE else Interval.TOTAL


def _sums(query: SeriesQuery) -> dict[tuple[str, ...], Measures]:
    """All of a range by group."""
    found: dict[tuple[str, ...], Measures] = {}
    for point in usage_points(query):
        if point.group in found:
            found[point.group].merge(point.measures)
        else:
            found[point.group] = point.measures
    return found


def _before(query: SeriesQuery, span: TimeRange) -> SeriesQuery:
    """The same question of the range before. Of longer ranges the hour in which they meet is whole in the later one."""
    since, until = span.before_since, span.before_until
    if span.until - span.since > EXACT_UP_TO:
        since, until = (at.replace(minute=0, second=0, microsecond=0) for at in (since, until))
    return replace(query, since=since, until=until)


def _by_interval(query: SeriesQuery, starts: Sequence[datetime]) -> list[Measures | None]:
    points = {point.start.timestamp(): point.measures for point in usage_series(query) if point.start is not None}
    return [points.get(start.timestamp()) for start in starts]


def _query(
    scope: Scope,
    span: TimeRange,
    filters: Filters,
    *,
    interval: Interval,
    zone: ZoneInfo | None = None,
    group_by: tuple[str, ...] = (),
) -> SeriesQuery:
    return SeriesQuery(
        scope=scope,
        since=span.since,
        until=span.until,
        interval=interval,
        zone=zone or ZoneInfo("UTC"),
        group_by=group_by,
        filters=filters,
        measures=("requests", *COUNTS),
    )


def _row(value: str, measures: Measures, name: str, earlier: Mapping[str, Measures] | None) -> LatencyRow:
    before = None if earlier is None else earlier.get(value, Measures())
    return LatencyRow(
        value,
        name,
        sum(measures.duration_counts),
        _parts(measures),
        None if before is None else _parts(before),
        0 if before is None else sum(before.duration_counts),
    )


def _parts(measures: Measures) -> tuple[tuple[int | None, int | None], ...]:
    return tuple((_quantile(measures, part.counts, 0.5), _quantile(measures, part.counts, 0.95)) for part in PARTS)


def _quantile(measures: Measures | None, counts: str, share: float) -> int | None:
    return quantile_us(getattr(measures, counts), share) if measures is not None else None


def _sentence(part: Part, span: TimeRange, *, compare: bool) -> str:
    said = f"{part.title}, {span.label}: {part.says}; the median, and what 95 % and 99 % stay below, of enough answers"
    return f"{said}, beside the {span.before_label}." if compare else f"{said}."
