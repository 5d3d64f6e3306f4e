"""An identity provider, a tenant that trusts it, and a browser between the two."""

import dataclasses
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from tests.builders.tenants import Tenant, a_tenant
from tests.fakes.identity_provider import identity_provider

__all__ = ["identity_provider"]


@pytest.fixture(autouse=True)
def _public_console() -> Iterator[None]:
    """What the identity provider is told is where the test client is."""
    with override_settings(SWITCHYARD=dataclasses.replace(settings.SWITCHYARD, console_public_url="http://testserver")):
        yield


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    """Throttles count over tests otherwise."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def tenant(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def other(db: None) -> Tenant:
    return a_tenant("umbrella")
