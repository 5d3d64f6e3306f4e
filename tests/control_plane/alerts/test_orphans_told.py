"""Estimates for pods that are gone: told once for each run of a pod, to those whose requests they were."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_plane.alerts.findings import orphans_note
from control_plane.alerts.models import AlertChannel, Delivery, Finding
from control_plane.alerts.services import deliveries_send, findings_dispatch
from control_plane.alerts.services.outbox import message_of
from control_plane.alerts.tasks import sweep_crossings
from control_plane.usage.models import Orphan
from tests.builders.tenants import Tenant
from tests.control_plane.alerts.world import a_mail_channel, a_webhook
from tests.control_plane.usage.events import an_exchange_id
from tests.fakes.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=11)


def an_orphan(tenant: Tenant, number: int, **changes: Any) -> Orphan:
    values: dict[str, Any] = {
        "organization_id": tenant.organization.id,
        "exchange_id": an_exchange_id(number),
        "attempt": 1,
        "pod_id": "pod-3",
        "spool": "a" * 32,
        "run": 7,
        "cost_nano_usd": 184_000_000,
        "estimated_at": NOW,
        **changes,
    }
    return Orphan.objects.create(**values)


def told() -> dict[str, Delivery]:
    findings_dispatch(now=LATER)
    return {row.recipient_name: row for row in Delivery.objects.filter(finding__isnull=False)}


def test_what_one_pod_lost_is_one_message_to_whoever_runs_the_organization(acme: Tenant, globex: Tenant) -> None:
    a_mail_channel(acme, "ops", hears=("orphaned_usage",))
    a_mail_channel(acme, "other", hears=("missing_usage",))
    for number in (1, 2):
        an_orphan(acme, number, estimated_at=NOW + timedelta(seconds=30 * number))
    an_orphan(globex, 3)
    assert orphans_note(now=NOW + timedelta(minutes=9)) == 0

    assert orphans_note(now=LATER) == 2
    an_orphan(acme, 4)
    assert orphans_note(now=LATER + timedelta(minutes=1)) == 0

    sent = told()
    assert set(sent) == {"ops", acme.admin.email, globex.admin.email}
    message = message_of(sent["ops"])
    assert message.event == "usage.orphaned"
    assert message.subject == "pod-3: 2 requests booked as estimates, $0.3680"
    assert "since Wednesday 18 November 2026 12:00 UTC" in message.text
    assert "Requests that no rule counts hold no reservation" in message.text
    assert message.body["exchanges"] == [an_exchange_id(1), an_exchange_id(2)]
    assert message.body["cost_usd"] == "0.368000000"
    assert message_of(sent[globex.admin.email]).body["estimated"] == 1


def test_another_run_and_another_day_without_a_spool_are_told_for_themselves(acme: Tenant) -> None:
    an_orphan(acme, 1)
    an_orphan(acme, 2, run=8)
    an_orphan(acme, 3, spool="", run=0)
    an_orphan(acme, 4, spool="", run=0, estimated_at=NOW - timedelta(days=1))
    assert orphans_note(now=LATER) == 4


def test_what_the_truth_came_for_is_not_told(acme: Tenant) -> None:
    an_orphan(acme, 1, settled_at=NOW)
    assert orphans_note(now=LATER) == 0
    assert not Finding.objects.exists()


def test_the_sweep_finds_them_and_a_webhook_is_told(acme: Tenant, webhook_receiver: WebhookReceiver) -> None:
    a_webhook(acme, webhook_receiver.url, "hook")
    AlertChannel.objects.update(hears=["orphaned_usage"])
    an_orphan(acme, 1)
    sweep_crossings()
    finding = Finding.objects.get()
    assert str(finding) == "Estimates for pod-3"
    findings_dispatch(now=finding.found_at)
    Delivery.objects.exclude(type="webhook").delete()

    assert deliveries_send(now=finding.found_at) == 1

    (call,) = webhook_receiver.calls
    assert call.headers["x-switchyard-event"] == "usage.orphaned"
