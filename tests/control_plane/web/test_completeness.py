"""The page of what is missing, and its notice."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from control_plane.organizations.selectors import membership_of, standing_of
from control_plane.usage.models import MissingEvents, Orphan, PodSequence, QuarantinedEvent
from control_plane.web.notices import notices_for
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant
from tests.control_plane.api.test_completeness import quarantined
from tests.control_plane.usage.events import BOOT, POD, an_exchange_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def gap(tenant: Tenant) -> MissingEvents:
    at = timezone.now() - timedelta(hours=1)
    PodSequence.objects.create(pod_id=POD, boot_id=BOOT, highest=1000, first_seen_at=at, reported_at=at)
    return MissingEvents.objects.create(pod_id=POD, boot_id=BOOT, first=5, last=9, opened_at=at)


def test_an_empty_page_says_that_nothing_is_missing(admin_client: Client) -> None:
    text = admin_client.get("/completeness").text

    assert "Nothing is missing" in text
    assert "No request waits for its truth" in text
    assert "requests that no budget and no cap counts" in text
    assert "The quarantine is empty" in text


def test_a_gap_is_shown_noticed_and_noted_as_lost(tenant: Tenant, admin_client: Client, gap: MissingEvents) -> None:
    membership = membership_of(tenant.admin, tenant.organization)
    assert membership is not None
    standing = standing_of(membership)
    assert [(notice.title, notice.text) for notice in notices_for(standing)] == [
        ("The books are 99.5000 % complete", "5 events of pods have not arrived")
    ]
    assert "5–9" in admin_client.get("/completeness").text
    assert "99.5000 %" in admin_client.get("/fleet").text

    admin_client.post(f"/completeness/missing/{gap.id}/accept", {"note": "The disk is gone."})

    gap.refresh_from_db()
    assert gap.note == "The disk is gone."
    assert notices_for(standing) == []


def test_what_belongs_to_others_is_not_there(tenant: Tenant, other: Tenant, admin_client: Client) -> None:
    foreign = Orphan.objects.create(
        organization_id=other.organization.id,
        exchange_id=an_exchange_id(1),
        attempt=1,
        pod_id=POD,
        cost_nano_usd=5,
        estimated_at=timezone.now(),
    )
    event = quarantined(other.organization.id)

    assert foreign.exchange_id not in admin_client.get("/completeness").text
    for address in (f"orphans/{foreign.id}/accept", f"quarantine/{event.id}/retry", f"quarantine/{event.id}/dismiss"):
        assert admin_client.post(f"/completeness/{address}", {"note": "x"}).status_code == 404


def test_an_event_is_dismissed_only_with_a_reason(admin_client: Client) -> None:
    event = quarantined(None)
    assert "No such organization" in admin_client.get("/completeness").text

    admin_client.post(f"/completeness/quarantine/{event.id}/dismiss", {"note": ""})
    assert QuarantinedEvent.objects.get().settled_at is None
    admin_client.post(f"/completeness/quarantine/{event.id}/dismiss", {"note": "A test."})
    assert QuarantinedEvent.objects.get().settlement == "dismissed"


def test_a_member_does_not_see_it(member_client: Client, gap: MissingEvents) -> None:
    assert member_client.get("/completeness").status_code == 404


def test_a_time_that_is_not_believed_is_told_in_words_and_the_readers_zone(
    tenant: Tenant, admin_client: Client
) -> None:
    event = quarantined(tenant.organization.id)
    told = usage_pb2.UsageEvent.FromString(event.payload)
    told.started_at_ms = round((event.quarantined_at + timedelta(days=2, hours=4)).timestamp() * 1000)
    event.reason, event.detail, event.payload = "time_ahead", "ms ahead", told.SerializeToString()
    event.save()
    tenant.admin.time_zone = "Asia/Tokyo"
    tenant.admin.save()

    text = admin_client.get("/completeness").text

    assert "It says it began 2 days 4 h after it came in" in text
    at = (event.quarantined_at + timedelta(days=2, hours=4)).astimezone(ZoneInfo("Asia/Tokyo"))
    assert f"{at:%d %b %Y, %H:%M:%S} Asia/Tokyo" in text
    assert "ms ahead" not in text


def test_what_names_no_instant_is_told_as_it_is(tenant: Tenant, admin_client: Client) -> None:
    event = quarantined(tenant.organization.id)
    event.reason, event.payload = "time_ahead", usage_pb2.UsageEvent(started_at_ms=2**63 - 1).SerializeToString()
    event.save()
    assert "No such organization" in admin_client.get("/completeness").text
