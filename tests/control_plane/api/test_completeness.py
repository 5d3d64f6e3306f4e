"""Completeness, gaps, orphans and quarantine over REST."""

from uuid import UUID

import pytest
from django.utils import timezone

from control_plane.organizations.models import Organization
from control_plane.usage.models import MissingEvents, Orphan, PodSequence, QuarantinedEvent, RefusedReport
from tests.control_plane.api.world import Tenant
from tests.control_plane.usage.events import BOOT, POD, an_event, an_exchange_id


@pytest.fixture
def gap(db: None) -> MissingEvents:
    now = timezone.now()
    PodSequence.objects.create(pod_id=POD, boot_id=BOOT, highest=1000, first_seen_at=now, reported_at=now)
    return MissingEvents.objects.create(pod_id=POD, boot_id=BOOT, first=5, last=9, opened_at=now)


def an_orphan(tenant: Tenant, number: int = 1) -> Orphan:
    return Orphan.objects.create(
        organization_id=tenant.organization.id,
        exchange_id=an_exchange_id(number),
        attempt=1,
        pod_id=POD,
        cost_nano_usd=5,
        estimated_at=timezone.now(),
    )


def quarantined(organization_id: UUID | None, number: int = 1) -> QuarantinedEvent:
    event = an_event(number, at=timezone.now(), organization_id="" if organization_id is None else organization_id.hex)
    return QuarantinedEvent.objects.create(
        digest=UUID(int=number),
        reason="organization_unknown",
        detail="no such organization",
        pod_id=POD,
        boot_id=BOOT,
        sequence=number,
        payload=event.SerializeToString(),
        organization_id=organization_id,
        quarantined_at=timezone.now(),
    )


def test_completeness_is_told_with_what_is_missing(acme: Tenant, gap: MissingEvents) -> None:
    found = acme.as_admin.get("/api/v1/completeness").json()

    assert (found["completeness"], found["admitted"], found["missing"], found["orphans"]) == (0.995, 1000, 5, 0)
    listed = acme.as_admin.get("/api/v1/missing-events?is_open=true").json()["results"]
    assert [(row["pod_id"], row["first"], row["last"], row["count"]) for row in listed] == [(POD, 5, 9, 5)]
    assert listed[0]["boot_id"] == BOOT.hex()
    assert acme.as_admin.get(f"/api/v1/missing-events/{gap.id}").json() == listed[0]


def test_only_the_first_organization_says_that_events_are_lost(
    acme: Tenant, globex: Tenant, gap: MissingEvents
) -> None:
    assert Organization.objects.order_by("created_at", "id").first() == acme.organization
    address = f"/api/v1/missing-events/{gap.id}/accept"

    assert globex.as_admin.post(address, {"note": "Gone."}, format="json").status_code == 403
    assert acme.as_admin.post(address, {}, format="json").status_code == 400
    done = acme.as_admin.post(address, {"note": "Gone."}, format="json")

    assert (done.status_code, done.json()["note"]) == (200, "Gone.")
    assert done.json()["closed_by"].startswith(acme.admin.email)
    assert acme.as_admin.get("/api/v1/completeness").json()["completeness"] == 1


def test_orphans_are_each_organizations_own(acme: Tenant, globex: Tenant) -> None:
    own, foreign = an_orphan(acme, 1), an_orphan(globex, 2)

    listed = acme.as_admin.get("/api/v1/orphans").json()["results"]
    assert [row["id"] for row in listed] == [str(own.id)]
    body = {"note": "The host burned."}
    assert acme.as_admin.post(f"/api/v1/orphans/{foreign.id}/accept", body, format="json").status_code == 404
    kept = acme.as_admin.post(f"/api/v1/orphans/{own.id}/accept", body, format="json")
    assert (kept.status_code, kept.json()["note"]) == (200, "The host burned.")
    assert acme.as_member.get("/api/v1/orphans").status_code == 403


def test_an_event_is_judged_again_or_dismissed_by_whoever_it_belongs_to(acme: Tenant, globex: Tenant) -> None:
    own, nobodys = quarantined(globex.organization.id, 1), quarantined(None, 2)
    address = "/api/v1/quarantined-events"

    assert [row["id"] for row in acme.as_admin.get(address).json()["results"]] == [str(nobodys.id)]
    assert acme.as_admin.post(f"{address}/{own.id}/retry", format="json").status_code == 404
    refused = acme.as_admin.post(f"{address}/{nobodys.id}/retry", format="json")
    assert (refused.status_code, "It cannot be booked yet" in refused.text) == (400, True)
    done = acme.as_admin.post(f"{address}/{nobodys.id}/dismiss", {"note": "A test."}, format="json")
    assert (done.status_code, done.json()["settlement"]) == (200, "dismissed")
    booked = globex.as_admin.post(f"{address}/{own.id}/retry", format="json")
    assert (booked.status_code, booked.json()["settlement"]) == (200, "booked")
    exchange = globex.as_admin.get(f"/api/v1/exchanges/{booked.json()['exchange_id']}")
    assert (exchange.status_code, exchange.json()["cost_nano_usd"]) == (200, 3_000_000)


def test_metrics_are_text_for_prometheus(acme: Tenant, gap: MissingEvents) -> None:
    quarantined(None)
    now = timezone.now()
    RefusedReport.objects.create(pod_id=POD, reason="malformed", detail="x", count=3, first_at=now, last_at=now)

    answer = acme.as_admin.get("/api/v1/metrics")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.text.splitlines()
    for line in (
        "switchyard_usage_completeness 0.995",
        "switchyard_usage_missing_events 5",
        "switchyard_usage_orphans 0",
        'switchyard_usage_quarantined_events{reason="organization_unknown"} 1',
        'switchyard_usage_refused_reports_total{reason="malformed"} 3',
        'switchyard_fleet_pods{state="live"} 0',
    ):
        assert line in lines
    assert acme.as_member.get("/api/v1/metrics").status_code == 403
