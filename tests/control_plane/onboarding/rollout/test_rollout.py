"""What device managements push: right for each system, whole, and without a secret."""

import json
import plistlib
import re
import shutil
import subprocess
import tomllib
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import pytest

from control_plane.onboarding.rollout import catalog
from control_plane.onboarding.rollout.catalog import InvalidCatalog, all_mdms, all_tools, format_names, package_of
from control_plane.onboarding.rollout.plan import System, helper_command, shell_line
from control_plane.onboarding.rollout.scripts import END_MARK, install_script
from switchyard_contract.virtual_key import KEY_PATTERN
from tests.control_plane.onboarding.rollout.rendering import GOLDEN, a_context, as_text, packages

PACKAGES = packages(a_context())
EACH = pytest.mark.parametrize(
    ("tool", "name", "package"), PACKAGES, ids=[f"{tool.id}-{name}" for tool, name, _ in PACKAGES]
)
HOSTILE = 'O\'Brien & <Söhne> "$(id)" `id` %PATH% $HOME'


@EACH
def test_a_package_reads_as_it_was_looked_at(tool, name, package) -> None:  # type: ignore[no-untyped-def]
    golden = GOLDEN / f"{tool.id}.{name}.txt"
    assert as_text(package) == golden.read_text(encoding="utf-8"), "write them anew: see rendering.py"


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {f"{tool.id}.{name}" for tool, name, _ in PACKAGES}


@pytest.mark.parametrize(
    "context",
    [
        a_context(),
        a_context(group=HOSTILE, organization=HOSTILE, project=HOSTILE, repository=HOSTILE),
        a_context(with_helper=False),
        a_context(models=()),
        a_context(group=HOSTILE, with_status_line=True),
    ],
    ids=["usual", "hostile names", "own keys", "no models", "status bar"],
)
def test_every_file_is_whole_in_its_own_language(context, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for tool, name, package in packages(context):
        assert package.files, (tool.id, name)
        assert package.steps, (tool.id, name)
        for file in package.files:
            assert file.text.endswith("\n"), file.name
            assert not KEY_PATTERN.search(file.text)
            match Path(file.name).suffix:
                case ".json":
                    json.loads(file.text)
                case ".toml":
                    tomllib.loads(file.text)
                case ".plist" | ".mobileconfig":
                    plistlib.loads(file.text.encode())
                    ElementTree.fromstring(file.text)  # our own text
                case ".sh":
                    assert shell_says_it_is_right(file.text), file.text
                case ".ps1":
                    assert here_strings_are_closed(file.text), file.text
                case other:
                    raise AssertionError(f"nobody checks {other}")


def shell_says_it_is_right(text: str) -> bool:
    return subprocess.run(["sh", "-n"], input=text, text=True, check=False, timeout=10).returncode == 0


def here_strings_are_closed(text: str) -> bool:
    """Whether every @' has its '@ at the beginning of a line, before the next one opens."""
    marks = re.findall(r"^(?:\$text = (@')|('@))\r?$", text, re.MULTILINE)
    return [bool(opens) for opens, _ in marks] == [True, False] * (len(marks) // 2)


def test_claude_code_gets_its_slots_and_its_list_from_what_may_be_used() -> None:
    package = package_of(all_tools()["claude-code"], "linux", a_context())
    assert package is not None
    [file] = package.files
    assert file.path == "/etc/claude-code/managed-settings.json"
    assert json.loads(file.text) == {
        "env": {
            "ANTHROPIC_BASE_URL": "https://ai.example.com",
            "ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-4-6",
            "ANTHROPIC_DEFAULT_SONNET_MODEL": "claude-sonnet-4-6",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4-5",
        },
        "availableModels": ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"],
        "apiKeyHelper": "switchyard key helper --tool claude-code --url https://console.example.com --team platform",
    }


def test_the_status_bar_is_switched_on_where_it_is_wanted() -> None:
    for with_helper, expected in (
        (
            True,
            "switchyard statusline --gateway https://ai.example.com --tool claude-code "
            "--url https://console.example.com --team platform",
        ),
        (False, "switchyard statusline --gateway https://ai.example.com"),
    ):
        context = a_context(with_helper=with_helper, with_status_line=True)
        package = package_of(all_tools()["claude-code"], "linux", context)
        assert package is not None
        settings = json.loads(package.files[0].text)
        assert settings["statusLine"] == {"type": "command", "command": expected}
        assert "The switchyard command is on everybody's PATH" in " ".join(
            all_tools()["claude-code"].render(context).before
        )
    assert "statusLine" not in package_of(all_tools()["claude-code"], "linux", a_context()).files[0].text  # type: ignore[union-attr]


def test_each_system_has_its_own_place() -> None:
    places = {
        name: package_of(all_tools()["claude-code"], name, a_context()).files[0].path  # type: ignore[union-attr]
        for name in ("macos", "linux", "windows")
    }
    assert places == {
        "macos": "/Library/Application Support/ClaudeCode/managed-settings.json",
        "linux": "/etc/claude-code/managed-settings.json",
        "windows": "C:\\Program Files\\ClaudeCode\\managed-settings.json",
    }


def test_a_projects_file_carries_tags_and_no_key() -> None:
    package = package_of(all_tools()["claude-code"], "project", a_context())
    assert package is not None
    variables = json.loads(package.files[0].text)["env"]
    name, value = variables["ANTHROPIC_CUSTOM_HEADERS"].split(": ", 1)
    assert name == "x-switchyard-metadata"
    assert json.loads(value) == {"project": "checkout", "repository": "acme/checkout"}
    assert "apiKeyHelper" not in package.files[0].text
    assert package.files[0].path == ".claude/settings.json"


def test_a_header_of_a_project_stays_on_one_line() -> None:
    package = package_of(all_tools()["claude-code"], "project", a_context(project="a\nx-evil: 1\tß"))
    assert package is not None
    header = json.loads(package.files[0].text)["env"]["ANTHROPIC_CUSTOM_HEADERS"]
    assert header.isascii()
    assert "\n" not in header


def test_codex_asks_the_helper_or_a_variable() -> None:
    codex = all_tools()["codex"]
    with_helper = tomllib.loads(package_of(codex, "linux", a_context()).files[0].text)  # type: ignore[union-attr]
    provider = with_helper["model_providers"]["switchyard"]
    assert [provider["auth"]["command"], *provider["auth"]["args"]] == list(helper_command(a_context(), "codex"))
    assert with_helper["model"] == "gpt-5.1"
    text = package_of(codex, "linux", a_context(with_helper=False)).files[0].text  # type: ignore[union-attr]
    own = tomllib.loads(text)["model_providers"]["switchyard"]
    assert own["env_key"] == "SWITCHYARD_API_KEY"
    assert "auth" not in own


def test_the_profile_of_codex_holds_the_same_text_as_its_file() -> None:
    codex = all_tools()["codex"]
    profile = plistlib.loads(package_of(codex, "kandji", a_context()).files[0].text.encode())  # type: ignore[union-attr]
    [payload] = profile["PayloadContent"]
    assert payload["PayloadType"] == "com.openai.codex"
    file = package_of(codex, "macos", a_context()).files[0].text  # type: ignore[union-attr]
    assert b64decode(payload["config_toml_base64"]).decode() == file


def test_gemini_cli_is_kept_from_signing_in_past_the_gateway() -> None:
    package = package_of(all_tools()["gemini-cli"], "linux", a_context())
    assert package is not None
    settings, profile = package.files
    assert json.loads(settings.text)["security"]["auth"]["enforcedType"] == "gemini-api-key"
    assert profile.path.startswith("/etc/profile.d/")
    assert "export GOOGLE_GEMINI_BASE_URL=https://ai.example.com" in profile.text


def test_gemini_cli_warns_of_an_address_without_encryption() -> None:
    made = all_tools()["gemini-cli"].render(a_context(base_url="http://gateway.corp"))
    assert "https addresses only" in made.warning


@pytest.mark.parametrize("tool_id", list(all_tools()))
def test_without_a_model_that_is_said(tool_id: str) -> None:
    made = all_tools()[tool_id].render(a_context(models=()))
    assert "platform" in made.warning


def test_a_script_writes_audits_and_takes_away(tmp_path: Path) -> None:
    """Run for real, below a folder of its own."""
    context = a_context(group=HOSTILE)
    scripts = {file.name: file.text for file in package_of(all_tools()["gemini-cli"], "kandji", context).files}  # type: ignore[union-attr]
    moved = {name: text.replace("'/Library", f"'{tmp_path}/Library").replace(" /Library", f" {tmp_path}/Library")
             for name, text in scripts.items()}  # fmt: skip
    audit, install, remove = (moved[f"switchyard-gemini-cli-{what}.sh"] for what in ("audit", "install", "remove"))
    assert run(audit) == 1
    assert run(install) == 0
    assert run(audit) == 0
    [settings] = tmp_path.rglob("settings.json")
    assert json.loads(settings.read_text())["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert settings.stat().st_mode & 0o777 == 0o644
    settings.write_text("{}")
    assert run(audit) == 1
    assert run(install) == 0
    assert run(audit) == 0
    assert run(remove) == 0
    assert list(tmp_path.rglob("settings.json")) == []


def run(script: str) -> int:
    shell = shutil.which("sh")
    assert shell is not None
    return subprocess.run([shell], input=script, text=True, capture_output=True, check=False, timeout=20).returncode


def test_no_text_ends_its_own_here_document() -> None:
    for tool in all_tools().values():
        script = install_script(tool, tool.render(a_context()), System.LINUX)
        assert script.count(f"\n{END_MARK}\n") == script.count(f"<<'{END_MARK}'")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("platform", "switchyard platform"),
        ("my team", 'switchyard "my team"'),
        ("O'Brien", 'switchyard "O\'Brien"'),
        ("$(id)", "switchyard '$(id)'"),
        ("50% off", "switchyard '50% off'"),
    ],
)
def test_a_command_line_is_read_alike_by_both_shells(word: str, line: str) -> None:
    assert shell_line(("switchyard", word)) == line


def test_every_tool_says_where_its_settings_were_looked_up() -> None:
    assert all(tool.checked_against for tool in all_tools().values())
    assert list(all_mdms()) == ["jamf", "kandji", "mosyle", "intune"]
    assert len(format_names()) == 9


def test_a_file_without_its_constant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "FRAME", frozenset())
    with pytest.raises(InvalidCatalog, match="exports no TOOL"):
        catalog._collected(catalog.rollout, "TOOL", catalog.RolloutTool, frozenset(), ())
