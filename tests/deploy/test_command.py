"""The console script: each sub-command calls one function of one plane, and imports no other."""

import subprocess
import sys

import pytest

from deploy import command
from deploy.command import SUB_COMMANDS, main
from tests.architecture.source_tree import ROOT

PUBLISHED = [
    "up",
    "migrate",
    "web",
    "grpc",
    "worker",
    "beat",
    "pod",
    "doctor",
    "simulated-provider",
    "bootstrap",
    "pod-token",
    "verify-audit",
    "verify-snapshot",
    "login",
    "logout",
    "whoami",
    "setup",
    "statusline",
    "plan",
    "apply",
    "export",
    "import",
    "key",
]


def test_the_sub_commands_are_these() -> None:
    assert [entry.name for entry in SUB_COMMANDS] == PUBLISHED


@pytest.mark.parametrize("entry", SUB_COMMANDS, ids=lambda entry: entry.name)
def test_a_sub_command_names_a_function_that_is_there(entry: command.SubCommand) -> None:
    module, _, function = entry.target.partition(":")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert f"def {function}(" in source


def test_help_lists_every_sub_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert [name for name in PUBLISHED if f"\n  {name} " in told] == PUBLISHED


@pytest.mark.parametrize("arguments", [[], ["fly"], ["web", "--port", "1"], ["pod", "extra"]])
def test_what_is_no_command_is_refused_with_its_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: switchyard <command>" in capsys.readouterr().err


def test_arguments_reach_the_commands_that_take_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--settings-page"]) == 0
    assert capsys.readouterr().out.startswith("# Settings")


def test_the_command_itself_imports_no_plane() -> None:
    code = "import sys, deploy.command; print([n for n in sys.modules if n.partition('.')[0] in sys.argv[1:]])"
    names = ["control_plane", "data_plane", "django", "aiohttp", "redis", "psycopg", "grpc", "google"]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_an_image_without_that_plane_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name="django")

    monkeypatch.setattr(command.importlib, "import_module", missing)
    assert main(["web"]) == 1
    assert (
        capsys.readouterr().err
        == "`switchyard web` needs 'django', which is not installed here. Install switchyard[control].\n"
    )


def test_a_hole_in_our_own_code_is_not_mistaken_for_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError("No module named 'switchyard_contract.gone'", name="switchyard_contract.gone")

    monkeypatch.setattr(command.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        main(["web"])


def test_several_pod_processes_are_started_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def call(target: str, *arguments: object) -> int:
        called.append(target)
        return 0

    monkeypatch.setattr(command, "_call", call)
    monkeypatch.setenv("SWITCHYARD_POD_PROCESSES", "2")
    assert main(["pod"]) == 0
    monkeypatch.setenv("SWITCHYARD_POD_PROCESSES", "1")
    assert main(["pod"]) == 0
    assert called == ["deploy.pod_processes:main", "data_plane.__main__:main"]
