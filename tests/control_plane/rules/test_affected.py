"""Whom a rule is about, counted."""

import pytest

from control_plane.keys.services import key_mint
from control_plane.organizations.models import Role
from control_plane.rules.affected import Affected, Some, affected_by
from control_plane.rules.problems import Problems
from control_plane.rules.reading import SpecReader
from control_plane.rules.reading_conditions import World, read_when
from tests.builders.tenants import Tenant, a_key, a_member, a_person_of_role, a_service_account, a_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    tenant = a_tenant("acme")
    ada = a_member(tenant, "ada@example.com")
    a_person_of_role(tenant, Role.AUDITOR, "audrey@example.com")
    a_key(tenant, user=ada)
    account = a_service_account(tenant)
    key_mint(
        organization=tenant.organization, name="pipeline", service_account=account, team=tenant.team, actor=tenant.actor
    )
    a_tenant("globex")
    return tenant


def affected(tenant: Tenant, per: tuple[str, ...] = (), **when: object) -> Affected:
    problems = Problems()
    read = read_when(SpecReader({"when": when}, problems), World.of(tenant.organization))
    problems.raise_any()
    return affected_by(tenant.organization, read.when, read.when_not, per=per)


def test_everybody_is_everybody_of_the_organization(tenant: Tenant) -> None:
    found = affected(tenant)

    assert found.people == Some(3, ("ada@example.com", "admin@acme.example.com", "audrey@example.com"))
    assert found.service_accounts == Some(1, ("ci",))
    assert found.keys == Some(2, ("laptop", "pipeline"))
    assert found.notes == ()


@pytest.mark.parametrize(
    ("subjects", "people", "accounts", "keys"),
    [
        (["team:platform"], 2, 1, 2),
        (["role:auditor"], 1, 0, 0),
        (["user:ada@example.com"], 1, 0, 1),
        (["service_account:ci"], 0, 1, 1),
        (["key:pipeline"], 0, 1, 1),
        (["key:laptop", "role:auditor"], 2, 0, 1),
        (["kind:user"], 3, 0, 1),
        (["kind:service_account"], 0, 1, 1),
        (["organization"], 3, 1, 2),
    ],
    ids=str,
)
def test_subjects_are_counted(tenant: Tenant, subjects: list[str], people: int, accounts: int, keys: int) -> None:
    found = affected(tenant, subjects=subjects)

    assert (found.people.count, found.service_accounts.count, found.keys.count) == (people, accounts, keys)


def test_whoever_is_excluded_by_who_they_are_is_not_counted(tenant: Tenant) -> None:
    found = affected(tenant, **{"not": {"subjects": ["user:ada@example.com", "kind:service_account"]}})
    asks = affected(tenant, **{"not": [{"subjects": ["user:ada@example.com"], "models": ["*opus*"]}]})

    assert (found.people.count, found.service_accounts.count, found.keys.count) == (2, 0, 0)
    assert (asks.people.count, asks.keys.count) == (3, 2)


def test_what_is_counted_by_user_leaves_service_accounts_out_and_says_so(tenant: Tenant) -> None:
    by_user, by_account = affected(tenant, ("user",)), affected(tenant, ("service_account",), subjects=["role:auditor"])

    assert (by_user.service_accounts.count, by_user.keys.count) == (0, 1)
    assert by_user.notes == ("It counts by user, so it does not match what service accounts do.",)
    assert by_account.notes == (
        "It counts by service account, so it does not match what people do.",
        "Nobody is touched by it now.",
    )
