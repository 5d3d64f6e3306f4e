"""Ports for what takes long to start: half a minute lies between picking one and listening there."""

import os
import random

from deploy.local.ports import is_port_free

_FROM, _EACH = 12_000, 400
"""Below those that `deploy.local.ports` picks, so that nothing that starts meanwhile takes one."""


def ports_in_a_row(count: int) -> range:
    """Free ports that follow one another, from a stretch that only this test process looks at."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
    lowest = _FROM + worker * _EACH
    for first in random.SystemRandom().sample(range(lowest, lowest + _EACH - count), 100):
        ports = range(first, first + count)
        if all(is_port_free(port) for port in ports):
            return ports
    raise AssertionError(f"no {count} free ports in a row from {lowest} on")
