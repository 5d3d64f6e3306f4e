"""Somebody who applies files, and two organizations."""

import pytest

from tests.builders.tenants import Tenant, a_tenant
from tests.control_plane.declarative.world import Code, code_of, furnish


@pytest.fixture
def tenant(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def code(tenant: Tenant) -> Code:
    return code_of(tenant)


@pytest.fixture
def furnished(tenant: Tenant, code: Code) -> Code:
    """The same organization with one of everything besides."""
    for team in tenant.organization.teams.all():
        team.name = "first team"
        team.save()
    furnish(tenant.organization)
    return code
