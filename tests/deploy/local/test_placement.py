"""Where PostgreSQL's data goes and as whom it runs, on machines of every kind."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from deploy.local import postgresql
from deploy.local.binaries import PostgresqlTree, find_postgresql
from deploy.local.engines import Engines
from deploy.local.entry import UNPRIVILEGED_ID
from deploy.local.ports import pick_free_port
from deploy.local.postgresql import Postgresql, PostgresqlFailed, place
from deploy.local.program import Identity

TREE = PostgresqlTree(Path("/usr/lib/postgresql/18/bin"), None)


class Machine:
    """Answers what `place` asks the machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.user_id = 0
        self.has_names = True
        self.is_open = True
        self.has_namespaces = True
        self.owners: dict[Path, int] = {}
        monkeypatch.setattr(os, "geteuid", lambda: self.user_id)
        monkeypatch.setattr(os, "chown", lambda path, user, group, **_: self.owners.update({Path(path): user}))
        monkeypatch.setattr(postgresql, "_has_name", lambda user_id: self.has_names or user_id == UNPRIVILEGED_ID)
        monkeypatch.setattr(postgresql, "_is_open_to_all", lambda folder: self.is_open)
        monkeypatch.setattr(postgresql, "can_make_user_namespace", lambda: self.has_namespaces)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_an_ordinary_user_runs_it_as_is(machine: Machine, tmp_path: Path) -> None:
    machine.user_id = 1000
    found = place(tmp_path, TREE)
    assert (found.folder, found.identity) == (tmp_path / "postgresql", Identity.SAME)
    assert found.folder.stat().st_mode & 0o777 == 0o700


def test_a_user_without_a_name_gets_one_in_a_namespace(machine: Machine, tmp_path: Path) -> None:
    machine.user_id, machine.has_names = 1_000_640_000, False
    assert place(tmp_path, TREE).identity is Identity.NAMESPACE
    machine.has_namespaces = False
    with pytest.raises(PostgresqlFailed, match="user id 1000640000 has none"):
        place(tmp_path, TREE)


def test_root_runs_it_as_nobody(machine: Machine, tmp_path: Path) -> None:
    found = place(tmp_path, TREE)
    assert found.identity is Identity.UNPRIVILEGED
    assert machine.owners == {tmp_path / "postgresql": UNPRIVILEGED_ID}


def test_root_in_a_closed_home_uses_a_namespace(machine: Machine, tmp_path: Path) -> None:
    machine.is_open = False
    found = place(tmp_path, TREE)
    assert (found.folder, found.identity) == (tmp_path / "postgresql", Identity.NAMESPACE)


def test_data_made_in_a_namespace_stays_there(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "postgresql" / "data").mkdir(parents=True)
    assert place(tmp_path, TREE).identity is Identity.NAMESPACE


def test_where_nothing_else_is_left_the_data_goes_to_the_systems_state(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.is_open = machine.has_namespaces = False
    monkeypatch.setattr(postgresql, "SYSTEM_STATE", tmp_path / "state")
    one, other = place(tmp_path / "one", TREE), place(tmp_path / "other", TREE)
    assert one.identity is Identity.UNPRIVILEGED
    assert one.folder.parent == tmp_path / "state"
    assert one.folder != other.folder
    monkeypatch.setattr(postgresql, "SYSTEM_STATE", Path("/proc/nowhere"))
    with pytest.raises(PostgresqlFailed, match="Start Switchyard as an ordinary user"):
        place(tmp_path, TREE)


def test_programs_that_nobody_may_read_are_copied_with_their_libraries(tmp_path: Path) -> None:
    """A clone below a closed umask: the copy must find its libraries, so it is run."""
    tree = find_postgresql()
    if tree.root is None or os.geteuid() != 0:
        return
    site, home = tmp_path / "site", tmp_path / "home"
    home.mkdir()
    for path in (tmp_path, *list(tmp_path.parents)[:3]):
        path.chmod(path.stat().st_mode | 0o111)
    for part in tree.parts:
        shutil.copytree(tree.root / part, site / part)
    closed = PostgresqlTree(site / tree.bin.relative_to(tree.root), site, tree.parts)
    (closed.bin / "postgres").chmod(0o700)
    server = Postgresql(home, tmp_path / "log", pick_free_port(), "secret", durable=False)
    server._placement = place(home, closed)
    assert server.placement.bin.is_relative_to(home / "postgresql")
    with Engines([server]), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
