"""Prometheus metrics of a pod: a bounded set of names and labels (docs/operations/metrics.md lists them).

Labels never carry what a caller chose freely: no key, user, session or unknown model. What is counted for every
exchange is kept in plain dictionaries and brought into Prometheus' shape when somebody asks for it.
"""

from bisect import bisect_left
from collections import Counter as Tallies
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_GATEWAY_BUCKETS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000)
_COUNTER_BUCKETS_US = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000)
_ANSWER_BUCKETS_US = tuple(
    int(edge_s * 1_000_000) for edge_s in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
)
_SEEN_AT_ONCE = 256


class _Durations:
    """One histogram: how many observations fell below each edge, and their sum."""

    __slots__ = ("_edges_us", "_found", "_sum_us")

    def __init__(self, edges_us: tuple[int, ...]) -> None:
        self._edges_us = edges_us
        self._found = [0] * (len(edges_us) + 1)
        self._sum_us = 0

    def observe(self, duration_us: int) -> None:
        self._found[bisect_left(self._edges_us, duration_us)] += 1
        self._sum_us += duration_us

    def show(self, family: HistogramMetricFamily, *labels: str) -> None:
        edges = [str(edge_us / 1_000_000) for edge_us in self._edges_us] + ["+Inf"]
        family.add_metric(labels, list(zip(edges, accumulate(self._found), strict=True)), self._sum_us / 1_000_000)


_Seen = tuple[str, int, int, int]
"""Protocol, and microseconds until the request left, until the head of the answer, until the end."""


class _Exchanges(Collector):
    """What is counted for every exchange. Durations are noted, and brought into their histograms many at a time."""

    def __init__(self) -> None:
        self.seen: list[_Seen] = []
        self.round_trips = _Durations(_COUNTER_BUCKETS_US)
        self.closed: Tallies[tuple[str, str, str, int]] = Tallies()
        """By protocol, provider, outcome, hundreds of the status."""
        self.durations: dict[str, tuple[_Durations, _Durations, _Durations]] = {}
        """By protocol: until the request left, until the head of the answer, until the end."""

    def sort_in(self) -> None:
        """Bring what was seen into the histograms."""
        seen, self.seen = self.seen, []
        for protocol, gateway_us, first_byte_us, duration_us in seen:
            durations = self.durations.get(protocol)
            if durations is None:
                durations = (
                    _Durations(_GATEWAY_BUCKETS_US),
                    _Durations(_ANSWER_BUCKETS_US),
                    _Durations(_ANSWER_BUCKETS_US),
                )
                self.durations[protocol] = durations
            gateway, first_byte, whole = durations
            gateway.observe(gateway_us)
            if first_byte_us:
                first_byte.observe(first_byte_us)
            whole.observe(duration_us)

    def collect(self) -> Iterator[Metric]:
        self.sort_in()
        closed = CounterMetricFamily(
            "switchyard_exchanges", "Exchanges closed.", labels=("protocol", "provider", "outcome", "status_class")
        )
        for (protocol, provider, outcome, hundreds), count in self.closed.items():
            closed.add_metric([protocol, provider, outcome, f"{hundreds}xx" if hundreds else "none"], count)
        yield closed
        for index, (name, meaning) in enumerate(
            (
                ("switchyard_gateway_seconds", "From arrival to the request leaving for the provider."),
                ("switchyard_first_byte_seconds", "From arrival to the head of the provider's answer."),
                ("switchyard_exchange_seconds", "From arrival to the end."),
            )
        ):
            family = HistogramMetricFamily(name, meaning, labels=("protocol",))
            for protocol, durations in self.durations.items():
                durations[index].show(family, protocol)
            yield family
        trips = HistogramMetricFamily("switchyard_counters_seconds", "Round trips to the counter store.", labels=())
        self.round_trips.show(trips)
        yield trips


class PodMetrics:
    """What a pod counts. Also the exchange's `Meters`, and those of the counters."""

    def __init__(self, count_failure: Callable[[str, str], None]) -> None:
        """count_failure: takes (reason, source) of each failed authentication on its way to the control plane."""
        self.registry = CollectorRegistry()
        self._count_failure = count_failure
        self._exchanges = _Exchanges()
        self.registry.register(self._exchanges)
        self._refusals = Counter(
            "switchyard_refusals", "Refusals told.", ("reason", "protocol"), registry=self.registry
        )
        self._failures = Counter(
            "switchyard_failed_authentications",
            "Requests without an accepted key.",
            ("reason",),
            registry=self.registry,
        )

        self._alone = Counter(
            "switchyard_decided_alone",
            "Decisions taken without the counter store, by the rule of an outage.",
            ("rule", "verdict"),
            registry=self.registry,
        )
        self._dropped_settlements = Counter(
            "switchyard_settlements_dropped",
            "Settlements let go of because too many waited; the books bring them back.",
            registry=self.registry,
        )

    def round_trip(self, took_us: int) -> None:
        self._exchanges.round_trips.observe(took_us)

    def decided_alone(self, rule: str, is_admitted: bool) -> None:
        self._alone.labels(rule, "admitted" if is_admitted else "refused").inc()

    def dropped_settlements(self, count: int) -> None:
        self._dropped_settlements.inc(count)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that is read when the metrics are fetched."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def refused(self, reason: str, protocol: str) -> None:
        self._refusals.labels(reason, protocol).inc()

    def served(self, protocol: str, provider: str, outcome: str, status: int) -> None:
        self._exchanges.closed[protocol, provider, outcome, status // 100] += 1

    def observe(self, protocol: str, *, gateway_us: int, first_byte_us: int, duration_us: int) -> None:
        exchanges = self._exchanges
        exchanges.seen.append((protocol, gateway_us, first_byte_us, duration_us))
        if len(exchanges.seen) >= _SEEN_AT_ONCE:
            exchanges.sort_in()

    def failed_authentication(self, reason: str, source: str) -> None:
        self._failures.labels(reason).inc()
        self._count_failure(reason, source)

    def render(self) -> bytes:
        return generate_latest(self.registry)
