"""Who may import whom: the written contracts hold, and they bite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.source_tree import ROOT, tracked_files

LINTER = str(Path(sys.executable).parent / "lint-imports")

FORBIDDEN_IN_DATA_PLANE = {
    "django": "a pod must start and serve without a database",
    "rest_framework": "the REST API is the control plane's",
    "celery": "pods report usage through the contract, not through a broker",
    "psycopg": "a pod has no database; what it must not lose is in its spool",
    "control_plane": "the planes meet only in switchyard_contract",
    "deploy": "a pod knows nothing of how it is started",
}

IMPORT_ALL = """
import importlib, pkgutil, sys
import data_plane
names = [module.name for module in pkgutil.walk_packages(data_plane.__path__, "data_plane.")]
for name in names:
    importlib.import_module(name)
print(len(names))
loaded = {name.partition(".")[0] for name in sys.modules}
print(" ".join(sorted(loaded & set(sys.argv[1:]))))
"""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'proto'}"}
    return subprocess.run(
        [LINTER, "--config", str(folder / "pyproject.toml"), "--no-cache"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_import_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 7 kept, 0 broken." in done.stdout


SLIPPED_IN = [
    ("data_plane/policy/slip.py", "import django", "The data plane never meets Django"),
    ("data_plane/protocols/slip.py", "import asyncio", "The pure middle does no IO, reads no clock, draws no chance"),
    ("data_plane/telemetry/slip.py", "import data_plane.upstream.connections", "Layers of the data plane"),
    ("control_plane/keys/slip.py", "import data_plane.policy.access", "The planes meet only in the contract"),
    ("control_plane/audit/slip.py", "import control_plane.keys.models", "Layers of the control plane"),
    ("proto/switchyard_contract/slip.py", "import data_plane.policy", "The contract knows neither plane"),
    ("data_plane/usage/slip_one.py", "import data_plane.usage.slip_two", "No circles"),
    ("data_plane/usage/slip_two.py", "import data_plane.usage.slip_one", "No circles"),
]
"""File, line that has no business there, contract that must say so."""


def test_each_contract_reports_what_it_forbids(tmp_path: Path) -> None:
    for path in tracked_files():
        if path.suffix == ".py" and path.parts[0] in ("control_plane", "data_plane", "deploy", "proto"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line, _ in SLIPPED_IN:
        (tmp_path / file).write_text(f"{line}\n")
    told = lint(tmp_path).stdout
    broken = {line.removesuffix(" BROKEN") for line in told.splitlines() if line.endswith(" BROKEN")}
    assert broken == {contract for _, _, contract in SLIPPED_IN}
    # The report leads to the line, not only to the rule.
    assert "data_plane.policy.slip -> django (l.1)" in told
    assert "data_plane.protocols.slip -> asyncio (l.1)" in told


def test_importing_the_whole_data_plane_loads_nothing_forbidden() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *FORBIDDEN_IN_DATA_PLANE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, loaded = done.stdout.splitlines()
    assert int(count) > 0
    assert {name: FORBIDDEN_IN_DATA_PLANE[name] for name in loaded.split()} == {}


def test_the_contract_alone_loads_neither_plane() -> None:
    code = IMPORT_ALL.replace("data_plane", "switchyard_contract")
    names = ["django", "celery", "control_plane", "data_plane", "aiohttp", "redis"]
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == ""
