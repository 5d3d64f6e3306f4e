"""`switchyard pod`: settings, uvloop, the application, a drain on SIGTERM."""

import asyncio
import os
import sys

import uvloop

from data_plane.application import CannotStart, serve
from data_plane.settings import pod_id_of, read_pod_settings
from data_plane.telemetry.logs import configure_logs
from data_plane.usage.spool import SpoolInUse
from switchyard_contract.settings import InvalidSettings


def main() -> int:
    """Run one pod until it is told to stop; 2 when its settings are wrong."""
    try:
        settings = read_pod_settings(os.environ)
    except InvalidSettings as failure:
        print("This pod cannot start:", file=sys.stderr)
        for problem in failure.problems:
            print(f"  {problem}", file=sys.stderr)
        return 2
    pod_id = pod_id_of(settings)
    configure_logs(pod_id)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(settings, pod_id))
    except (CannotStart, SpoolInUse) as failure:
        print(f"This pod cannot start:\n  {failure}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
