"""Policy as code in the console: plan with its effect, apply, history, restore, drift."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.declarative.models import PolicyRevision
from control_plane.organizations.models import Membership, Role, Team
from control_plane.organizations.services import team_create, team_update
from tests.builders.tenants import Tenant, a_provider
from tests.control_plane.declarative.world import code_of
from tests.control_plane.web.conftest import SignIn

TEAM = "kind: Team\nmetadata: {name: core}\nspec: {cost_centre: '7'}\n"


@pytest.fixture
def owner(tenant: Tenant, sign_in: SignIn) -> Client:
    return sign_in(tenant.admin)


def hidden(response: object) -> dict[str, str]:
    """The fields of the form that applies the plan."""
    form = response.context["apply_form"]  # type: ignore[attr-defined]
    return {name: str(value) for name, value in form.initial.items() if value is not False}


def test_the_policy_is_shown_and_downloaded_without_secrets(owner: Client, tenant: Tenant) -> None:
    a_provider(tenant)
    page = owner.get(reverse("web:policy-code"))
    assert "credential: {value: null}" in page.content.decode()
    file = owner.get(reverse("web:policy-download"))
    assert file["Content-Disposition"] == 'attachment; filename="acme-policy.yaml"'
    assert file.content.decode() == code_of(tenant).export()
    assert "sk-test" not in page.content.decode() + file.content.decode()


def test_a_plan_is_shown_then_applied(owner: Client) -> None:
    planned = owner.post(reverse("web:policy-plan"), {"text": TEAM})
    assert planned.status_code == 200
    assert "1 to create; 0 as they are" in planned.content.decode()
    assert not Team.objects.filter(name="core").exists()
    applied = owner.post(reverse("web:policy-apply"), {**hidden(planned), "reason": "new team", "source": "git:1"})
    revision = PolicyRevision.objects.latest("number")
    assert applied.headers["Location"] == reverse("web:policy-revision", args=[revision.number])
    assert (revision.reason, revision.source_label) == ("new team", "git:1")
    assert Change.objects.filter(action="team.created", reason="new team").count() == 1


def test_a_file_can_be_uploaded(owner: Client) -> None:
    upload = SimpleUploadedFile("policy.yaml", TEAM.encode())
    assert "1 to create" in owner.post(reverse("web:policy-plan"), {"upload": upload}).content.decode()
    binary = SimpleUploadedFile("policy.yaml", b"\xff\xfe")
    assert owner.post(reverse("web:policy-plan"), {"upload": binary}).status_code == 422
    assert owner.post(reverse("web:policy-plan"), {}).status_code == 422


def test_mistakes_are_shown_with_their_lines(owner: Client) -> None:
    page = owner.post(reverse("web:policy-plan"), {"text": TEAM.replace("cost_centre", "cost_center")})
    assert page.status_code == 422
    assert "Did you mean cost_centre?" in page.content.decode()


def test_a_plan_that_is_out_of_date_is_not_applied(owner: Client, tenant: Tenant) -> None:
    planned = owner.post(reverse("web:policy-plan"), {"text": TEAM})
    team_create(organization=tenant.organization, name="meanwhile", actor=tenant.actor)
    answer = owner.post(reverse("web:policy-apply"), hidden(planned))
    assert "The policy has changed since this plan was made" in answer.content.decode()
    assert not Team.objects.filter(name="core").exists()
    assert owner.post(reverse("web:policy-apply"), hidden(answer)).status_code == 302


def test_an_earlier_revision_is_compared_and_brought_back(owner: Client, tenant: Tenant) -> None:
    code = code_of(tenant)
    code.apply(TEAM)
    earlier = PolicyRevision.objects.latest("number")
    team_update(team=Team.objects.get(name="core"), cost_centre="8", actor=tenant.actor)
    code.apply(TEAM.replace("core", "other"))
    newest = PolicyRevision.objects.latest("number")
    for view in ("", "unified"):
        address = f"{reverse('web:policy-compare')}?from={earlier.number}&to={newest.number}&view={view}"
        assert "cost_centre: &quot;8&quot;" in owner.get(address).content.decode()
    assert owner.get(reverse("web:policy-history")).status_code == 200
    assert owner.get(reverse("web:policy-revision", args=[earlier.number])).status_code == 200
    address = reverse("web:policy-restore", args=[earlier.number])
    shown = owner.get(address)
    assert "1 to change" in shown.content.decode()
    assert owner.post(address, {"confirm": "yes"}).status_code == 422
    done = owner.post(address, {"confirm": f"revision {earlier.number}", "reason": "wrong"})
    assert done.status_code == 302
    assert Team.objects.get(name="core").cost_centre == "7"
    assert PolicyRevision.objects.latest("number").restored_number == earlier.number


def test_what_a_long_revision_changes_is_asked_for_by_its_page(
    owner: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = code_of(tenant)
    code.apply(TEAM)
    earlier = PolicyRevision.objects.latest("number")
    team_update(team=Team.objects.get(name="core"), cost_centre="8", actor=tenant.actor)
    monkeypatch.setattr("control_plane.web.views.policy_code.LONG_TEXT", 0)
    address = reverse("web:policy-restore", args=[earlier.number])

    page = owner.get(f"{address}?takes_people=on").content.decode()

    assert 'hx-get="?takes_people=on&amp;shown=1"' in page
    assert "What would change" not in page
    assert "1 to change" in owner.get(f"{address}?takes_people=on&shown=1").content.decode()


def test_edits_after_an_apply_from_code_are_shown_and_exported(owner: Client, tenant: Tenant) -> None:
    assert "does not come from code" in owner.get(reverse("web:policy-drift")).content.decode()
    code_of(tenant).apply(TEAM, label="git:1")
    assert "No drift" in owner.get(reverse("web:policy-drift")).content.decode()
    assert owner.get(reverse("web:policy-drift-download")).status_code == 404
    team_update(team=Team.objects.get(name="core"), cost_centre="8", actor=tenant.actor)
    assert "was edited here since" in " ".join(owner.get(reverse("web:policy-code")).content.decode().split())
    assert 'cost_centre: "8"' in owner.get(reverse("web:policy-drift-download")).content.decode()
    owner.post(reverse("web:policy-release"))
    assert "does not come from code" in owner.get(reverse("web:policy-drift")).content.decode()


ADDRESSES = ["policy-code", "policy-download", "policy-plan", "policy-history", "policy-compare", "policy-drift"]


@pytest.mark.parametrize(
    ("role", "sees", "changes"),
    [
        (Role.ADMIN, 200, 302),
        (Role.AUDITOR, 200, 404),
        (Role.FINANCE, 404, 404),
        (Role.TEAM_LEAD, 404, 404),
        (Role.MEMBER, 404, 404),
    ],
)
def test_who_sees_and_who_changes(
    tenant: Tenant, member: User, member_client: Client, role: Role, sees: int, changes: int
) -> None:
    code_of(tenant).apply(TEAM)
    Membership.objects.filter(user=member).update(role=role)
    for name in ADDRESSES:
        assert member_client.get(reverse(f"web:{name}")).status_code == sees, name
    version = str(code_of(tenant).plan("").version)
    given = {"text": TEAM.replace("core", "other"), "version": version}
    assert member_client.post(reverse("web:policy-apply"), given).status_code == changes


def test_another_organizations_revisions_are_not_there(tenant: Tenant, other: Tenant, sign_in: SignIn) -> None:
    code_of(tenant).apply(TEAM)
    code_of(tenant).apply(TEAM.replace("core", "other"))
    code_of(other).apply(TEAM)
    number = PolicyRevision.objects.filter(organization=tenant.organization).latest("number").number
    stranger = sign_in(other.admin)
    for name in ("policy-revision", "policy-revision-download", "policy-restore"):
        assert stranger.get(reverse(f"web:{name}", args=[number])).status_code == 404
    assert stranger.get(f"{reverse('web:policy-compare')}?from={number}").status_code == 404
