"""The doctor: names what is wrong and how to mend it, and fails only on problems."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import redis

from deploy.local import machine_checks
from deploy.local.doctor import check_settings, examine, main
from deploy.local.findings import Finding, Verdict
from deploy.local.settings_page import settings_page
from deploy.local.store_checks import check_stores
from deploy.local.surroundings import read_local_settings
from tests.architecture.source_tree import ROOT


def found(findings: Iterator[Finding], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject == subject]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("home/\n")
    return tmp_path / "home"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """Ports that are free for sure, and a home that git ignores."""
    from deploy.local.ports import pick_free_ports

    names = ("CONSOLE_PORT", "GRPC_PORT", "GATEWAY_PORT", "SIMULATED_PROVIDER_PORT", "POD_ADMIN_PORT")
    ports = pick_free_ports(len(names))
    settings = {f"SWITCHYARD_{name}": str(port) for name, port in zip(names, ports, strict=True)}
    return {**settings, "SWITCHYARD_HOME": str(home), "SWITCHYARD_PODS": "1"}


def test_a_sound_machine_has_no_problem(environment: dict[str, str]) -> None:
    findings = list(examine(environment))
    assert [finding for finding in findings if finding.verdict is Verdict.PROBLEM] == []
    subjects = {finding.subject for finding in findings}
    assert {"settings, local", "settings, control", "settings, data", "Python", "C library", "disk"} <= subjects


def test_each_wrong_setting_is_named_with_its_plane(environment: dict[str, str]) -> None:
    environment |= {"SWITCHYARD_PEPPER": "1:short", "SWITCHYARD_SPOOL_SYNC": "often"}
    problems = {
        finding.subject: finding.remedy for finding in examine(environment) if finding.verdict is Verdict.PROBLEM
    }
    assert problems == {
        "SWITCHYARD_PEPPER": "docs/operations/settings.md, plane control",
        "SWITCHYARD_SPOOL_SYNC": "docs/operations/settings.md, plane data",
    }


def test_a_container_is_told_what_it_misses() -> None:
    subjects = {finding.subject for finding in check_settings("data", {})}
    assert subjects == {
        "SWITCHYARD_DEPLOYMENT_ID",
        "COUNTERS_URL",
        "SWITCHYARD_VERIFY_KEYS",
        "SWITCHYARD_POD_TOKEN",
    }


def test_a_taken_port_is_a_problem_that_names_its_setting(environment: dict[str, str]) -> None:
    port = int(environment["SWITCHYARD_GATEWAY_PORT"])
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        (finding,) = found(examine(environment), f"port {port}")
    assert finding.verdict is Verdict.PROBLEM
    assert "SWITCHYARD_GATEWAY_PORT" in finding.remedy


def test_a_home_with_secrets_that_git_would_take_is_a_problem(environment: dict[str, str], home: Path) -> None:
    (home.parent / ".gitignore").unlink()
    (finding,) = found(examine(environment), "home")
    assert finding.verdict is Verdict.PROBLEM


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ((1024, 1024), Verdict.PROBLEM),
        ((1024, 65536), Verdict.WARNING),
        ((65536, 65536), Verdict.FINE),
        ((-1, -1), Verdict.FINE),
    ],
)
def test_too_few_open_files(limits: tuple[int, int], verdict: Verdict) -> None:
    assert machine_checks._descriptors(limits).verdict is verdict


@pytest.mark.parametrize(
    ("told", "verdict"),
    [(("glibc", "2.27"), Verdict.PROBLEM), (("glibc", "2.36"), Verdict.FINE), (("", ""), Verdict.WARNING)],
)
def test_an_old_c_library(told: tuple[str, str], verdict: Verdict) -> None:
    assert machine_checks._glibc(told).verdict is verdict


@pytest.mark.parametrize(
    ("built_with", "prefix", "is_optimized"),
    [
        ("'--enable-optimizations' '--with-lto'", "/opt/python", True),
        ("'--enable-shared'", "/usr", True),
        ("", "/opt/python", True),
        ("'--prefix=/root/.pyenv/versions/3.11.7' '--enable-shared'", "/root/.pyenv/versions/3.11.7", False),
    ],
)
def test_an_interpreter_that_was_not_optimized(built_with: str, prefix: str, is_optimized: bool) -> None:
    assert machine_checks.is_optimized(built_with, prefix) is is_optimized


def test_a_full_disk_is_a_problem(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "free_bytes", lambda _: 100_000_000)
    (finding,) = found(examine(environment), "disk")
    assert (finding.verdict, finding.seen[:7]) == (Verdict.PROBLEM, "100 MB ")


def test_servers_that_answer_are_fine(
    environment: dict[str, str], postgresql_url: str, redis_url: str, counters_url: str
) -> None:
    urls = {"DATABASE_URL": postgresql_url, "REDIS_URL": redis_url, "COUNTERS_URL": counters_url}
    findings = list(check_stores(read_local_settings(environment), urls))
    assert {finding.subject: finding.verdict for finding in findings} == dict.fromkeys(urls, Verdict.FINE)


def test_counters_that_share_a_server_are_a_warning(environment: dict[str, str], redis_url: str) -> None:
    findings = check_stores(read_local_settings(environment), {"REDIS_URL": redis_url})
    (finding,) = found(findings, "counters")
    assert finding.verdict is Verdict.WARNING


def test_a_store_that_forgets_is_a_problem(environment: dict[str, str], redis_url: str, counters_url: str) -> None:
    client = redis.Redis.from_url(counters_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        urls = {"REDIS_URL": redis_url, "COUNTERS_URL": counters_url}
        (finding,) = found(check_stores(read_local_settings(environment), urls), "COUNTERS_URL")
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert finding.verdict is Verdict.PROBLEM
    assert "counters would be forgotten" in finding.seen


def test_a_server_that_is_not_there_is_a_problem_without_its_password(environment: dict[str, str]) -> None:
    urls = {
        "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d",
        "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
        "COUNTERS_URL": "redis://:hunter2@127.0.0.1:2/0",
    }
    findings = list(check_stores(read_local_settings(environment), urls))
    assert {finding.subject: finding.verdict for finding in findings} == dict.fromkeys(urls, Verdict.PROBLEM)
    assert "hunter2" not in str(findings)


def test_a_running_platform_holds_its_ports(environment: dict[str, str], home: Path) -> None:
    home.mkdir()
    stores: Mapping[str, str] = {"database_url": "", "redis_url": "", "counters_url": ""}
    (home / "local.json").write_text(json.dumps({"pids": {"web": os.getpid()}, **stores}))
    assert found(examine(environment), "ports")[0].verdict is Verdict.FINE


def test_the_exit_code_says_whether_there_is_a_problem(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("SWITCHYARD_") or name.endswith("_URL")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    assert capsys.readouterr().out.endswith("no problems\n")
    monkeypatch.setenv("SWITCHYARD_PODS", "none")
    assert main([]) == 1
    told = capsys.readouterr().out
    assert "PROBLEM  SWITCHYARD_PODS  'none' is no whole number (pods)" in told
    assert told.endswith("1 problem\n")


def test_the_page_of_settings_is_fresh() -> None:
    page = (ROOT / "docs" / "operations" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(), "run `switchyard doctor --settings-page > docs/operations/settings.md`"
