"""The control plane may be gone: pods restart from their own disk and serve."""

import json
import os
import signal
import time
import urllib.error
import urllib.request

import pytest

from tests.end_to_end.stack import Stack, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]


def test_a_killed_pod_serves_again_while_the_control_plane_stands_still(stack: Stack) -> None:
    frozen = [stack.pid(name) for name in ("web", "grpc", "worker", "beat", "postgresql")]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        old = stack.kill("pod-1")
        stack.wait_for_new_pid("pod-1", old, 30)
        begun_s = time.monotonic()
        admin_url = stack.local["pod_admin_urls"][0]
        ready = until(lambda: _answer(f"{admin_url}/readyz"), 20, "the pod did not become ready")
        took_s = time.monotonic() - begun_s
        assert "control_plane_unreachable" in ready["degraded"]
        answer = _ask(stack)
        assert answer["type"] == "message"
        # The promise is 2 seconds on a machine of its own; the number is shown, a frozen clock is not a test.
        print(f"ready again after {took_s:.2f} s")
    finally:
        for pid in reversed(frozen):
            os.kill(pid, signal.SIGCONT)
    until(stack.is_ready, 60, "the stack did not come back")


def _answer(url: str) -> dict[str, list[str]] | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            found: dict[str, list[str]] = json.load(answer)
    except OSError:
        return None
    return found


def _ask(stack: Stack) -> dict[str, str]:
    request = urllib.request.Request(
        f"{stack.gateway_url}/v1/messages",
        data=json.dumps(
            {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        ).encode(),
        headers={
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
            "x-api-key": stack.virtual_key,
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, str] = json.load(answer)
    return found
