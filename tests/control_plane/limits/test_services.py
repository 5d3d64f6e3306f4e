"""Rate limits and session caps say what they mean."""

import pytest

from control_plane.limits.services import (
    RATE_LIMITS,
    SESSION_CAPS,
    rate_limit_create,
    rate_limit_update,
    session_cap_create,
)
from control_plane.rules.subjects import Directory
from tests.builders.tenants import Tenant, a_service_account, a_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return a_tenant()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"limit": 60, "unit": "requests_per_minute", "burst": 5, "per": ["principal"]},
            "Each person or service account, of what everybody asks: at most 60 requests a minute, 5 of them at once.",
        ),
        (
            {"limit": 1000000, "unit": "input_tokens_per_day", "timezone": "Europe/Berlin", "group": "daily"},
            "Together, what everybody asks: at most 1,000,000 input tokens a day, anew at midnight in Europe/Berlin. "
            "In group daily only the most specific rule that matches applies.",
        ),
        ({"limit": 1, "unit": "requests_per_hour"}, "Together, what everybody asks: at most 1 request an hour."),
        (
            {"limit": 4, "unit": "concurrent_requests", "when": {"subjects": ["service_account:ci"]}, "mode": "shadow"},
            "Together, what service account ci asks: at most 4 requests run at once. "
            "In shadow: it is only counted and shown, and stops nobody.",
        ),
    ],
)
def test_a_rate_limit_says_what_it_means(tenant: Tenant, spec: dict[str, object], sentence: str) -> None:
    a_service_account(tenant)
    row = rate_limit_create(organization=tenant.organization, name="r", spec=spec, actor=tenant.actor)

    assert RATE_LIMITS.sentence(row, Directory(tenant.organization)) == sentence


def test_a_session_cap_says_what_it_means(tenant: Tenant) -> None:
    spec = {"max_cost_usd": "50", "max_turns": 400, "max_request_retries": 3}
    row = session_cap_create(organization=tenant.organization, name="runaway", spec=spec, actor=tenant.actor)

    assert SESSION_CAPS.sentence(row, Directory(tenant.organization)) == (
        "A session ends at $50.00, 400 turns or 3 retries of the same request, in what everybody asks. "
        "A key has 10 times as much in an hour, over all of its sessions."
    )


def test_a_cap_of_failed_results_says_where_they_are_told_apart(tenant: Tenant) -> None:
    spec = {"max_consecutive_failed_tool_results": 6, "per_key_hour_factor": 0}
    row = session_cap_create(organization=tenant.organization, name="astray", spec=spec, actor=tenant.actor)

    said = SESSION_CAPS.sentence(row, Directory(tenant.organization))

    assert said.startswith(
        "A session ends at 6 failed tool results in a row, in what everybody asks. Results are flagged"
    )
    assert "OpenAI Chat has no flag" in said


def test_numbers_may_come_as_text_so_that_forms_and_files_say_the_same(tenant: Tenant) -> None:
    spec = {"limit": "60", "unit": "requests_per_minute", "burst": "5"}
    row = rate_limit_create(organization=tenant.organization, name="r", spec=spec, actor=tenant.actor)

    assert (row.limit, row.burst) == (60, 5)


def test_another_unit_drops_what_belonged_to_the_one_before(tenant: Tenant) -> None:
    spec = {"limit": 60, "unit": "requests_per_day", "timezone": "Asia/Tokyo"}
    row = rate_limit_create(organization=tenant.organization, name="r", spec=spec, actor=tenant.actor)

    changed = rate_limit_update(rate_limit=row, changes={"unit": "requests_per_hour"}, actor=tenant.actor)

    assert (changed.unit, changed.timezone, changed.limit) == ("requests_per_hour", "UTC", 60)
