"""What the control plane says of a pod it hears, and of one it does not."""

from datetime import UTC, datetime, timedelta

import pytest

from control_plane.fleet.database import DatabaseThreads
from control_plane.fleet.models import Pod
from control_plane.fleet.recorder import FleetRecorder
from control_plane.fleet.selectors import PodState, state_of
from control_plane.fleet.services import Departure, Greeting, News, Report, fleet_record
from switchyard_contract.v1 import delivery_pb2

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
POD = "pod-1"


def greeting(at: datetime) -> Greeting:
    return Greeting(POD, "0a", "0.1.0", "127.0.0.1:9100", 1, at)


def report(at: datetime, *, draining: bool) -> Report:
    return Report(POD, 0, 0, 0, counters_reachable=True, draining=draining, loop_lag_ms=0, degraded=(), at=at)


@pytest.mark.parametrize(
    ("connected", "disconnected", "draining", "silent_s", "expected"),
    [
        (True, False, False, 1, PodState.LIVE),
        (True, False, True, 1, PodState.LIVE),
        (True, False, False, 31, PodState.SILENT),
        (True, True, False, 1, PodState.OUT_OF_REACH),
        (True, True, True, 1, PodState.GONE),
        (False, False, False, 1, PodState.GONE),
    ],
)
def test_a_pod_is_out_of_reach_unless_it_said_that_it_leaves(
    connected: bool, disconnected: bool, draining: bool, silent_s: int, expected: PodState
) -> None:
    spoke_at = NOW - timedelta(seconds=silent_s)
    pod = Pod(
        pod_id=POD,
        connected_at=spoke_at if connected else None,
        last_seen_at=spoke_at if connected else None,
        disconnected_at=spoke_at if disconnected else None,
        draining=draining,
    )
    assert state_of(pod, NOW) is expected


@pytest.mark.django_db
def test_a_pod_that_drained_and_came_back_drains_no_more() -> None:
    for news in (
        News(greetings={POD: greeting(NOW)}, reports={POD: report(NOW, draining=True)}),
        News(departures={POD: Departure(POD, "0a", NOW)}),
    ):
        fleet_record(news=news)
    assert state_of(Pod.objects.get(), NOW) is PodState.GONE
    later = NOW + timedelta(seconds=5)
    # The last word of the life before may be written together with the greeting of the next.
    fleet_record(news=News(greetings={POD: greeting(later)}, reports={POD: report(NOW, draining=True)}))
    found = Pod.objects.get()
    assert (found.draining, state_of(found, later)) == (False, PodState.LIVE)


async def test_a_pod_is_believed_at_once_when_it_says_that_it_leaves() -> None:

    recorder = FleetRecorder(DatabaseThreads())
    recorder.reported(POD, delivery_pb2.Status(in_flight=1))
    recorder.reported(POD, delivery_pb2.Status(in_flight=2))
    assert recorder._news.reports[POD].in_flight == 1
    recorder.reported(POD, delivery_pb2.Status(in_flight=3, draining=True))
    assert recorder._news.reports[POD].draining
