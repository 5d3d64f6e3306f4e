"""Fixtures for all tests. The engines themselves: `tests/engines_plugin.py`, which must load before Django."""

import pytest
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker

from tests.environment import TestPlaces

# How long Hypothesis takes to think of inputs says how busy the machine is: more processes than cores share it.
settings.register_profile("shared cores", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared cores")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(engines: TestPlaces, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Start the engines before pytest-django makes its database. Code under test may reach for the caches too."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let the database be emptied between transactional tests: the audit refuses TRUNCATE everywhere else."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_change DISABLE TRIGGER audit_change_no_truncate")
