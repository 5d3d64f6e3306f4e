"""`python -m deploy.local.grpc_health <address>`: wait until gRPC's health service says SERVING, at most 15 s."""

import sys
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

WAIT_S = 15.0
PAUSE_S = 0.1


def main(address: str) -> int:
    """Return 0 when it serves, 1 when it did not in time."""
    deadline = time.monotonic() + WAIT_S
    with grpc.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline:
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2, wait_for_ready=True)
            except grpc.RpcError:
                time.sleep(PAUSE_S)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return 0
            time.sleep(PAUSE_S)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
