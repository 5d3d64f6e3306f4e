"""What an operator sees of a pod's insides: numbers read when the metrics are fetched (docs/operations/metrics.md)."""

from collections.abc import Callable, Sized

from data_plane.counters.shared import SharedCounters
from data_plane.exchange.running import Running
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.snapshots.subscription import Subscription
from data_plane.telemetry.lag import LoopLag
from data_plane.telemetry.metrics import PodMetrics
from data_plane.upstream.connections import UpstreamPool
from data_plane.usage.spool import Spool


def add_gauges(
    metrics: PodMetrics,
    *,
    running: Running,
    lag: LoopLag,
    spool: Spool,
    pool: UpstreamPool,
    subscription: Subscription[PolicySnapshot],
    counters: SharedCounters,
    sessions: Sized,
    policy_age_s: Callable[[], float],
) -> None:
    """Show all of them."""
    gauge = metrics.gauge
    gauge("switchyard_in_flight", "Exchanges under way.", lambda: len(running))
    gauge("switchyard_draining_answers", "Answers read on whose callers have left.", lambda: running.drains)
    gauge("switchyard_loop_lag_seconds", "Worst delay of the event loop in 5 s.", lambda: lag.worst_ms / 1000)
    gauge("switchyard_spool_records", "Events not yet stored by the control plane.", lambda: spool.depth_records)
    gauge("switchyard_spool_bytes", "Size of the spool on disk.", lambda: spool.depth_bytes)
    gauge("switchyard_upstream_open", "Open connections to providers.", lambda: pool.stats().open)
    gauge("switchyard_upstream_idle", "Idle connections to providers.", lambda: pool.stats().idle)
    gauge("switchyard_upstream_dialled", "Connections made since start.", lambda: pool.stats().dialled)
    gauge(
        "switchyard_control_connected",
        "1: subscribed to the control plane.",
        lambda: subscription.is_connected,
    )
    gauge("switchyard_counters_reachable", "1: the counter store decides.", lambda: counters.is_up)
    gauge(
        "switchyard_counters_learning",
        "Organizations whose counters were lost or went back.",
        lambda: len(counters.learning),
    )
    gauge(
        "switchyard_settlements_waiting",
        "Settlements that the counter store has not acknowledged.",
        lambda: counters.unsettled,
    )
    gauge("switchyard_sessions_remembered", "Last turns of sessions kept.", lambda: len(sessions))
    gauge("switchyard_policy_age_seconds", "Age of the newest word of the control plane.", policy_age_s)
    gauge("switchyard_snapshots_rejected", "Snapshots refused since start.", lambda: subscription.rejected)
