"""What a Prometheus reads of the control plane: the fleet and the books. Of the whole installation, without names of
organizations; pods have metrics of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from control_plane.fleet.models import Pod
from control_plane.fleet.selectors import PodState, state_of
from control_plane.usage.completeness import completeness
from control_plane.usage.models import QuarantinedEvent, RefusedReport
from control_plane.usage.selectors.standing import inbox_standing


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. values: by labels, written as they stand between the braces; "" for none."""

    name: str
    kind: str
    help: str
    values: tuple[tuple[str, float], ...]

    def text(self) -> str:
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        for labels, value in self.values:
            lines.append(f"{self.name}{{{labels}}} {value:.10g}" if labels else f"{self.name} {value:.10g}")
        return "\n".join(lines)


def exposition(now: datetime) -> str:
    """All metrics as text."""
    return "\n".join(metric.text() for metric in _metrics(now)) + "\n"


def _metrics(now: datetime) -> Iterable[Metric]:
    books, inbox = completeness(now=now), inbox_standing()
    states = dict.fromkeys(PodState, 0)
    for pod in Pod.objects.all():
        states[state_of(pod, now)] += 1
    quarantined = QuarantinedEvent.objects.filter(settled_at=None).values_list("reason").annotate(count=Count("id"))
    refused = RefusedReport.objects.values_list("reason").annotate(total=Sum("count")).order_by("reason")
    waits_s = 0.0 if inbox.oldest_received_at is None else (now - inbox.oldest_received_at).total_seconds()
    gap_s = 0.0 if books.oldest_gap_at is None else (now - books.oldest_gap_at).total_seconds()
    yield _one("switchyard_usage_completeness", "1 - (missing events + orphans) / admitted.", books.share)
    yield _one("switchyard_usage_admitted_events", "Events that pods are known to have numbered.", books.admitted)
    yield _one("switchyard_usage_missing_events", "Numbers overtaken by later ones.", books.missing)
    yield _one("switchyard_usage_orphans", "Attempts of which only the counter store knows.", books.orphans)
    yield _one("switchyard_usage_oldest_gap_seconds", "Age of the oldest gap that is open; 0: none.", gap_s)
    yield _one("switchyard_usage_inbox_batches", "Batches that wait to be booked.", inbox.waiting_batches)
    yield _one("switchyard_usage_inbox_events", "Events that wait to be booked.", inbox.waiting_events)
    yield _one("switchyard_usage_inbox_oldest_seconds", "Age of the oldest batch that waits; 0: none.", waits_s)
    yield _one("switchyard_usage_parked_batches", "Batches that cannot be booked.", inbox.parked_batches)
    yield Metric(
        "switchyard_usage_quarantined_events",
        "gauge",
        "Events that wait for somebody to look at them, by reason.",
        tuple((f'reason="{reason}"', count) for reason, count in sorted(quarantined)),
    )
    yield Metric(
        "switchyard_usage_refused_reports_total",
        "counter",
        "Reports of pods that the intake did not take, by reason.",
        tuple((f'reason="{reason}"', total) for reason, total in refused),
    )
    yield Metric(
        "switchyard_fleet_pods",
        "gauge",
        "Pods that are remembered, by state.",
        tuple((f'state="{state.value}"', count) for state, count in states.items()),
    )


def _one(name: str, text: str, value: float) -> Metric:
    return Metric(name, "gauge", text, (("", value),))
