"""Two tenants, so that each test can try the other one's."""

import pytest

from tests.builders.tenants import Tenant, a_tenant


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def globex(db: None) -> Tenant:
    return a_tenant("globex")
