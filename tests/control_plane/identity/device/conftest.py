"""Two tenants, a member of the first, and browsers."""

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from tests.builders.tenants import Tenant, a_member, a_tenant


@pytest.fixture
def tenant(db: None, engines: object) -> Tenant:
    cache.clear()
    return a_tenant("acme")


@pytest.fixture
def other(tenant: Tenant) -> Tenant:
    return a_tenant("globex")


@pytest.fixture
def member(tenant: Tenant) -> User:
    return a_member(tenant, "grace@example.com")


@pytest.fixture
def browser(member: User) -> Client:
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def machine() -> APIClient:
    return APIClient()
