"""A pod behind broken networks: one way of revocation is enough, and where both are cut everybody is told."""

import contextlib
import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.console import Console
from tests.end_to_end.extra_pod import ANTHROPIC, ExtraPod, extra_pod
from tests.end_to_end.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.end_to_end.stack import Stack, until
from tests.end_to_end.test_revocation import mint_key
from tests.promises import within

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

POD = "behind-proxies"


@dataclass(frozen=True, slots=True)
class Site:
    """A pod whose two ways to the rest lead through proxies."""

    pod: ExtraPod
    grpc: FaultProxy
    counters: FaultProxy


@pytest.fixture(scope="module")
def site(stack: Stack) -> Iterator[Site]:
    counters = urlsplit(stack.local["counters_url"])
    with (
        fault_proxy(stack.local["grpc_address"]) as grpc,
        fault_proxy(f"{counters.hostname}:{counters.port}") as store,
    ):
        url = f"redis://:{counters.password}@127.0.0.1:{store.port}/0"
        with extra_pod(stack, POD, grpc_address=f"127.0.0.1:{grpc.port}", counters_url=url) as pod:
            yield Site(pod, grpc, store)


@contextlib.contextmanager
def broken(*faults: tuple[FaultProxy, Fault]) -> Iterator[None]:
    try:
        for proxy, fault in faults:
            proxy.set(fault)
        yield
    finally:
        for proxy, _ in faults:
            proxy.set(Fault.NONE)


@dataclass
class OpenStream:
    """An answer of a minute, read in a thread until it ends."""

    pod: ExtraPod
    key: str
    text: bytes = b""
    ended_s: float = 0.0
    _has_begun: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._has_begun.wait(10), "the stream did not begin"

    def end(self, limit_s: float) -> None:
        assert self._thread is not None
        self._thread.join(limit_s)
        assert not self._thread.is_alive(), f"the stream goes on after {limit_s} s"

    def _read(self) -> None:
        body = {
            "model": "claude-sonnet-4-6",
            "max_tokens": 4000,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
        }
        request = urllib.request.Request(
            f"{self.pod.gateway_url}/v1/messages",
            data=json.dumps(body).encode(),
            headers={
                **ANTHROPIC,
                "authorization": f"Bearer {self.key}",
                "x-sim-behaviour": "sim-text-1200-delay50",
            },
        )
        # A cut answer never ends cleanly: the connection breaks after the protocol's error.
        with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(request) as answer:
            while chunk := answer.read1(65536):
                self.text += chunk
                self._has_begun.set()
        self.ended_s = time.monotonic()


def use_then_revoke(stack: Stack, pod: ExtraPod, *faults: tuple[FaultProxy, Fault]) -> None:
    """A key in use on the pod is revoked while something is broken: refused in a second, its stream over in five."""
    key_id, key = mint_key(stack, "behind proxies")
    until(lambda: pod.message(key).status == 200, 10, "the pod does not serve the key")
    stream = OpenStream(pod, key)
    stream.begin()
    with broken(*faults):
        # The API's answer lists receipts; asking it not to wait is what an emergency does.
        stack.api("POST", f"keys/{key_id}/revoke", {"reason": "test: leaked", "cut_streams": True})
        revoked_s = time.monotonic()
        refusal = until(
            lambda: found if (found := pod.message(key)).status != 200 else None, 5, "served on", every_s=0.02
        )
        assert time.monotonic() - revoked_s < within(1)
        assert refusal.status == 401
        assert b"revoked" in refusal.body
        stream.end(6)
        assert stream.ended_s - revoked_s < within(5)
        assert b"event: error" in stream.text
        assert b"message_stop" not in stream.text
        assert pod.readiness()[0] == 200


def degraded(pod: ExtraPod) -> list[str]:
    status, body = pod.readiness()
    assert status == 200, body
    return list(body["degraded"])


def converge(stack: Stack, pod: ExtraPod) -> None:
    """Wait until the pod is as well as any other, by its own word and by the fleet's."""
    until(lambda: degraded(pod) == [], 20, "the pod stays degraded")

    def is_level() -> bool:
        known = stack.api("GET", f"pods/{pod.id}")
        held = {row["shard"]: (row["acked_epoch"], row["acked_version"], row["nack_code"]) for row in known["shards"]}
        heads = stack.api("GET", "snapshots/heads")
        return (
            bool(known["is_live"])
            and known["degraded"] == []
            and all(held.get(head["shard"]) == (head["epoch"], head["version"], "") for head in heads)
        )

    until(is_level, 20, "the fleet does not know the pod as level")


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.BLACK_HOLE])
def test_without_the_control_plane_a_revocation_comes_through_the_counter_store(
    stack: Stack, site: Site, fault: Fault
) -> None:
    use_then_revoke(stack, site.pod, (site.grpc, fault))
    converge(stack, site.pod)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.BLACK_HOLE])
def test_without_the_counter_store_a_revocation_comes_through_the_control_plane(
    stack: Stack, site: Site, fault: Fault
) -> None:
    use_then_revoke(stack, site.pod, (site.counters, fault))
    converge(stack, site.pod)


def test_with_both_ways_cut_the_pod_serves_on_and_says_so_and_so_does_the_fleet(stack: Stack, site: Site) -> None:
    pod, console = site.pod, Console(stack)
    converge(stack, pod)
    assert " live " in console.fleet_row(POD)
    key_id, key = mint_key(stack, "cut off")
    until(lambda: pod.message(key).status == 200, 10, "the pod does not serve the key")
    with broken((site.counters, Fault.CUT), (site.grpc, Fault.NONE)):
        until(lambda: degraded(pod) == ["counters_unreachable"], 10, "the pod does not miss the counter store")
        until(
            lambda: stack.api("GET", f"pods/{POD}")["degraded"] == ["counters_unreachable"], 15, "REST does not say so"
        )
        assert "counters_unreachable" in console.fleet_row(POD)
        site.grpc.set(Fault.CUT)
        until(
            lambda: {"control_plane_unreachable", "counters_unreachable", "revocations_delayed"} <= {*degraded(pod)},
            10,
            "the pod does not say that revocations cannot reach it",
        )
        known = until(
            lambda: found if not (found := stack.api("GET", f"pods/{POD}"))["is_live"] else None, 10, "still live"
        )
        assert known["disconnected_at"] is not None
        assert known["state"] == "out_of_reach"
        row = console.fleet_row(POD)
        assert "out of reach" in row, row
        assert "counters_unreachable" in row, row
        # The bound that is said out loud: what cannot be heard cannot be obeyed, and no valid key suffers.
        stack.api("POST", f"keys/{key_id}/revoke", {"reason": "test: leaked"})
        assert pod.message(key).status == 200
        assert pod.message(stack.virtual_key).status == 200
    until(lambda: pod.message(key).status == 401, 10, "the revocation does not arrive after the cut")
    converge(stack, pod)
    assert " live " in console.fleet_row(POD)


def test_a_pod_that_leaves_in_good_order_is_gone_and_not_out_of_reach(stack: Stack) -> None:
    with extra_pod(stack, "leaves") as pod:
        until(lambda: stack.api("GET", "pods/leaves")["state"] == "live", 10, "the fleet does not know the pod")
        assert pod.is_ready()
    known = until(
        lambda: found if (found := stack.api("GET", "pods/leaves"))["disconnected_at"] else None, 10, "still connected"
    )
    assert known["state"] == "gone"
    assert "gone" in Console(stack).fleet_row("leaves")
