"""Every change of policy leaves a revision, whichever way it came; any of them can be compared and brought back."""

import pytest
from django.db import connection, transaction

from control_plane.audit.models import Change
from control_plane.credentials.models import Provider
from control_plane.declarative import texts
from control_plane.declarative.drift import drift_of
from control_plane.declarative.models import PolicyCode, PolicyRevision, RevisionSource
from control_plane.declarative.reading import objects_in
from control_plane.declarative.revisions import KEPT_REVISIONS, revision_record
from control_plane.declarative.selectors import revision_by_number
from control_plane.declarative.services import policy_code_release, removal_on_restore, restore_apply, restore_plan
from control_plane.declarative.tasks import sweep
from control_plane.declarative.texts import changes_between, side_by_side, unified
from control_plane.keys.services import user_deactivate
from control_plane.organizations.models import Team
from control_plane.organizations.services import INSTALLATION, team_create, team_update
from control_plane.routing.services import virtual_model_set
from tests.builders.tenants import Tenant, a_key, a_member, a_provider, a_tenant
from tests.control_plane.declarative.world import Code, code_of

TEAM = "kind: Team\nmetadata: {name: core}\nspec: {cost_centre: '7'}\n"


@pytest.fixture
def committed(transactional_db: None) -> Tenant:
    """An organization in a database where transactions really end."""
    return a_tenant("acme")


def newest(tenant: Tenant) -> PolicyRevision:
    return PolicyRevision.objects.filter(organization=tenant.organization).latest("number")


def test_an_edit_leaves_a_revision_with_its_author_and_what_changed(committed: Tenant) -> None:
    before = newest(committed).number
    team_create(organization=committed.organization, name="core", actor=committed.actor)
    revision = newest(committed)
    assert (revision.number, revision.source, revision.author) == (before + 1, "console", committed.admin.email)
    assert revision.changes == [{"kind": "Team", "name": "core", "action": "create"}]
    assert revision.text == code_of(committed).export()


def test_a_transaction_leaves_one_revision_and_one_taken_back_none(committed: Tenant) -> None:
    before = newest(committed).number
    with transaction.atomic():
        team = team_create(organization=committed.organization, name="core", actor=committed.actor)
        team_update(team=team, cost_centre="7", actor=committed.actor)
        a_provider(committed)
    assert newest(committed).number == before + 1
    with transaction.atomic():
        team_create(organization=committed.organization, name="never", actor=committed.actor)
        transaction.set_rollback(True)
    assert newest(committed).number == before + 1


def test_a_change_that_is_none_of_policy_leaves_none(committed: Tenant) -> None:
    before = newest(committed).number
    a_key(committed)
    assert newest(committed).number == before


def test_an_apply_leaves_one_revision_of_its_own(committed: Tenant) -> None:
    before = newest(committed).number
    plan = code_of(committed).apply(TEAM, reason="quarterly", label="git:1")
    revision = newest(committed)
    assert plan.revision == revision.number == before + 1
    assert (revision.source, revision.source_label, revision.reason) == (RevisionSource.APPLY, "git:1", "quarterly")


def test_a_revision_that_nobody_wrote_is_found_by_the_sweep(tenant: Tenant) -> None:
    assert not PolicyRevision.objects.exists()
    sweep()
    assert newest(tenant).number == 1
    assert newest(tenant).text == code_of(tenant).export()
    sweep()
    assert PolicyRevision.objects.filter(organization=tenant.organization).count() == 1


def test_an_apply_writes_down_first_what_came_before_it(code: Code, tenant: Tenant) -> None:
    code.apply(TEAM)
    first, second = PolicyRevision.objects.filter(organization=tenant.organization).order_by("number")
    assert (first.source, second.source) == ("system", "apply")
    assert [str(change.key) for change in changes_between(first.text, second.text)] == ["Team core"]


def test_no_revision_holds_a_secret(code: Code, tenant: Tenant) -> None:
    a_provider(tenant)
    code.apply(TEAM)
    assert "sk-test" not in "".join(PolicyRevision.objects.values_list("text", flat=True))


def test_an_earlier_revision_comes_back_as_a_new_one(code: Code, tenant: Tenant) -> None:
    provider = a_provider(tenant)
    code.apply(TEAM)
    earlier = newest(tenant)
    virtual_model_set(organization=tenant.organization, name="wrong", provider=provider, model="x", actor=tenant.actor)
    team_update(team=Team.objects.get(name="core"), cost_centre="8", actor=tenant.actor)
    a_member(tenant, "joined@example.com")
    removal = removal_on_restore(takes_people=False)

    planned = restore_plan(asker=code.asker, revision=earlier, removal=removal)
    done = restore_apply(asker=code.asker, revision=earlier, removal=removal, reason="wrong route")

    assert planned.changes == done.changes
    assert [(str(change.key), str(change.action)) for change in done.changes] == [
        ("Team core", "change"),
        ("VirtualModel wrong", "delete"),
    ]
    assert [str(key) for key in done.unmanaged] == ["User joined@example.com"]
    revision = newest(tenant)
    assert (revision.source, revision.restored_number, revision.reason) == (
        "restore",
        earlier.number,
        "wrong route",
    )
    assert Change.objects.filter(action="policy.restored").count() == 1
    assert Provider.objects.get().has_credential


def test_old_revisions_go_but_not_the_one_of_the_code(code: Code, tenant: Tenant) -> None:
    code.apply(TEAM, label="git:1")
    pinned = newest(tenant)
    last = pinned.number + KEPT_REVISIONS
    PolicyRevision.objects.create(
        organization=tenant.organization, number=last, through_sequence=pinned.through_sequence, text=pinned.text,
        source="console", author="x", created_at=pinned.created_at,
    )  # fmt: skip
    team_create(organization=tenant.organization, name="another", actor=tenant.actor)
    revision_record(organization_id=tenant.organization.id)
    numbers = set(PolicyRevision.objects.filter(organization=tenant.organization).values_list("number", flat=True))
    assert numbers == {pinned.number, last, last + 1}


def test_edits_after_an_apply_with_a_source_are_drift(code: Code, tenant: Tenant) -> None:
    assert drift_of(tenant.organization) is None
    provider = a_provider(tenant)
    code.apply(
        f"{TEAM}---\nkind: VirtualModel\nmetadata: {{name: fast}}\nspec: {{targets: [{{model: {provider.name}/x}}]}}\n",
        label="git:1234",
    )
    first = drift_of(tenant.organization)
    assert first is not None
    assert first.is_none
    team_update(team=Team.objects.get(name="core"), cost_centre="8", actor=tenant.actor)
    team_create(organization=tenant.organization, name="not in the file", actor=tenant.actor)

    drift = drift_of(tenant.organization)

    assert drift is not None
    (change,) = drift.changes
    assert [(each.field, each.before, each.after) for each in change.fields] == [("cost_centre", "7", "8")]
    assert 'cost_centre: "8"' in drift.text
    code.apply(drift.text, label="git:1235")
    after = drift_of(tenant.organization)
    assert after is not None
    assert after.is_none
    policy_code_release(asker=code.asker)
    assert not PolicyCode.objects.exists()


def test_texts_are_compared_by_object_and_by_line(furnished: Code) -> None:
    before = furnished.export()
    after = before.replace('cost_centre: "4711"', 'cost_centre: "4712"')
    (change,) = changes_between(before, after)
    assert str(change.key) == "Team platform"
    lines = unified(before, after, names=("a", "b"))
    assert [line for line in lines if line[0] in "+-"][2:] == ['-  cost_centre: "4711"', '+  cost_centre: "4712"']
    (row,) = [row for row in side_by_side(before, after) if row is not None and row.is_changed]
    assert (row.left, row.right) == ('  cost_centre: "4711"', '  cost_centre: "4712"')
    assert row.left_number == row.right_number > 1


def test_a_deactivated_person_is_a_change_of_policy(committed: Tenant) -> None:
    member = a_member(committed, "gone@example.com")
    user_deactivate(user=member, actor=committed.actor, by=INSTALLATION)
    assert newest(committed).changes == [{"kind": "User", "name": "gone@example.com", "action": "change"}]


def test_revisions_of_one_organization_are_none_of_another(code: Code, tenant: Tenant) -> None:
    code.apply(TEAM)
    other = a_tenant("globex")
    assert revision_by_number(other.organization, newest(tenant).number) is None
    assert connection.in_atomic_block


def test_a_part_of_what_differs_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "---\n".join(
        f"apiVersion: switchyard/v1\nkind: Team\nmetadata: {{name: team-{number:02d}}}\nspec: {{}}\n"
        for number in range(30)
    )
    found = changes_between("", text)
    read = []
    monkeypatch.setattr(texts, "objects_in", lambda text: read.append(text.count("kind:")) or objects_in(text))
    assert [change.key.name for change in found[:3]] == ["team-00", "team-01", "team-02"]
    assert (len(found), found[29].key.name, sum(read[:2])) == (30, "team-29", 3)
