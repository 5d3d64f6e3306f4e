"""Two tenants for every test of the API."""

import pytest

from tests.control_plane.api.world import Tenant, a_tenant


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def globex(db: None) -> Tenant:
    return a_tenant("globex")
