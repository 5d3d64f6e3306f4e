"""Prometheus metrics of a pod: a bounded set of names and labels (docs/operations/metrics.md lists them).

Labels never carry what a caller chose freely: no key, user, session or unknown model. Children are looked up once and
kept, because finding one costs more than counting.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_GATEWAY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_ANSWER_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)


class PodMetrics:
    """What a pod counts. Also the exchange's `Meters`."""

    def __init__(self, count_failure: Callable[[str, str], None]) -> None:
        """count_failure: takes (reason, source) of each failed authentication on its way to the control plane."""
        self.registry = CollectorRegistry()
        self._count_failure = count_failure
        registry = self.registry
        self._exchanges = Counter(
            "switchyard_exchanges",
            "Exchanges closed.",
            ("protocol", "provider", "outcome", "status_class"),
            registry=registry,
        )
        self._refusals = Counter("switchyard_refusals", "Refusals told.", ("reason", "protocol"), registry=registry)
        self._failures = Counter(
            "switchyard_failed_authentications", "Requests without an accepted key.", ("reason",), registry=registry
        )
        self._gateway = Histogram(
            "switchyard_gateway_seconds",
            "From arrival to the request leaving for the provider.",
            ("protocol",),
            buckets=_GATEWAY_BUCKETS,
            registry=registry,
        )
        self._first_byte = Histogram(
            "switchyard_first_byte_seconds",
            "From arrival to the head of the provider's answer.",
            ("protocol",),
            buckets=_ANSWER_BUCKETS,
            registry=registry,
        )
        self._duration = Histogram(
            "switchyard_exchange_seconds",
            "From arrival to the end.",
            ("protocol",),
            buckets=_ANSWER_BUCKETS,
            registry=registry,
        )
        self._exchange_children: dict[tuple[str, str, str, int], Counter] = {}
        self._refusal_children: dict[tuple[str, str], Counter] = {}
        self._time_children: dict[str, tuple[Histogram, Histogram, Histogram]] = {}

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that is read when the metrics are fetched."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def refused(self, reason: str, protocol: str) -> None:
        child = self._refusal_children.get((reason, protocol))
        if child is None:
            child = self._refusal_children[reason, protocol] = self._refusals.labels(reason, protocol)
        child.inc()

    def served(self, protocol: str, provider: str, outcome: str, status: int) -> None:
        key = (protocol, provider, outcome, status // 100)
        child = self._exchange_children.get(key)
        if child is None:
            child = self._exchanges.labels(protocol, provider, outcome, f"{status // 100}xx" if status else "none")
            self._exchange_children[key] = child
        child.inc()

    def observe(self, protocol: str, *, gateway_us: int, first_byte_us: int, duration_us: int) -> None:
        children = self._time_children.get(protocol)
        if children is None:
            children = (
                self._gateway.labels(protocol),
                self._first_byte.labels(protocol),
                self._duration.labels(protocol),
            )
            self._time_children[protocol] = children
        children[0].observe(gateway_us / 1e6)
        if first_byte_us:
            children[1].observe(first_byte_us / 1e6)
        children[2].observe(duration_us / 1e6)

    def failed_authentication(self, reason: str, source: str) -> None:
        self._failures.labels(reason).inc()
        self._count_failure(reason, source)

    def render(self) -> bytes:
        return generate_latest(self.registry)
