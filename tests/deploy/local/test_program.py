"""The ports and programs of local mode."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from deploy.local.entry import UNPRIVILEGED_ID
from deploy.local.ports import LOWEST, is_port_free, pick_free_port, pick_free_ports
from deploy.local.program import Identity, Program, can_make_user_namespace


def test_a_port_with_a_listener_is_taken() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_port_free(port)
        assert not is_port_free(port, "0.0.0.0")
    assert is_port_free(port)


def test_picked_ports_are_free_and_different() -> None:
    ports = pick_free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_port_free(port) for port in ports)
    assert pick_free_port(frozenset(ports)) not in ports


def test_engines_get_no_port_that_others_will_want(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.ports.HIGHEST", LOWEST + 4)
    wanted = frozenset(range(LOWEST, LOWEST + 4))
    monkeypatch.setattr("deploy.local.ports.is_port_free", lambda port: True)
    assert pick_free_ports(1, wanted) == (LOWEST + 4,)


def run(program: Program) -> str:
    log = program.open_log()
    try:
        subprocess.run(program.command_line(), **program.popen_arguments(log), check=True)
    finally:
        os.close(log)
    return program.log_path.read_text()


def test_a_child_gets_its_own_environment_and_session_only(tmp_path: Path) -> None:
    code = "echo $GIVEN ${HOME:-no home}; cut -d ' ' -f 6 /proc/$$/stat; echo $$"
    given = {"GIVEN": "yes", "PATH": "/usr/bin:/bin"}
    first, session, own = run(Program("child", ("/bin/sh", "-c", code), tmp_path / "log", given)).splitlines()
    assert first == "yes no home"
    assert session == own


def test_a_child_is_root_nowhere_when_it_should_not_be(tmp_path: Path) -> None:
    if can_make_user_namespace():
        program = Program(
            "child", ("/usr/bin/id", "-u"), tmp_path / "log", {"PATH": "/usr/bin:/bin"}, Identity.NAMESPACE
        )
        assert run(program).strip() == str(UNPRIVILEGED_ID)


def test_a_log_is_appended_to_and_for_its_owner_only(tmp_path: Path) -> None:
    program = Program("child", ("/bin/echo", "hello"), tmp_path / "logs" / "child.log")
    assert run(program) == "hello\n"
    assert run(program) == "hello\nhello\n"
    assert program.log_path.stat().st_mode & 0o777 == 0o600
