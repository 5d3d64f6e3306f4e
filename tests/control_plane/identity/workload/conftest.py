"""A tenant whose service account trusts the jobs of a scripted issuer."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from control_plane.identity.workload.models import WorkloadTrust
from control_plane.identity.workload.services import TrustFacts, trust_add
from control_plane.organizations.models import ServiceAccount
from tests.builders.tenants import Tenant, a_service_account, a_tenant
from tests.control_plane.identity.workload.issuer import AUDIENCE, Issuer, serving


@pytest.fixture(scope="session")
def signing_issuer() -> Issuer:
    """Its first key: making RSA keys takes time."""
    return Issuer()


@pytest.fixture
def issuer(signing_issuer: Issuer) -> Iterator[Issuer]:
    fresh = Issuer.__new__(Issuer)
    fresh.url, fresh.names_itself, fresh.is_down = "", "", False
    fresh.keys = {"rsa-1": signing_issuer.keys["rsa-1"]}
    fresh.served, fresh.asked = ["rsa-1"], []
    with serving(fresh):
        yield fresh


@pytest.fixture
def tenant(db: None, engines: object) -> Tenant:
    cache.clear()
    return a_tenant("acme")


@pytest.fixture
def other(tenant: Tenant) -> Tenant:
    return a_tenant("globex")


@pytest.fixture
def account(tenant: Tenant) -> ServiceAccount:
    return a_service_account(tenant, "ci")


@pytest.fixture
def trust(tenant: Tenant, account: ServiceAccount, issuer: Issuer) -> WorkloadTrust:
    facts = TrustFacts(
        name="main branch",
        issuer=issuer.url,
        audience=AUDIENCE,
        conditions={"repository": "acme/*", "ref": ["refs/heads/main", "refs/heads/release-*"]},
        models=("claude-*",),
        lifetime_s=1800,
    )
    return trust_add(service_account=account, facts=facts, actor=tenant.actor)
