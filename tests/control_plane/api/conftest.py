"""Two tenants for every test of the API, made once for the tests of a file."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.builders.kept import kept
from tests.control_plane.api.world import Tenant, a_tenant


@pytest.fixture(scope="module")
def kept_acme(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Callable[[], Tenant]]:
    with kept(lambda: a_tenant("acme"), django_db_blocker) as copy:
        yield copy


@pytest.fixture(scope="module")
def kept_globex(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Callable[[], Tenant]]:
    with kept(lambda: a_tenant("globex"), django_db_blocker) as copy:
        yield copy


@pytest.fixture
def acme(kept_acme: Callable[[], Tenant], db: None) -> Tenant:
    return kept_acme()


@pytest.fixture
def globex(kept_globex: Callable[[], Tenant], db: None) -> Tenant:
    return kept_globex()
