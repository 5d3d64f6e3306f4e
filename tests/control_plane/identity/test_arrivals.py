"""Who is let in, as whom, and into which teams."""

from dataclasses import replace

import pytest

from control_plane.accounts.models import User
from control_plane.accounts.services import user_activity_set
from control_plane.audit.selectors import changes_of
from control_plane.identity.claims import Claims, email_of, groups_of
from control_plane.identity.failures import NotAdmitted
from control_plane.identity.models import IdentityConnection, LinkedIdentity
from control_plane.identity.services import (
    Arrival,
    Mapping,
    arrival_foretell,
    identity_unlink,
    mappings_set,
    person_admit,
)
from control_plane.keys.services import membership_remove
from control_plane.organizations.models import Membership, Role, Team, TeamMembership
from control_plane.organizations.services import INSTALLATION, membership_add, team_create, team_member_add
from tests.builders.tenants import SYSTEM, Tenant, a_member, a_user
from tests.control_plane.identity.browsing import an_oidc_connection
from tests.fakes.identity_provider import IdentityProvider

pytestmark = pytest.mark.django_db

ADA = Claims("sub-ada", "ada@acme.example", True, "Ada Lovelace", frozenset({"eng"}))


@pytest.fixture
def connection(tenant: Tenant, identity_provider: IdentityProvider) -> IdentityConnection:
    return an_oidc_connection(tenant, identity_provider)


def admit(connection: IdentityConnection, claims: Claims) -> Arrival:
    return person_admit(connection=connection, claims=claims, source_address="192.0.2.7")


def refusal(connection: IdentityConnection, claims: Claims) -> str:
    with pytest.raises(NotAdmitted) as failure:
        admit(connection, claims)
    return failure.value.code


def teams_of(user: User) -> set[str]:
    return set(TeamMembership.objects.filter(user=user).values_list("team__name", flat=True))


def test_the_subject_decides_who_somebody_is_not_the_e_mail(connection: IdentityConnection) -> None:
    ada = admit(connection, ADA)
    renamed = admit(connection, replace(ADA, email="ada.king@acme.example"))
    assert (ada.is_new, renamed.is_new, renamed.user) == (True, False, ada.user)
    # A second person who is given the address does not become the first.
    assert refusal(connection, replace(ADA, subject="sub-other")) == "linked_otherwise"


def test_a_subject_once_linked_needs_no_e_mail_and_no_domain(connection: IdentityConnection) -> None:
    ada = admit(connection, ADA).user
    assert admit(connection, Claims("sub-ada")).user == ada
    assert admit(connection, replace(ADA, email="ada@elsewhere.example", is_email_verified=False)).user == ada


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (replace(ADA, email=""), "no_email"),
        (replace(ADA, is_email_verified=False), "unverified"),
        (replace(ADA, email="ada@umbrella.example"), "foreign_domain"),
        (replace(ADA, email="ada@sub.acme.example"), "foreign_domain"),
        (replace(ADA, email="ada@notacme.example"), "foreign_domain"),
    ],
)
def test_the_first_time_the_e_mail_must_be_verified_and_of_a_domain_of_the_connection(
    claims: Claims, code: str, connection: IdentityConnection
) -> None:
    assert refusal(connection, claims) == code
    assert not LinkedIdentity.objects.exists()


def test_an_account_with_that_e_mail_is_linked(connection: IdentityConnection, tenant: Tenant) -> None:
    member = a_member(tenant, "ada@acme.example")
    assert admit(connection, ADA).user == member
    assert member.check_password("correct horse battery staple")


def test_the_provider_of_one_tenant_cannot_claim_the_people_of_another(
    connection: IdentityConnection, tenant: Tenant, other: Tenant, identity_provider: IdentityProvider
) -> None:
    theirs = an_oidc_connection(other, identity_provider, domains=["umbrella.example"])
    victim = a_member(tenant, "ada@acme.example")
    assert refusal(theirs, ADA) == "foreign_domain"
    # The same subject at another tenant's provider is another identity.
    admit(connection, ADA)
    assert refusal(theirs, replace(ADA, email="")) == "no_email"
    assert not Membership.objects.filter(user=victim, organization=other.organization).exists()


def test_who_is_switched_off_stays_outside(connection: IdentityConnection) -> None:
    ada = admit(connection, ADA).user
    user_activity_set(user=ada, is_active=False, actor=SYSTEM)
    assert refusal(connection, ADA) == "deactivated"


def test_without_new_people_only_members_come_in(connection: IdentityConnection, tenant: Tenant) -> None:
    IdentityConnection.objects.filter(id=connection.id).update(allows_new_people=False)
    assert refusal(connection, ADA) == "not_a_member"
    assert not User.objects.filter(email=ADA.email).exists()
    stranger = a_user("ada@acme.example")
    assert refusal(connection, ADA) == "not_a_member"
    membership_add(organization=tenant.organization, user=stranger, actor=tenant.actor, by=INSTALLATION)
    membership = admit(connection, ADA).membership
    membership_remove(membership=membership, actor=tenant.actor, by=INSTALLATION)
    assert refusal(connection, ADA) == "not_a_member"


def test_groups_put_people_into_teams_and_take_them_out(connection: IdentityConnection, tenant: Tenant) -> None:
    platform, research, own = (
        team_create(organization=tenant.organization, name=name, actor=SYSTEM) for name in ("plat", "research", "own")
    )
    mappings_set(
        connection=connection,
        mappings=[Mapping("eng", team=platform), Mapping("sci", team=research)],
        actor=tenant.actor,
        grantor=Role.ADMIN,
    )
    ada = admit(connection, ADA).user
    team_member_add(team=own, user=ada, actor=SYSTEM)
    assert teams_of(ada) == {"plat", "own"}
    admit(connection, replace(ADA, groups=frozenset({"sci", "unheard-of"})))
    assert teams_of(ada) == {"research", "own"}
    # The provider could not say: nothing changes.
    admit(connection, replace(ADA, groups=None))
    assert teams_of(ada) == {"research", "own"}
    admit(connection, replace(ADA, groups=frozenset()))
    assert teams_of(ada) == {"own"}
    written = [row.action for row in changes_of(tenant.organization.id)]
    assert written.count("team.member_removed") == 2
    assert "identity_connection.person_linked" in written
    assert written.count("user.signed_in") == 4


def test_groups_give_the_strongest_role_and_take_it_back(connection: IdentityConnection, tenant: Tenant) -> None:
    mappings_set(
        connection=connection,
        mappings=[Mapping("fin", role=Role.FINANCE), Mapping("adm", role=Role.ADMIN)],
        actor=tenant.actor,
        grantor=Role.ADMIN,
    )
    roles = [
        admit(connection, replace(ADA, groups=groups)).membership.role
        for groups in (frozenset({"fin", "adm"}), frozenset({"fin"}), None, frozenset({"x"}))
    ]
    assert roles == [Role.ADMIN, Role.FINANCE, Role.FINANCE, Role.MEMBER]


def test_without_mapped_roles_a_role_given_by_hand_stays(connection: IdentityConnection) -> None:
    ada = admit(connection, ADA)
    Membership.objects.filter(id=ada.membership.id).update(role=Role.AUDITOR)
    assert admit(connection, ADA).membership.role == Role.AUDITOR


def test_no_group_makes_less_of_an_owner(connection: IdentityConnection, tenant: Tenant) -> None:
    ada = admit(connection, ADA)
    Membership.objects.filter(id=ada.membership.id).update(role=Role.OWNER)
    mappings_set(
        connection=connection, mappings=[Mapping("fin", role=Role.FINANCE)], actor=tenant.actor, grantor=Role.ADMIN
    )
    assert admit(connection, replace(ADA, groups=frozenset({"fin"}))).membership.role == Role.OWNER


def test_unlinking_lets_an_account_made_again_over_there_in(connection: IdentityConnection, tenant: Tenant) -> None:
    ada = admit(connection, ADA).user
    again = replace(ADA, subject="sub-ada-2")
    assert refusal(connection, again) == "linked_otherwise"
    identity_unlink(identity=LinkedIdentity.objects.get(), actor=tenant.actor)
    assert admit(connection, again).user == ada


def test_a_test_tells_what_would_be_and_changes_nothing(connection: IdentityConnection, tenant: Tenant) -> None:
    mappings_set(
        connection=connection,
        mappings=[Mapping("eng", team=tenant.team), Mapping("eng", role=Role.FINANCE)],
        actor=tenant.actor,
        grantor=Role.ADMIN,
    )
    foretold = arrival_foretell(connection=connection, claims=ADA)
    assert (foretold.role, foretold.teams, foretold.problem) == (Role.FINANCE, ("platform",), "")
    assert (
        "none of the domains"
        in arrival_foretell(connection=connection, claims=replace(ADA, email="a@elsewhere.example")).problem
    )
    assert not User.objects.filter(email=ADA.email).exists()
    assert not LinkedIdentity.objects.exists()
    assert Team.objects.count() == 1


@pytest.mark.parametrize(
    ("value", "email"),
    [
        ("Ada@Acme.Example", "ada@acme.example"), (["ada@acme.example", "x"], "ada@acme.example"), ("ada", ""),
        ("@acme.example", ""), ("a b@acme.example", ""), (None, ""), ({"a": 1}, ""), (7, ""), ([], ""),
    ],
)  # fmt: skip
def test_an_e_mail_claim_is_read_carefully(value: object, email: str) -> None:
    assert email_of(value) == email


def test_group_claims_come_in_several_shapes() -> None:
    assert groups_of("one") == {"one"}
    assert groups_of(["a", " b ", "", 7, None, {"x": 1}]) == {"a", "b"}
    assert groups_of({"a": 1}) == groups_of(None) == frozenset()
