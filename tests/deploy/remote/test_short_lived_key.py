"""`switchyard key helper`: one short-lived key per machine and tool, from a private file, refreshed in time."""

import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import time_machine

from deploy.key_command import main
from deploy.remote.api import Api
from deploy.remote.logins import Login, login_store
from tests.architecture.source_tree import ROOT
from tests.deploy.remote.console import Asked, Console


class Keys:
    """The console's keys: mints them, says whether they are alive."""

    def __init__(self, console: Console) -> None:
        self.minted: list[dict[str, Any]] = []
        self.states: dict[str, str] = {}
        self._console, self._lock = console, Lock()
        console.on("POST", "keys?wait=applied", self.mint)

    def mint(self, asked: Asked) -> tuple[int, Any]:
        with self._lock:
            number = len(self.minted) + 1
            self.minted.append(asked.body)
            self.states[f"k{number}"] = "active"
            self._console.on("GET", f"keys/k{number}", lambda _, key=f"k{number}": (200, {"state": self.states[key]}))
        return 201, {"id": f"k{number}", "key": f"sypat_key{number}", "prefix": "sypat_key"}


@pytest.fixture
def keys(console: Console, home: Path) -> Keys:
    login_store(
        Login(console.url, "syapi_ada", "t1", "ada@example.com", "acme", int(time.time()), None), {"HOME": str(home)}
    )
    return Keys(console)


Ask = Callable[..., str]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*arguments: str) -> str:
        code = main(["helper", "--tool", "claude-code", *arguments])
        told = capsys.readouterr()
        assert (code, told.err) == (0, ""), told.err
        return told.out

    return asked


def test_only_the_key_is_on_standard_output(keys: Keys, ask: Ask, home: Path) -> None:
    assert ask() == "sypat_key1\n"
    [minted] = keys.minted
    assert minted["name"].startswith("claude-code on ")
    lasts_s = datetime.fromisoformat(minted["expires_at"]).timestamp() - time.time()
    assert 3590 < lasts_s <= 3600
    [path] = (home / ".config" / "switchyard" / "keys").glob("*.txt")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_reused_until_shortly_before_its_end(keys: Keys, ask: Ask) -> None:
    now = time.time()
    assert ask() == "sypat_key1\n"
    for minutes in (1, 4, 10, 30, 49):
        with time_machine.travel(now + minutes * 60, tick=False):
            assert ask() == "sypat_key1\n"
    with time_machine.travel(now + 51 * 60, tick=False):
        assert ask() == "sypat_key2\n"


def test_each_tool_and_team_has_a_key_of_its_own(keys: Keys, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask() == "sypat_key1\n"
    assert ask("--team", "platform") == "sypat_key2\n"
    assert main(["helper", "--tool=codex"]) == 0
    assert capsys.readouterr().out == "sypat_key3\n"
    assert [minted.get("team") for minted in keys.minted] == [None, "platform", None]


def test_another_sign_in_gets_another_key(keys: Keys, ask: Ask, console: Console, home: Path) -> None:
    assert ask() == "sypat_key1\n"
    login_store(
        Login(console.url, "syapi_bob", "t2", "bob@example.com", "acme", int(time.time()), None), {"HOME": str(home)}
    )
    assert ask() == "sypat_key2\n"


def test_a_fresh_key_costs_no_request(keys: Keys, ask: Ask, console: Console) -> None:
    ask()
    asked = len(console.asked)
    assert ask() == "sypat_key1\n"
    assert len(console.asked) == asked


def test_a_key_that_was_revoked_is_not_given_out_for_long(keys: Keys, ask: Ask) -> None:
    now = time.time()
    ask()
    keys.states["k1"] = "revoked"
    with time_machine.travel(now + 301, tick=False):
        assert ask() == "sypat_key2\n"


def test_a_console_out_of_reach_is_not_noticed_while_the_key_lives(
    keys: Keys,
    ask: Ask,
    console: Console,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = time.time()
    assert ask() == "sypat_key1\n"
    gone = "http://127.0.0.1:1"
    # The same sign-in, only that nothing listens there: what is kept must do.
    monkeypatch.setattr("deploy.remote.logins.Place.api", lambda place: Api(gone))
    with time_machine.travel(now + 10 * 60, tick=False):
        assert ask() == "sypat_key1\n"
    with time_machine.travel(now + 55 * 60, tick=False):
        assert ask() == "sypat_key1\n"
    with time_machine.travel(now + 60 * 60, tick=False):
        assert main(["helper", "--tool", "claude-code"]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert "cannot be reached" in told.err


def test_many_at_once_mint_one_key(keys: Keys, console: Console, home: Path) -> None:
    command = [sys.executable, "-m", "deploy.command", "key", "helper", "--tool", "codex", "--url", console.url]
    environment = {"HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT}/proto", "PATH": "/usr/bin:/bin"}

    def run(_: int) -> str:
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(run, range(6))) == {"sypat_key1\n"}
    assert len(keys.minted) == 1


def test_from_the_cache_nothing_slow_is_loaded(keys: Keys, ask: Ask, console: Console, home: Path) -> None:
    ask("--url", console.url)
    probe = (
        "import sys; from deploy.command import main; "
        f"code = main(['key', 'helper', '--tool', 'claude-code', '--url', {console.url!r}]); "
        "slow = {'urllib.request', 'http.client', 'ssl', 'email', 'tomlkit', 'webbrowser'} & set(sys.modules); "
        "print(code, sorted(slow))"
    )
    environment = {"HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT}/proto", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", probe], env=environment, cwd=home, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "sypat_key1\n0 []\n", done.stderr


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (
            400,
            {"detail": "Choose the team that is charged for this key.", "errors": [{"field": "team", "message": "x"}]},
            r"--team NAME",
        ),
        (401, {"detail": "No valid admin token."}, r"Run: switchyard login --url http"),
        (403, {"detail": "Your organization lets nobody mint keys."}, "lets nobody"),
        (201, {"unexpected": 1}, "did not answer as a Switchyard console"),
    ],
)
def test_what_went_wrong_is_on_standard_error(
    keys: Keys, console: Console, capsys: pytest.CaptureFixture[str], status: int, answer: Any, why: str
) -> None:
    console.on("POST", "keys?wait=applied", (status, answer))
    assert main(["helper"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(why, told.err)
    assert "syapi_ada" not in told.err


def test_wrong_arguments_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["helper", "--tol", "x"])
    assert ended.value.code == 2
    assert main(["helper", "--lifetime", "5"]) == 1
    assert "--lifetime" in capsys.readouterr().err


def test_a_damaged_cache_is_replaced(keys: Keys, ask: Ask, home: Path) -> None:
    ask()
    [path] = (home / ".config" / "switchyard" / "keys").glob("*.txt")
    path.write_text("half a ke")
    assert ask() == "sypat_key2\n"
