"""Loaded by pytest: the order of the test files, so that processes that share them end at about the same time.

Files that drive browsers or whole processes mostly wait; all others compute. Left to itself xdist gives out the files
with the most tests first, which leaves the waiting ones, of few tests and many seconds, to the end, side by side.
"""

import pytest

WAITING = ("browser", "end_to_end", "gateway", "deploy")
"""Folders below `tests/`, the longest files first."""


def spread_evenly(waiting: list[str], computing: list[str]) -> list[str]:
    """Put the names of waiting files at even distances among the computing ones, the first one first."""
    placed = [(place / len(waiting), 0, name) for place, name in enumerate(waiting)]
    placed += [(place / len(computing), 1, name) for place, name in enumerate(computing)]
    return [name for _, _, name in sorted(placed, key=lambda each: each[:2])]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within one nothing moves."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    folders = {name: name.removeprefix("tests/").partition("/")[0] for name in files}
    waiting = sorted(
        (name for name in files if folders[name] in WAITING), key=lambda name: WAITING.index(folders[name])
    )
    computing = [name for name in files if folders[name] not in WAITING]
    items[:] = [item for name in spread_evenly(waiting, computing) for item in files[name]]
