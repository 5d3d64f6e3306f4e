"""Fixtures for all tests. The engines themselves: `tests/engines_plugin.py`, which must load before Django."""

import pytest

from tests.environment import TestPlaces


@pytest.fixture(scope="session")
def django_db_modify_db_settings(engines: TestPlaces, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Start the engines before pytest-django makes its database. Code under test may reach for the caches too."""
