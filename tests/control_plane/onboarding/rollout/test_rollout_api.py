"""GET /api/v1/rollout and the page in the console: for whom, in which format, and for nobody else."""

import json

import pytest
from django.test import Client

from control_plane.catalog.services import list_prices_load
from control_plane.keys.services import key_rules_update
from control_plane.organizations.roles import Role
from control_plane.routing.services import virtual_models_offer
from tests.builders.tenants import Tenant, a_person_of_role, a_provider, a_tenant


@pytest.fixture
def tenant(db: None, engines: object) -> Tenant:
    made = a_tenant("acme")
    list_prices_load(actor=made.actor)
    virtual_models_offer(provider=a_provider(made), actor=made.actor)
    return made


def signed_in(user: object) -> Client:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]
    return client


@pytest.fixture
def admin(tenant: Tenant) -> Client:
    return signed_in(tenant.admin)


def managed(answer: dict[str, object]) -> dict[str, object]:
    [file] = answer["files"]  # type: ignore[misc]
    return json.loads(file["text"])  # type: ignore[no-any-return]


def test_the_list_names_tools_and_formats(admin: Client) -> None:
    rows = {row["tool"]: row for row in admin.get("/api/v1/rollout").json()}
    assert list(rows) == ["claude-code", "codex", "gemini-cli", "opencode", "vscode"]
    assert "vendor-console" in rows["claude-code"]["formats"]
    assert "vendor-console" not in rows["codex"]["formats"]


def test_a_team_is_charged_and_its_models_are_named(admin: Client, tenant: Tenant) -> None:
    answer = admin.get("/api/v1/rollout/claude-code/linux?team=platform").json()
    assert "--team platform" in str(managed(answer)["apiKeyHelper"])
    key_rules_update(organization=tenant.organization, actor=tenant.actor, personal_models=["claude-haiku-*"])
    narrowed = managed(admin.get("/api/v1/rollout/claude-code/linux").json())
    assert all("haiku" in name for name in narrowed["availableModels"])  # type: ignore[attr-defined]
    without = managed(admin.get("/api/v1/rollout/claude-code/linux?helper=false").json())
    assert "apiKeyHelper" not in without
    assert "statusLine" not in without
    with_bar = managed(admin.get("/api/v1/rollout/claude-code/linux?status_line=true").json())
    assert "switchyard statusline" in str(with_bar["statusLine"])


def test_what_is_not_there_is_not_found_and_a_foreign_team_is_none(admin: Client, tenant: Tenant) -> None:
    for where in ("nothing/linux", "codex/project", "codex/nothing"):
        assert admin.get(f"/api/v1/rollout/{where}").status_code == 404
    a_tenant("globex").team.refresh_from_db()
    answer = admin.get("/api/v1/rollout/codex/linux?team=research")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "team"


@pytest.mark.parametrize("role", [Role.MEMBER, Role.TEAM_LEAD, Role.FINANCE])
def test_others_do_not_get_there(tenant: Tenant, role: Role) -> None:
    client = signed_in(a_person_of_role(tenant, role))
    assert client.get("/api/v1/rollout").status_code == 403
    assert client.get("/api/v1/rollout/codex/linux").status_code == 403
    assert client.get("/roll-out").status_code == 404
    assert client.get("/roll-out/codex/linux/config.toml").status_code == 404


def test_the_page_shows_what_the_download_gives(admin: Client, tenant: Tenant) -> None:
    where = f"team={tenant.team.id.hex}"
    page = admin.get(f"/roll-out?tool=codex&format=linux&{where}")
    assert "/etc/codex/config.toml" in page.content.decode()
    [shown] = page.context["package"].files
    file = admin.get(f"/roll-out/codex/linux/config.toml?{where}")
    assert file.content.decode() == shown.text
    assert file["Content-Disposition"] == 'attachment; filename="config.toml"'
    assert admin.get("/roll-out/codex/linux/other.toml").status_code == 404
    assert admin.get("/roll-out/codex/vendor-console/settings.json").status_code == 404


def test_an_old_link_opens_what_is_there(admin: Client) -> None:
    foreign = a_tenant("globex").team
    page = admin.get(f"/roll-out?tool=gone&format=gone&team={foreign.id.hex}")
    assert page.status_code == 200
    assert page.context["asked"].team is None
    assert page.context["tool"].id == "claude-code"


def test_the_console_page_switches_the_status_bar_on(admin: Client) -> None:
    without = admin.get("/roll-out?tool=claude-code&format=linux").content.decode()
    with_bar = admin.get("/roll-out?tool=claude-code&format=linux&bar=on").content.decode()
    other_tool = admin.get("/roll-out?tool=codex&format=linux&bar=on").content.decode()

    assert "switchyard statusline" not in without
    assert "switchyard statusline" in with_bar
    assert '<option value="on" selected>' in with_bar
    # What was chosen is kept while another tool is looked at.
    assert '<input type="hidden" name="bar" value="on">' in other_tool
