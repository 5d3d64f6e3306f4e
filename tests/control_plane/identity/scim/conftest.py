"""A tenant with a SCIM token, and a client that speaks as its identity provider."""

import pytest

from tests.builders.tenants import Tenant, a_tenant
from tests.control_plane.identity.scim.provider import Provider, a_provider


@pytest.fixture
def tenant(db: None, engines: object) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def provider(tenant: Tenant) -> Provider:
    return a_provider(tenant)


@pytest.fixture
def other(db: None, engines: object) -> Provider:
    """The provider of another tenant."""
    return a_provider(a_tenant("globex"))
