"""A home of its own for every test, and a console in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.remote.console import Console, scripted_console

LEAKS = (
    "SWITCHYARD_URL",
    "SWITCHYARD_TOKEN",
    "SWITCHYARD_HOME",
    "XDG_CONFIG_HOME",
    "CODEX_HOME",
    "CLAUDE_CONFIG_DIR",
    "GEMINI_CLI_HOME",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "DISPLAY",
    "WAYLAND_DISPLAY",
)


@pytest.fixture
def console() -> Iterator[Console]:
    with scripted_console() as console:
        yield console


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in LEAKS:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder
