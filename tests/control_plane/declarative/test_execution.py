"""A file becomes true as a whole or not at all, through the services, with the rights of whoever brings it."""

import pytest

from control_plane.audit.models import Change
from control_plane.credentials.models import Provider
from control_plane.declarative.differences import Action
from control_plane.declarative.nodes import RefusedPolicy
from control_plane.declarative.services import StaleBase
from control_plane.declarative.versions import policy_version
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization, Role, Team
from control_plane.organizations.roles import Permission
from control_plane.organizations.services import team_create
from tests.builders.tenants import Tenant, a_key, a_member, a_provider, a_service_account, a_tenant
from tests.control_plane.declarative.world import CAREFULLY, EVERYTHING, Code, code_of

TEAM = "kind: Team\nmetadata: {name: core}\nspec: {cost_centre: '7'}\n"


def problems_of(code: Code, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(RefusedPolicy) as planned:
        code.plan(text)
    with pytest.raises(RefusedPolicy) as applied:
        code.apply(text)
    assert planned.value.problems == applied.value.problems
    return [(each.place.line, each.field, each.sentence) for each in applied.value.problems]


def test_what_only_the_organization_can_tell_is_told_all_at_once_and_nothing_is_done(code: Code) -> None:
    text = """\
kind: Team
metadata: {name: core}
spec: {lead: nobody@example.com}
---
kind: ServiceAccount
metadata: {name: ci}
spec: {team: platfrom}
---
kind: VirtualModel
metadata: {name: fast}
spec: {targets: [{model: nowhere/x}]}
"""
    before = Change.objects.count()
    found = problems_of(code, text)
    assert [(line, field) for line, field, _ in found] == [
        (3, "spec.lead"),
        (7, "spec.team"),
        (11, "spec.targets[0].model"),
    ]
    assert "Did you mean platform?" in found[1][2]
    assert Change.objects.count() == before
    assert not Team.objects.filter(name="core").exists()


def test_what_services_refuse_is_told_by_field_and_takes_everything_back(code: Code) -> None:
    text = f"""\
{TEAM}---
kind: Provider
metadata: {{name: inside}}
spec:
  vendor: anthropic
  base_url: http://10.0.0.1
---
kind: Provider
metadata: {{name: secret}}
spec:
  vendor: anthropic
  credential: {{env: DATABASE_URL}}
---
kind: Provider
metadata: {{name: file}}
spec:
  vendor: anthropic
  credential: {{file: ../../../proc/self/environ}}
"""
    assert [(line, field) for line, field, _ in problems_of(code, text)] == [
        (9, "spec.base_url"),
        (15, "spec.credential"),
        (21, "spec.credential"),
    ]
    assert not Team.objects.filter(name="core").exists()


def test_what_rests_on_a_refused_object_is_not_told_twice(code: Code) -> None:
    text = """\
kind: Provider
metadata: {name: inside}
spec: {vendor: anthropic, base_url: "http://10.0.0.1"}
---
kind: VirtualModel
metadata: {name: fast}
spec: {targets: [{model: inside/x}]}
"""
    assert [field for _, field, _ in problems_of(code, text)] == ["spec.base_url"]


def test_another_organizations_objects_are_not_there(code: Code, tenant: Tenant) -> None:
    other = a_tenant("globex")
    team_create(organization=other.organization, name="theirs", actor=other.actor)
    a_provider(other, "their-provider")
    text = """\
kind: ServiceAccount
metadata: {name: ci}
spec: {team: theirs}
---
kind: VirtualModel
metadata: {name: fast}
spec: {targets: [{model: their-provider/x}]}
---
kind: User
metadata: {name: admin@globex.example.com}
spec: {}
"""
    found = problems_of(code, text)
    assert [field for _, field, _ in found] == ["spec.team", "spec.targets[0].model"]
    (found,) = problems_of(code, text.split("---\n")[2])
    assert found[1] == "metadata.name"
    assert "another organization" in found[2]


def test_nothing_goes_that_nobody_asked_to_take_away(furnished: Code) -> None:
    plan = furnished.apply(TEAM)
    assert [str(change.action) for change in plan.changes] == ["create"]
    assert {key.kind for key in plan.unmanaged} == {"Team", "User", "ServiceAccount", "Provider", "VirtualModel"}


def test_taking_away_goes_the_other_way_round_and_tells_what_must_stay(code: Code, tenant: Tenant) -> None:
    a_key(tenant)
    provider = a_provider(tenant)
    text = code.export()
    code.apply(text.replace("kind: Provider", "kind: Provider"))
    code.apply(
        f"{TEAM}---\nkind: VirtualModel\nmetadata: {{name: fast}}\n"
        f"spec: {{targets: [{{model: {provider.name}/claude-x}}]}}\n"
    )
    keep_me = [part for part in text.split("---\n") if "kind: User" in part]
    plan = code.apply("---\n".join(keep_me).replace("teams: [platform]", "teams: []"), EVERYTHING)
    assert [(str(change.key), change.action) for change in plan.changes] == [
        ("User admin@acme.example.com", Action.CHANGE),
        ("VirtualModel fast", Action.DELETE),
        ("Provider anthropic-main", Action.DELETE),
        ("Team platform", Action.KEEP),
        ("Team core", Action.DELETE),
    ]
    kept = next(change for change in plan.changes if change.action is Action.KEEP)
    assert kept.why == "platform still has 1 virtual key. Keys stay in the books, and their team with them."
    assert list(Team.objects.values_list("name", flat=True)) == ["platform"]
    assert not Provider.objects.exists()


def test_whoever_applies_is_not_taken_away_and_the_last_owner_neither(code: Code, tenant: Tenant) -> None:
    plan = code.apply(TEAM, EVERYTHING)
    kept = [change for change in plan.changes if change.action is Action.KEEP]
    assert [(change.key.kind, change.why.partition(".")[0]) for change in kept] == [
        ("User", "You would lock yourself out")
    ]
    assert Membership.objects.filter(organization=tenant.organization).count() == 1


def test_a_file_cut_off_in_the_middle_does_not_empty_an_organization(code: Code, tenant: Tenant) -> None:
    for number in range(8):
        key = a_key(tenant, user=a_member(tenant, f"p{number}@example.com"))
        assert key.key.user is not None
    text = "---\n".join(code.export().split("---\n")[:3])
    with pytest.raises(RefusedPolicy) as refused:
        code.apply(text, CAREFULLY)
    assert [each.message for each in refused.value.problems] == [
        "This takes away 7 of 9 objects of the kind User.",
        "7 of 8 keys stop working.",
    ]
    assert VirtualKey.objects.filter(revoked_at__isnull=True).count() == 8
    plan = code.apply(text, EVERYTHING)
    assert plan.effect.ended is not None
    assert plan.effect.ended.keys == 7
    assert VirtualKey.objects.filter(revoked_at__isnull=True).count() == 1


def test_a_file_gives_nobody_a_right(tenant: Tenant) -> None:
    scoped = code_of(tenant, scopes=frozenset({Permission.POLICY_MANAGE, Permission.TEAMS_MANAGE}))
    assert scoped.apply(TEAM).count(Action.CREATE) == 1
    with pytest.raises(RefusedPolicy) as refused:
        scoped.apply("kind: Provider\nmetadata: {name: main}\nspec: {vendor: anthropic}\n")
    assert [each.is_forbidden for each in refused.value.problems] == [True]
    assert "providers.manage" in refused.value.problems[0].message


@pytest.mark.parametrize("role", ["owner"])
def test_an_admin_makes_no_owner(tenant: Tenant, role: str) -> None:
    text = f"kind: User\nmetadata: {{name: new@example.com}}\nspec: {{role: {role}}}\n"
    with pytest.raises(RefusedPolicy) as refused:
        code_of(tenant, role=Role.ADMIN).apply(text)
    assert "owners.manage" in refused.value.problems[0].message
    assert code_of(tenant).apply(text).count(Action.CREATE) == 1


def test_an_apply_for_a_base_that_moved_is_refused(code: Code, tenant: Tenant) -> None:
    base = policy_version(tenant.organization.id)
    team_create(organization=tenant.organization, name="meanwhile", actor=tenant.actor)
    with pytest.raises(StaleBase):
        code.apply(TEAM, base_version=base)
    assert code.apply(TEAM, base_version=policy_version(tenant.organization.id)).has_changes


def test_a_person_in_two_organizations_is_not_shut_out_by_one(code: Code, tenant: Tenant) -> None:
    member = a_member(tenant, "both@example.com")
    Membership.objects.create(organization=a_tenant("globex").organization, user=member)
    text = "kind: User\nmetadata: {name: both@example.com}\nspec: {teams: [platform], is_active: false}\n"
    ((_, field, message),) = problems_of(code, text)
    assert field == "spec.is_active"
    assert "other organizations" in message


def test_an_apply_speaks_in_the_audit_with_its_reason(code: Code, tenant: Tenant) -> None:
    code.apply(TEAM, reason="quarterly review", label="git:1234")
    rows = Change.objects.filter(organization_id=tenant.organization.id).order_by("-sequence")[:3]
    assert [(row.action, row.reason) for row in rows] == [
        ("policy.code_declared", "quarterly review"),
        ("policy.applied", "quarterly review"),
        ("team.created", "quarterly review"),
    ]


def test_a_service_account_with_keys_is_switched_off_not_taken_away(code: Code, tenant: Tenant) -> None:
    a_service_account(tenant)
    organization = Organization.objects.get(id=tenant.organization.id)
    text = code.export().replace("  team: platform\n", "  team: platform\n  is_active: false\n")
    plan = code.apply(text)
    assert [(each.field, each.before, each.after) for each in plan.changes[0].fields] == [("is_active", True, False)]
    assert not organization.service_accounts.get().is_active
