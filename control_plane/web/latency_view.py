"""Latencies as pages show them: quantiles over time, and by model, provider or tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from control_plane.dashboards.charts import STEPS_S, interval_starts
from control_plane.dashboards.lines import UNIT_DURATION, Line, LineChart, line_chart
from control_plane.usage.histogram import quantile_us
from control_plane.usage.rollups import COUNTS, Measures
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import Interval, Point, SeriesQuery, latency_is_known, usage_series
from control_plane.web.names import Names
from control_plane.web.ranges import TimeRange

Filters = Mapping[str, Sequence[str]]
QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
MOST_ROWS = 100


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
    """One group over the whole range. parts: p50 and p95 of each of PARTS, in their order; None: nothing observed."""

    value: str
    name: str
    answers: int
    parts: tuple[tuple[int | None, int | None], ...]

    @property
    def titled(self) -> list[tuple[str, int | None, int | None]]:
        """(title, p50, p95): where a phone has no heads of columns, each value says what it is."""
        return [(part.title, p50, p95) for part, (p50, p95) in zip(PARTS, self.parts, strict=True)]


def latency_charts(
    scope: Scope, span: TimeRange, filters: Filters, *, zone: ZoneInfo, behind: str
) -> tuple[PartChart, ...] | None:
    """Each part's quantiles over time. None: latencies are not known for this question over this range."""
    query = _query(scope, span, filters, zone=zone, interval=span.interval)
    if not latency_is_known(query):
        return None
    points = {point.start.timestamp(): point.measures for point in usage_series(query) if point.start is not None}
    starts = interval_starts(span.since, span.until, span.interval, zone)
    measures = [points.get(start.timestamp()) for start in starts]
    found = []
    for part in PARTS:
        lines = [
            Line(label, tuple(_quantile(each, part.counts, share) for each in measures), color)
            for color, (share, label) in enumerate(QUANTILES)
        ]
        drawn = line_chart(UNIT_DURATION, zone, starts, STEPS_S[span.interval], lines, behind=behind)
        found.append(PartChart(part, drawn, _sentence(part, span)))
    return tuple(found)


def latency_rows(scope: Scope, span: TimeRange, group: str, names: Names, filters: Filters) -> list[LatencyRow]:
    """Each group of a range, the busiest first."""
    query = _query(scope, span, filters, group_by=(group,), interval=Interval.TOTAL)
    if not latency_is_known(query):
        return []
    points = usage_series(query)
    names.learn(group, {point.group[0] for point in points})
    rows = [_row(point, group, names) for point in points]
    rows.sort(key=lambda row: (-row.answers, row.name))
    return [row for row in rows if row.answers][:MOST_ROWS]


def summary(scope: Scope, span: TimeRange, filters: Filters) -> Measures | None:
    """Everything of a range as one."""
    query = _query(scope, span, filters, interval=Interval.TOTAL)
    if not latency_is_known(query):
        return None
    points = usage_series(query)
    return points[0].measures if points else Measures()


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


def _row(point: Point, group: str, names: Names) -> LatencyRow:
    return LatencyRow(
        point.group[0],
        names.of(group, point.group[0]),
        sum(point.measures.duration_counts),
        tuple(
            (_quantile(point.measures, part.counts, 0.5), _quantile(point.measures, part.counts, 0.95))
            for part in PARTS
        ),
    )


def _quantile(measures: Measures | None, counts: str, share: float) -> int | None:
    return quantile_us(getattr(measures, counts), share) if measures is not None else None


def _sentence(part: Part, span: TimeRange) -> str:
    return f"{part.title}, {span.label}: {part.says}; the median, what 95 % and what 99 % stay below."
