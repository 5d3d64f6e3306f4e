"""Loaded by pytest: which processes share the tests how (with xdist's `--dist loadfile`).

A file belongs to one process. So do whole folders whose tests share something dear that each process would have to
start anew: an installation with four pods, a console with a month of data and a browser. These lanes mostly wait,
and they come first: beside them the other processes compute, and none of them is left alone at the end.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

LANES = ("tests/end_to_end", "tests/browser")
FIRST = (*LANES, "tests/deploy/local/test_up.py", "tests/gateway/test_life.py")
"""In this order; the two files are long for how few tests they have, by which xdist orders the others."""


class LanesScheduling(LoadFileScheduling):
    """As xdist's own, but for the lanes."""

    def _split_scope(self, nodeid: str) -> str:
        path = super()._split_scope(nodeid)
        return next((lane for lane in LANES if path.startswith(f"{lane}/")), path)

    def _assign_work_unit(self, node: WorkerController) -> None:
        for scope in reversed(FIRST):
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LanesScheduling | None:
    return LanesScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
