"""The locks: pinned by hash, fitting pyproject, consistent with each other, and tied to no package host."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import ROOT

LOCKS = {path.stem: path for path in sorted((ROOT / "deploy" / "locks").glob("*.lock"))}
PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^ \\]+)(?: ; (?P<marker>.*?))?(?: \\)?$")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(path: Path) -> set[tuple[str, str]]:
    found = (PIN.match(line) for line in path.read_text().splitlines())
    return {(canonicalize_name(match["name"]), match["version"]) for match in found if match}


def wanted(extra: str) -> set[Requirement]:
    """What pyproject asks for an extra, the project's own other extras unfolded."""
    requirements: set[Requirement] = set()
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]):
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            for inner in requirement.extras:
                requirements |= wanted(inner)
        else:
            requirements.add(requirement)
    return requirements


def test_there_is_a_lock_for_each_extra() -> None:
    assert set(LOCKS) == {"control", "data", "local", "dev", "remote"} == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("path", LOCKS.values(), ids=LOCKS.keys())
def test_a_lock_names_no_package_host(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert "://" not in line, line
        assert not re.match(r"\s*(-i|--index-url|--extra-index-url|--find-links|-f|--trusted-host)\b", line), line


@pytest.mark.parametrize("path", LOCKS.values(), ids=LOCKS.keys())
def test_every_package_of_a_lock_is_pinned_by_hash(path: Path) -> None:
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert entries
    for entry in entries:
        assert re.search(r" --hash=sha256:[0-9a-f]{64}", entry), entry[:80]


@pytest.mark.parametrize("extra", LOCKS)
def test_a_lock_fits_what_pyproject_asks_for(extra: str) -> None:
    locked: dict[str, set[str]] = {}
    for name, version in pins(LOCKS[extra]):
        locked.setdefault(name, set()).add(version)
    for requirement in wanted(extra):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is in no line of {extra}.lock: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: run `make lock`"


@pytest.mark.parametrize("smaller", ["local", "control", "data"])
def test_a_version_is_the_same_wherever_it_is_installed(smaller: str) -> None:
    assert pins(LOCKS[smaller]) <= pins(LOCKS["dev"])


def test_a_pod_has_no_django_to_import() -> None:
    names = {name for name, _ in pins(LOCKS["data"])}
    assert names.isdisjoint({"django", "celery", "psycopg", "djangorestframework", "granian"})


def test_the_control_plane_has_no_gateway_to_import() -> None:
    names = {name for name, _ in pins(LOCKS["control"])}
    assert names.isdisjoint({"aiohttp", "httptools", "rs-bpe"})
