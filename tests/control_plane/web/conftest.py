"""Two tenants, so that every test of a page can try the other one's ids. The first is made once for a file."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from control_plane.accounts.models import User
from tests.builders.kept import kept
from tests.builders.tenants import Tenant, a_member, a_tenant

SignIn = Callable[[User], Client]


@pytest.fixture(scope="module")
def kept_tenant(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, engines: object
) -> Iterator[Callable[[], Tenant]]:
    with kept(lambda: a_tenant("acme"), django_db_blocker) as copy:
        yield copy


@pytest.fixture
def tenant(kept_tenant: Callable[[], Tenant], db: None) -> Tenant:
    return kept_tenant()


@pytest.fixture
def other(tenant: Tenant) -> Tenant:
    return a_tenant("globex")


@pytest.fixture
def member(tenant: Tenant) -> User:
    return a_member(tenant, "grace@example.com")


@pytest.fixture
def sign_in() -> SignIn:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def admin_client(tenant: Tenant, sign_in: SignIn) -> Client:
    return sign_in(tenant.admin)


@pytest.fixture
def member_client(member: User, sign_in: SignIn) -> Client:
    return sign_in(member)
