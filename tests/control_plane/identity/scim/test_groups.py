"""Groups and the teams they are kept in."""

from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.identity.scim.models import ScimGroup, ScimGroupMember, ScimUser
from control_plane.identity.scim.services import group_role_set
from control_plane.organizations.models import Membership, Role, Team, TeamMembership
from control_plane.organizations.selectors import members_of_team, membership_of
from control_plane.organizations.services import INSTALLATION, team_create
from tests.builders.tenants import SYSTEM, Tenant, a_person_of_role
from tests.control_plane.identity.scim.provider import Provider

OFF = {"op": "replace", "value": {"active": False}}
ON = {"op": "replace", "value": {"active": True}}


def team_of(made: dict[str, str]) -> Team:
    return ScimGroup.objects.get(id=made["id"]).team


def many_people(tenant: Tenant, count: int) -> list[ScimUser]:
    """People as a provider would have made them, put straight into the tables."""
    users = User.objects.bulk_create(User(email=f"p{number}@acme.example.com") for number in range(count))
    Membership.objects.bulk_create(Membership(organization=tenant.organization, user=user) for user in users)
    return ScimUser.objects.bulk_create(
        ScimUser(organization=tenant.organization, user=user, user_name=user.email) for user in users
    )


def test_people_of_a_group_are_in_its_team(provider: Provider) -> None:
    ada, grace = provider.add_user("ada@acme.example.com"), provider.add_user("grace@acme.example.com")
    made = provider.add_group("Engineering", ada, grace)
    assert team_of(made).name == "Engineering"
    assert [user.email for user in members_of_team(team_of(made))] == ["ada@acme.example.com", "grace@acme.example.com"]
    provider.patch(f"/Groups/{made['id']}", {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'})
    assert [user.email for user in members_of_team(team_of(made))] == ["grace@acme.example.com"]


def test_a_team_of_that_name_is_used_and_nobody_is_thrown_out(provider: Provider) -> None:
    made = provider.add_group("Platform")
    assert team_of(made) == provider.tenant.team
    assert provider.tenant.admin in members_of_team(provider.tenant.team)


@pytest.mark.parametrize(
    ("display_name", "team_name"),
    [
        ("R&D (München)", "R D Munchen"),
        ("Füße", "Fusse"),
        ("Engineering (EMEA)", "Engineering EMEA"),
        ("- odd -", "odd"),
    ],
)
def test_a_name_that_teams_may_not_have_is_made_plain(provider: Provider, display_name: str, team_name: str) -> None:
    made = provider.add_group(display_name)
    assert made["displayName"] == display_name
    assert team_of(made).name == team_name


def test_names_without_a_plain_letter_are_kept_apart(provider: Provider) -> None:
    names = {team_of(provider.add_group(name)).name for name in ("研究", "開発", "R/D", "R:D")}
    assert len(names) == 4


def test_a_deactivated_person_keeps_the_place_in_the_group(provider: Provider) -> None:
    ada = provider.add_user("ada@acme.example.com")
    made = provider.add_group("Engineering", ada)
    provider.patch(f"/Users/{ada['id']}", OFF)
    assert [each["value"] for each in provider.call("GET", f"/Groups/{made['id']}")["members"]] == [ada["id"]]
    assert not members_of_team(team_of(made)).exists()
    provider.patch(f"/Users/{ada['id']}", ON)
    assert [user.email for user in members_of_team(team_of(made))] == ["ada@acme.example.com"]


def test_whoever_is_added_while_deactivated_joins_on_return_only(provider: Provider) -> None:
    ada = provider.add_user("ada@acme.example.com", active=False)
    made = provider.add_group("Engineering", ada)
    assert not members_of_team(team_of(made)).exists()
    provider.patch(f"/Users/{ada['id']}", ON)
    assert members_of_team(team_of(made)).count() == 1


def test_a_deleted_group_leaves_its_team_without_its_people(provider: Provider) -> None:
    ada = provider.add_user("ada@acme.example.com")
    made = provider.add_group("Engineering", ada)
    team = team_of(made)
    provider.call("DELETE", f"/Groups/{made['id']}", status=204)
    assert Team.objects.filter(id=team.id).exists()
    assert not members_of_team(team).exists()
    assert team_of(provider.add_group("Engineering")) == team


def test_five_thousand_people_cost_as_many_queries_as_five(provider: Provider) -> None:
    people = many_people(provider.tenant, 5000)
    group = provider.add_group("Everybody")
    few = [{"value": str(one.id)} for one in people[:5]]
    all_of_them = [{"value": str(one.id)} for one in people]
    path = f"/Groups/{group['id']}"
    counts = []
    for members in (few, all_of_them):
        provider.patch(path, {"op": "replace", "path": "members", "value": []})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            provider.patch(path + "?attributes=displayName", {"op": "add", "path": "members", "value": members})
        counts.append(len(queries))
    # Rows go in by the thousand: five times two inserts in place of two, and people's roles by the thousand.
    assert counts[1] <= counts[0] + 8 + 12
    assert TeamMembership.objects.filter(team=team_of(group)).count() == 5000
    with CaptureQueriesContext(connection) as queries:
        assert len(provider.call("GET", path)["members"]) == 5000
    assert len(queries) <= 8
    newest = changes_of(provider.tenant.organization.id).first()
    assert newest is not None
    assert newest.after is not None
    assert len(newest.after["joined"]) == 5000
    one = people[17]
    provider.patch(path + "?attributes=displayName", {"op": "remove", "path": f'members[value eq "{one.id}"]'})
    assert ScimGroupMember.objects.filter(group_id=group["id"]).count() == 4999
    assert provider.call("PUT", path, {"displayName": "Everybody", "members": few})["members"][0]["value"]
    assert ScimGroupMember.objects.filter(group_id=group["id"]).count() == 5


def test_a_page_of_people_costs_as_many_queries_as_one_person(provider: Provider) -> None:
    people = many_people(provider.tenant, 60)
    provider.add_group("Everybody", *({"id": str(one.id)} for one in people))
    counts = []
    for count in (1, 60):
        with CaptureQueriesContext(connection) as queries:
            found = provider.call("GET", f"/Users?count={count}")
        assert len(found["Resources"]) == count
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_role_of_a_group_comes_and_goes_with_it(provider: Provider) -> None:
    organization = provider.tenant.organization
    ada = provider.add_user("ada@acme.example.com")
    user = ScimUser.objects.get(id=ada["id"]).user
    admins, auditors = provider.add_group("Admins", ada), provider.add_group("Auditors", ada)

    def role() -> str:
        membership = membership_of(user, organization)
        assert membership is not None
        return str(membership.role)

    def give(made: dict[str, str], given: Role | None) -> None:
        group_role_set(group=ScimGroup.objects.get(id=made["id"]), role=given, actor=SYSTEM, by=INSTALLATION)

    give(auditors, Role.AUDITOR)
    assert role() == Role.AUDITOR
    give(admins, Role.ADMIN)
    assert role() == Role.ADMIN
    provider.patch(f"/Groups/{admins['id']}", {"op": "remove", "path": "members"})
    assert role() == Role.AUDITOR
    give(auditors, None)
    assert role() == Role.MEMBER
    give(auditors, Role.FINANCE)
    provider.call("DELETE", f"/Groups/{auditors['id']}", status=204)
    assert role() == Role.MEMBER


def test_a_group_neither_makes_owners_nor_takes_what_people_have_otherwise(provider: Provider) -> None:
    organization = provider.tenant.organization
    admin = a_person_of_role(provider.tenant, Role.ADMIN, "boss@acme.example.com")
    people = [provider.add_user(admin.email), provider.add_user(provider.tenant.admin.email)]
    made = provider.add_group("Auditors", *people)
    group = ScimGroup.objects.get(id=made["id"])
    with pytest.raises(ValidationError):
        group_role_set(group=group, role=Role.OWNER, actor=SYSTEM, by=INSTALLATION)
    group_role_set(group=group, role=Role.AUDITOR, actor=SYSTEM, by=INSTALLATION)
    provider.patch(f"/Groups/{made['id']}", {"op": "remove", "path": "members"})
    roles = {row.user.email: row.role for row in Membership.objects.filter(organization=organization)}
    assert roles == {admin.email: Role.ADMIN, provider.tenant.admin.email: Role.OWNER}


def test_an_unknown_member_adds_nobody(provider: Provider) -> None:
    ada = provider.add_user("ada@acme.example.com")
    made = provider.add_group("Engineering")
    for value in (str(uuid4()), "no id", None):
        provider.patch(
            f"/Groups/{made['id']}",
            {"op": "add", "path": "members", "value": [{"value": ada["id"]}, {"value": value}]},
            status=400,
        )
    assert provider.call("GET", f"/Groups/{made['id']}")["members"] == []


def test_a_team_made_by_hand_is_no_group(provider: Provider) -> None:
    team_create(organization=provider.tenant.organization, name="By hand", actor=SYSTEM)
    assert provider.call("GET", "/Groups")["totalResults"] == 0
