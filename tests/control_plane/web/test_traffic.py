"""Pages of what goes through: live, errors, latency."""

from datetime import datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.usage.aggregation import book_waiting
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.events import a_batch, an_event


def booked(tenant: Tenant, *events: usage_pb2.UsageEvent) -> None:
    for event in events:
        event.organization_id = tenant.organization.id.hex
    put(a_batch(events))
    assert book_waiting(now=timezone.now(), ledger_days=LEDGER_DAYS).quarantined == 0


def failed(number: int, at: datetime, **changes: Any) -> usage_pb2.UsageEvent:
    return an_event(
        number,
        at=at,
        outcome=usage_pb2.OUTCOME_FAILED,
        client_status=529,
        upstream_status=529,
        error_type="overloaded_error",
        error_text="Overloaded",
        **changes,
    )


def test_live_shows_the_newest_of_the_last_hour_with_what_the_last_minute_came_to(
    admin_client: Client, tenant: Tenant
) -> None:
    now = timezone.now()
    booked(
        tenant,
        an_event(1, at=now - timedelta(seconds=20)),
        failed(2, now - timedelta(seconds=10)),
        an_event(3, at=now - timedelta(minutes=30)),
        an_event(4, at=now - timedelta(hours=2)),
    )
    page = admin_client.get("/live")
    assert [one.first.outcome for one, _, _ in page.context["rows"]] == ["failed", "served", "served"]
    pulse = page.context["pulse"]
    assert (pulse.requests, pulse.troubled, pulse.refused, pulse.is_cut) == (2, 1, 0, False)
    assert pulse.cost_nano_usd == 6_000_000
    text = page.content.decode()
    assert 'hx-trigger="every 2s"' in text
    assert page.context["rows"][0][0].id in text


def test_live_is_narrowed_like_the_list_and_says_when_nothing_is_there(admin_client: Client, tenant: Tenant) -> None:
    assert "Nothing in the last hour" in admin_client.get("/live").content.decode()
    now = timezone.now()
    booked(tenant, an_event(1, at=now), failed(2, now))
    shown = admin_client.get("/live?outcome=failed").context["rows"]
    assert [one.first.outcome for one, _, _ in shown] == ["failed"]


def test_live_shows_members_their_own_and_nobody_another_tenants(
    member_client: Client, member: User, tenant: Tenant, other: Tenant
) -> None:
    now = timezone.now()
    booked(other, an_event(3, at=now, principal_id=member.id.hex))
    booked(tenant, an_event(1, at=now, principal_id=member.id.hex), an_event(2, at=now))
    shown = member_client.get("/live").context["rows"]
    assert [one.first.principal_id for one, _, _ in shown] == [member.id]
    assert "in_flight" not in member_client.get("/live").context
