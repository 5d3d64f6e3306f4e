"""Both planes are upgraded while they run, one process at a time, and sometimes back again: neighbours by one commit
have to work together, over the wire and over what lies on a disk.

The test's name says which commit was compared with this one. Bytes of every earlier contract revision are kept in
tests/contract/golden.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.installation import open_installation
from deploy.local.surroundings import StoreUrls, control_environment, read_local_settings
from tests.end_to_end.extra_pod import ExtraPod, extra_pod, plain, source_of
from tests.end_to_end.previous_commit import Previous, find_previous
from tests.end_to_end.stack import ROOT, Stack, free_ports, until
from tests.end_to_end.test_revocation import mint_key
from tests.promises import within

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

PREVIOUS = find_previous()
NOWHERE = "127.0.0.1:1"
with_previous = pytest.mark.parametrize("previous", [PREVIOUS], ids=str)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"present": ROOT, "previous": PREVIOUS.unpack(tmp_path_factory.mktemp("previous"))}


@contextlib.contextmanager
def grpc_services(stack: Stack, tree: Path) -> Iterator[str]:
    """One more gRPC process beside the stack's own, on the same stores; gives its address."""
    (port,) = free_ports(1)
    local = stack.local
    settings = read_local_settings({"SWITCHYARD_HOME": str(stack.home), "SWITCHYARD_GRPC_PORT": str(port)})
    stores = StoreUrls(local["database_url"], local["redis_url"], local["counters_url"])
    surroundings = {
        **control_environment(settings, stores, open_installation(settings.secrets_folder), plain(os.environ)),
        **source_of(tree),
    }
    log_path = stack.home.parent / "extra-grpc.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.command", "grpc"], cwd=tree, env=surroundings, stdout=log, stderr=log
        )
    try:
        until(lambda: _serves(process, settings.grpc_address, log_path), 30, f"no gRPC services; see {log_path}")
        yield settings.grpc_address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _serves(process: subprocess.Popen[bytes], address: str, log_path: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the gRPC services ended with {process.returncode}:\n{log_path.read_text()[-3000:]}")
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def runs_source_of(tree: Path) -> bool:
    """Whether Python, started as the processes here are, takes all three packages from the folder."""
    code = "import control_plane, data_plane, switchyard_contract as c; print(control_plane, data_plane, c)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env={**plain(os.environ), **source_of(tree)},
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout
    return told.count(f"'{tree}/") == 3


def work_together(stack: Stack, pod: ExtraPod) -> None:
    """A pod is level, takes a new key, serves it, has it counted, and hears of its end."""
    key_id, key = mint_key(stack, f"of {pod.id}")
    until(lambda: pod.message(key).status == 200, 10, "a new key does not reach the pod")
    answer = pod.message(key)
    assert answer.status == 200
    row = until(
        lambda: next(
            (
                row
                for row in stack.api("GET", f"exchanges?key={key_id}")["results"]
                if row["id"] == answer.headers["x-switchyard-request-id"]
            ),
            None,
        ),
        20,
        "what the pod served is not booked",
    )
    assert (row["kind"], row["cost_nano_usd"] > 0, row["tokens"]["output"] > 0) == ("final", True, True)
    assert stack.api("GET", f"exchanges/{row['id']}")["pod"] == pod.id
    assert stack.api("POST", f"keys/{key_id}/revoke", {"reason": "test: over"})["state"] == "revoked"
    revoked_s = time.monotonic()
    until(lambda: pod.message(key).status == 401, 5, "served on after its revocation", every_s=0.02)
    assert time.monotonic() - revoked_s < within(1)

    def is_level() -> bool:
        """Also the deny shard came, not the tombstone only."""
        known = stack.api("GET", f"pods/{pod.id}")
        held = {row["shard"]: (row["acked_epoch"], row["acked_version"], row["nack_code"]) for row in known["shards"]}
        heads = stack.api("GET", "snapshots/heads")
        return known["state"] == "live" and all(
            held.get(head["shard"]) == (head["epoch"], head["version"], "") for head in heads
        )

    until(is_level, 10, "the pod does not hold what is in force")
    assert pod.readiness()[1]["degraded"] == []


@with_previous
def test_a_pod_of_the_previous_commit_works_with_this_control_plane(
    stack: Stack, trees: dict[str, Path], previous: Previous
) -> None:
    assert runs_source_of(trees["previous"]), str(previous)
    with extra_pod(stack, "previous-pod", tree=trees["previous"]) as pod:
        work_together(stack, pod)


@with_previous
def test_this_pod_works_with_a_control_plane_of_the_previous_commit(
    stack: Stack, trees: dict[str, Path], previous: Previous
) -> None:
    """Its gRPC services run on this commit's database, as they do in the middle of an upgrade."""
    assert runs_source_of(trees["previous"]), str(previous)
    with (
        grpc_services(stack, trees["previous"]) as address,
        extra_pod(stack, "pod-of-previous-control", grpc_address=address) as pod,
    ):
        work_together(stack, pod)


@with_previous
@pytest.mark.parametrize(("first", "second"), [("previous", "present"), ("present", "previous")])
def test_what_one_leaves_on_a_pods_disk_serves_the_other(
    stack: Stack, trees: dict[str, Path], previous: Previous, first: str, second: str
) -> None:
    """Upgraded and taken back: the policy on the shelf and the usage in the spool are read by both."""
    name = f"disk-of-{first}"
    with extra_pod(stack, name, tree=trees[first]) as pod:
        # Ready is who holds some policy; this organization's may be the next to come.
        until(lambda: pod.message(stack.virtual_key).status == 200, 10, "the policy does not reach the pod")
        shelf = pod.log_path.parent / name / "shelf"
        until(lambda: any(shelf.rglob("*policy*")), 10, f"{previous}: nothing is on the shelf")
    with extra_pod(stack, name, tree=trees[second], grpc_address=NOWHERE) as pod:
        assert "control_plane_unreachable" in pod.readiness()[1]["degraded"]
        answer = pod.message(stack.virtual_key)
        assert answer.status == 200
        assert pod.metric("switchyard_spool_records") > 0
    with extra_pod(stack, name, tree=trees[first]) as pod:
        # Ready is who holds some policy; this organization's may be the next to come.
        until(lambda: pod.message(stack.virtual_key).status == 200, 10, "the policy does not reach the pod")
        until(lambda: pod.metric("switchyard_spool_records") == 0, 20, "the spool is not handed over")
    request = answer.headers["x-switchyard-request-id"]
    until(lambda: stack.api("GET", f"exchanges?request={request}")["results"], 20, "usage was lost on the way")
