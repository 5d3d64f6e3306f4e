"""`switchyard plan`, `apply`, `export`, `import`: against a real console, with the exit codes that pipelines read."""

import io
import json
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from control_plane.declarative.models import PolicyRevision
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Membership, Role, Team
from control_plane.organizations.services import team_create
from deploy.command import main
from deploy.remote.policy_files import read_files
from deploy.remote.policy_report import Paint, plan_lines
from deploy.remote.refused import Refused
from tests.builders.tenants import Tenant, a_provider, a_tenant

TEAM = "kind: Team\nmetadata: {name: core}\nspec: {cost_centre: '7'}\n"


@pytest.fixture
def tenant(transactional_db: None, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """An owner with a token, and the command pointed at the console."""
    tenant = a_tenant("acme")
    Membership.objects.filter(user=tenant.admin).update(role=Role.OWNER)
    token = admin_token_mint(organization=tenant.organization, user=tenant.admin, name="ci", actor=tenant.actor).token
    monkeypatch.setenv("SWITCHYARD_URL", live_server.url)
    monkeypatch.setenv("SWITCHYARD_TOKEN", token)
    return tenant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "core.yaml").write_text(TEAM)
    (tmp_path / "a-note.txt").write_text("not policy")
    return tmp_path


def test_a_folder_is_planned_applied_and_applied_again(
    tenant: Tenant, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-f", str(folder)]) == 2
    told = capsys.readouterr().out
    assert "+ create Team core" in told
    assert "Plan: 1 to create; 0 as they are." in told
    assert "\x1b[" not in told
    assert not Team.objects.filter(name="core").exists()

    assert main(["apply", "-f", str(folder), "--yes", "--source", "git:1", "--reason", "new team"]) == 2
    revision = PolicyRevision.objects.latest("number")
    assert f"Applied as revision {revision.number}." in capsys.readouterr().out
    assert (revision.source_label, revision.reason) == ("git:1", "new team")

    assert main(["apply", "-f", str(folder), "--yes"]) == 0
    assert main(["plan", "-f", str(folder)]) == 0


def test_errors_are_told_at_their_file_and_line(
    tenant: Tenant, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "teams" / "other.yml").write_text("# a comment\n" + TEAM.replace("core", "x").replace("cost_", "cots_"))
    assert main(["plan", "-f", str(folder)]) == 1
    told = capsys.readouterr().err
    assert f"error {folder}/teams/other.yml:4: Team x: spec.cots_centre: There is no field" in told
    assert "Did you mean cost_centre?" in told


def test_nobody_is_asked_where_nobody_is(
    tenant: Tenant, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["apply", "-f", str(folder)]) == 1
    assert "say --yes" in capsys.readouterr().err
    assert not Team.objects.filter(name="core").exists()


@pytest.mark.parametrize(("answer", "code"), [("yes", 2), ("no", 1), ("", 1)])
def test_an_apply_asks_first(
    tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert main(["apply", "-f", str(folder)]) == code
    assert Team.objects.filter(name="core").exists() is (code == 2)


def test_what_was_shown_is_what_is_applied(
    tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def meanwhile(prompt: str) -> str:
        team_create(organization=tenant.organization, name="meanwhile", actor=tenant.actor)
        return "yes"

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", meanwhile)
    assert main(["apply", "-f", str(folder)]) == 1
    assert "has changed since" in capsys.readouterr().err
    assert not Team.objects.filter(name="core").exists()


def test_an_export_can_be_applied(tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_provider(tenant)
    file = tmp_path / "policy.yaml"
    assert main(["export", "-o", str(file)]) == 0
    assert main(["plan", "-f", str(file), "--prune"]) == 0
    assert main(["export"]) == 0
    assert capsys.readouterr().out.endswith(file.read_text())


def test_what_goes_is_told_and_a_great_part_needs_another_word(
    tenant: Tenant, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        team_create(organization=tenant.organization, name=f"t{number}", actor=tenant.actor)
    assert main(["plan", "-f", str(folder), "--prune", "Team"]) == 1
    assert "--confirm-deletions" in capsys.readouterr().err
    assert main(["plan", "-f", str(folder), "--prune", "Team", "--confirm-deletions", "--json"]) == 2
    plan = json.loads(capsys.readouterr().out)
    assert sum(change["action"] == "delete" for change in plan["changes"]) == 9


def test_another_gateways_file_is_converted_and_says_what_it_loses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(
        "type: gateway-rate-limiting-config\nname: l\n"
        "rules: [{id: a, when: {weather: sunny}, limit_to: 5, unit: requests_per_day}]\n"
    )
    assert main(["import", "--from", "truefoundry", str(file), "-o", str(tmp_path / "out.yaml")]) == 0
    assert "weather is not carried" in capsys.readouterr().err
    assert "kind: RateLimit" in (tmp_path / "out.yaml").read_text()
    assert main(["import", "--from", "truefoundry", str(tmp_path / "out.yaml")]) == 1


def test_files_are_joined_and_lines_traced_back(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one: 1")
    (tmp_path / "b.yaml").write_text("two: 2\nthree: 3\n")
    joined = read_files([str(tmp_path), "-"], io.StringIO("four: 4\n"))
    assert joined.text == "one: 1\n---\ntwo: 2\nthree: 3\n---\nfour: 4\n"
    assert [Path(joined.where(line)).name for line in (1, 3, 4, 6)] == [
        "a.yaml:1",
        "b.yaml:1",
        "b.yaml:2",
        "<standard input>:1",
    ]
    for missing in ("nowhere.yaml", str(tmp_path / "empty")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(Refused):
            read_files([missing], io.StringIO())


def test_colours_are_for_eyes() -> None:
    change = {"kind": "Team", "name": "x", "action": "delete", "fields": [], "why": ""}
    effect = {"sentences": [], "shards": []}
    plan = {
        "changes": [change], "deferred": [], "gaps": [], "unmanaged": [], "effect": effect, "summary": "1 to delete",
        "is_applied": False, "has_changes": True, "revision": 1,
    }  # fmt: skip
    assert "\x1b[31m- delete Team x\x1b[0m" in list(plan_lines(plan, Paint(is_coloured=True)))
    assert "- delete Team x" in list(plan_lines(plan, Paint(is_coloured=False)))
