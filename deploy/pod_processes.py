"""`switchyard pod` with SWITCHYARD_POD_PROCESSES above 1: so many pods side by side on one gateway port.

Each is a pod of its own, with id, state folder and admin port; one that dies is started again.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.program import Program
from deploy.local.supervisor import Service, Supervisor
from switchyard_contract.settings import InvalidSettings, read_settings

DRAIN_MARGIN_S = 15


def main() -> int:
    """Run until SIGTERM or SIGINT; the pods drain before it returns."""
    environment = dict(os.environ)
    try:
        services = pod_services(environment)
    except InvalidSettings as failure:
        print("These pods cannot start:", file=sys.stderr)
        for problem in failure.problems:
            print(f"  {problem}", file=sys.stderr)
        return 2
    return asyncio.run(_run(services))


def pod_services(environment: Mapping[str, str]) -> tuple[Service, ...]:
    """One service per pod. Raises InvalidSettings before anything is started."""
    values = read_settings("data", environment)
    count, first_port = values["SWITCHYARD_POD_PROCESSES"], values["SWITCHYARD_POD_ADMIN_PORT"]
    drain_s = values["SWITCHYARD_DRAIN_SECONDS"]
    assert isinstance(count, int)
    assert isinstance(first_port, int)
    assert isinstance(drain_s, int)
    state, pod_id = Path(str(values["SWITCHYARD_POD_STATE"])), str(values["SWITCHYARD_POD_ID"])
    if first_port + count - 1 > 65535:
        raise InvalidSettings((f"SWITCHYARD_POD_ADMIN_PORT: {count} pods need ports {first_port} and up",))
    services = []
    for number in range(1, count + 1):
        own = {
            "SWITCHYARD_POD_PROCESSES": "1",
            "SWITCHYARD_POD_STATE": str(state / f"process-{number}"),
            "SWITCHYARD_POD_ADMIN_PORT": str(first_port + number - 1),
        }
        if pod_id:
            own["SWITCHYARD_POD_ID"] = f"{pod_id}-{number}"
        program = Program(
            f"pod-{number}",
            (sys.executable, "-m", "deploy.command", "pod"),
            # Containers read the pods' words from the command's own output.
            Path("/dev/stderr"),
            {**environment, **own},
            stop_grace_s=drain_s + DRAIN_MARGIN_S,
        )
        services.append(Service(program, _is_there))
    return tuple(services)


async def _is_there() -> bool:
    """Each pod answers for its own readiness on its admin port."""
    return True


async def _run(services: tuple[Service, ...]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    children = Supervisor(say=lambda text: print(text, file=sys.stderr, flush=True), on_change=lambda _: None)
    try:
        await children.start(services)
        await stop.wait()
    finally:
        await children.stop()
    return 0
