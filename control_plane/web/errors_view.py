"""Failures and refusals as pages show them: by cause over time, by provider, with what to do about each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from control_plane.dashboards.charts import MOST_SERIES, UNIT_COUNT, Chart, interval_starts, stacked
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import Interval, SeriesQuery, usage_series, usage_stack
from control_plane.web.names import Names
from control_plane.web.ranges import TimeRange
from switchyard_contract.reason import REASON_BY_CODE

Filters = Mapping[str, Sequence[str]]
MOST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Cause:
    """Why requests fail, in words, and what helps."""

    title: str
    says: str


CAUSES: Final[Mapping[str, Cause]] = {
    "internal": Cause("Our own fault", "A defect of the gateway. Its log has the request id; please report it."),
    "truncated": Cause("Broke off", "The provider ended its answer before it was complete. Tools see an error event."),
    "unreachable": Cause("No answer", "The provider could not be reached, or closed without an answer."),
    "rate_limited": Cause("Provider's rate limit", "429. Spread the load over accounts, or ask for a higher limit."),
    "overloaded": Cause("Overloaded", "503 or 529. A second target in the route takes over where there is one."),
    "timeout": Cause("Too slow", "408, 504 or no byte in time. The provider's time-outs are set on its page."),
    "server_error": Cause("Provider's error", "Another 5xx. It is the provider's; its status page may know."),
    "unauthorized": Cause("Credential refused", "401 or 403. Renew the credential on the provider's page."),
    "rejected": Cause("Request rejected", "Another 4xx: what the tool sent is not what the model takes."),
    "told_in_answer": Cause("Told within the answer", "An error event inside of an answer that had begun well."),
}


@dataclass(frozen=True, slots=True)
class FailureRow:
    """Failures of one cause at one provider. share: of the provider's attempts, in thousandths."""

    failure: str
    cause: Cause
    provider: str
    provider_name: str
    count: int
    before: int
    attempts: int

    @property
    def share_per_mille(self) -> int:
        return round(1000 * self.count / self.attempts) if self.attempts else 0


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Refusals of one reason."""

    reason: str
    says: str
    count: int
    before: int


def failure_chart(scope: Scope, span: TimeRange, filters: Filters, *, zone: ZoneInfo, behind: str) -> Chart:
    """Failed attempts over time, stacked by cause."""
    return _chart(scope, span, "failure", "errors", filters, zone, behind, lambda value: _cause(value).title)


def refusal_chart(scope: Scope, span: TimeRange, filters: Filters, *, zone: ZoneInfo, behind: str) -> Chart:
    """Refused requests over time, stacked by reason."""
    return _chart(scope, span, "reason", "refusals", filters, zone, behind, lambda value: value.replace("_", " "))


def failure_rows(scope: Scope, span: TimeRange, names: Names, filters: Filters) -> list[FailureRow]:
    """What failed in a range by cause and provider, the most frequent first."""
    now = _counts(scope, span.since, span.until, ("provider", "failure"), ("attempts", "errors"), filters)
    before = _counts(scope, span.before_since, span.before_until, ("provider", "failure"), ("errors",), filters)
    attempts: dict[str, int] = {}
    for (provider, _), (tried, _) in now.items():
        attempts[provider] = attempts.get(provider, 0) + tried
    names.learn("provider", attempts)
    rows = [
        FailureRow(
            failure,
            _cause(failure),
            provider,
            names.of("provider", provider),
            failed,
            before.get((provider, failure), (0,))[0],
            attempts[provider],
        )
        for (provider, failure), (_, failed) in now.items()
        if failed > 0
    ]
    return sorted(rows, key=lambda row: (-row.count, row.provider_name, row.failure))[:MOST_ROWS]


def refusal_rows(scope: Scope, span: TimeRange, filters: Filters) -> list[RefusalRow]:
    """What was refused in a range by reason, the most frequent first."""
    now = _counts(scope, span.since, span.until, ("reason",), ("refusals",), filters)
    before = _counts(scope, span.before_since, span.before_until, ("reason",), ("refusals",), filters)
    rows = [
        RefusalRow(reason, _says(reason), refused, before.get((reason,), (0,))[0])
        for (reason,), (refused,) in now.items()
        if refused > 0
    ]
    return sorted(rows, key=lambda row: (-row.count, row.reason))


def _cause(failure: str) -> Cause:
    return CAUSES.get(failure) or Cause(failure or "Unknown", "")


def _says(reason: str) -> str:
    known = REASON_BY_CODE.get(reason)
    return known.sentence if known is not None else ""


def _chart(
    scope: Scope,
    span: TimeRange,
    group: str,
    metric: str,
    filters: Filters,
    zone: ZoneInfo,
    behind: str,
    label: Callable[[str], str],
) -> Chart:
    query = SeriesQuery(
        scope=scope,
        since=span.since,
        until=span.until,
        interval=span.interval,
        zone=zone,
        group_by=(group,),
        filters=filters,
    )
    points = [
        (point.start, None if point.group is None else label(point.group), point.value)
        for point in usage_stack(query, metric, most=MOST_SERIES)
        # What went well is a group of its own, of nothing.
        if point.value
    ]
    starts = interval_starts(span.since, span.until, span.interval, zone)
    return stacked(points, starts, unit=UNIT_COUNT, zone=zone, interval=span.interval, behind=behind)


def _counts(
    scope: Scope,
    since: datetime,
    until: datetime,
    groups: tuple[str, ...],
    measures: tuple[str, ...],
    filters: Filters,
) -> dict[tuple[str, ...], tuple[int, ...]]:
    query = SeriesQuery(
        scope=scope,
        since=since,
        until=until,
        interval=Interval.TOTAL,
        group_by=groups,
        filters=filters,
        measures=measures,
    )
    return {
        point.group: tuple(getattr(point.measures, measure) for measure in measures) for point in usage_series(query)
    }
