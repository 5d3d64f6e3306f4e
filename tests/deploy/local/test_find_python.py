"""Which Python an installation runs on: of the suitable ones one that was built by profile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.machine_checks import is_optimized

FIND = Path(__file__).resolve().parents[3] / "deploy" / "local" / "find-python"
ASKED = "import sys, sysconfig; print(sysconfig.get_config_var('CONFIG_ARGS') or ''); print(sys.base_prefix)"


def find(folder: Path, *arguments: str, python: str = "") -> list[str]:
    """What is printed, line by line, where a folder stands before all others on PATH; nothing where it fails."""
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHON": python}
    said = subprocess.run(
        ["sh", str(FIND), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (said.returncode == 0) == bool(said.stdout)
    return said.stdout.split()


def put(folder: Path, name: str, *, suitable: bool = True, optimized: bool = True) -> Path:
    """A Python that answers the two questions."""
    made = folder / name
    made.write_text(
        f'#!/bin/sh\ncase "$2" in *CONFIG_ARGS*) exit {1 - optimized} ;; *version_info*) exit {1 - suitable} ;; esac\n'
    )
    made.chmod(0o755)
    return made


def test_the_newest_that_was_built_by_profile(tmp_path: Path) -> None:
    slow, quick = put(tmp_path, "python3.13", optimized=False), put(tmp_path, "python3.12")
    assert find(tmp_path) == [str(quick)]
    assert find(tmp_path, "--all")[0] == str(slow)


def test_what_this_machine_has_is_chosen_as_the_doctor_would(tmp_path: Path) -> None:
    """Where nothing was built by profile, the newest does."""
    there = find(tmp_path, "--all")
    assert there
    built = [
        subprocess.run([each, "-c", ASKED], capture_output=True, text=True, check=True).stdout.split("\n")
        for each in there
    ]
    good = [
        place
        for place, (told, prefix, *_) in zip(there, built, strict=True)
        if is_optimized(told.strip(), prefix.strip())
    ]
    assert find(tmp_path) == [(good or there)[0]]


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    old = put(tmp_path, "python3.13", suitable=False)
    assert str(old) not in find(tmp_path, "--all")


def test_a_named_one_is_the_only_one_looked_at(tmp_path: Path) -> None:
    slow = put(tmp_path, "mine", optimized=False)
    put(tmp_path, "python3.13")
    assert find(tmp_path, python=str(slow)) == [str(slow)]
    assert find(tmp_path, "--all", python=sys.executable) == [sys.executable]


@pytest.mark.parametrize("name", ["/nowhere/python3", "no-such-python"])
def test_a_named_one_that_is_not_there_is_not_replaced(tmp_path: Path, name: str) -> None:
    assert find(tmp_path, python=name) == []
