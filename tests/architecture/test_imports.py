"""Who may import whom: the written contracts hold, and they bite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

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


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("data_plane/policy/access.py", "import django", "The data plane never meets Django"),
        ("data_plane/policy/access.py", "import asyncio", "The pure middle does no IO"),
        ("data_plane/policy/access.py", "import data_plane.upstream.connections", "Layers of the data plane"),
        ("control_plane/keys/services.py", "import data_plane.policy.access", "The planes meet only in the contract"),
        ("control_plane/audit/models.py", "import control_plane.keys.models", "Layers of the control plane"),
        ("proto/switchyard_contract/reason.py", "import data_plane.policy", "The contract knows neither plane"),
        ("data_plane/policy/routing_loop.py", "import data_plane.policy.access", None),
    ],
)
def test_a_forbidden_import_is_reported(tmp_path: Path, file: str, line: str, broken: str | None) -> None:
    for package in ("control_plane", "data_plane", "deploy", "proto"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / file
    target.write_text(f"{line}\n" + (target.read_text() if target.exists() else ""))
    done = lint(tmp_path)
    if broken is None:
        assert done.returncode == 0, done.stdout
    else:
        assert done.returncode == 1
        reported = [name for name in done.stdout.splitlines() if name.endswith("BROKEN")]
        assert any(name.startswith(broken) for name in reported), done.stdout


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
