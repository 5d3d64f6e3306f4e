"""What is found without a budget's line: told once, to those whose it is, and to channels that hear of it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from control_plane.alerts.findings import missing_note, unusual_note
from control_plane.alerts.models import AlertChannel, Delivery, Finding
from control_plane.alerts.services import deliveries_send, findings_dispatch
from control_plane.alerts.services.outbox import message_of
from control_plane.forecasts.models import FindingState, UnusualSpend
from control_plane.forecasts.services import unusual_find
from control_plane.organizations.models import Organization, Role
from control_plane.usage.completeness import missing_accept
from control_plane.usage.models import MissingEvents
from tests.builders.tenants import SYSTEM, Tenant, a_member, a_person_of_role
from tests.control_plane.alerts.world import a_mail_channel, a_webhook
from tests.control_plane.forecasts.world import DOLLAR, at, spend_at, work_days
from tests.control_plane.forecasts.world import NOW as WEDNESDAY
from tests.fakes.mail_server import MailServer
from tests.fakes.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


def an_unusual_day(tenant: Tenant, **changes: Any) -> UnusualSpend:
    ada = a_member(tenant, "ada@acme.example")
    values: dict[str, Any] = {
        "organization_id": tenant.organization.id,
        "principal_id": ada.id,
        "principal_kind": "user",
        "team_id": tenant.team.id,
        "day": date(2026, 11, 17),
        "spent_nano_usd": 84 * DOLLAR,
        "usual_nano_usd": 9 * DOLLAR,
        "line_nano_usd": 30 * DOLLAR,
        "compared": "weekday",
        "compared_days": 10,
        "model": "claude-opus-4-8",
        "model_nano_usd": 60 * DOLLAR,
        "found_at": NOW,
        **changes,
    }
    return UnusualSpend.objects.create(**values)


def a_gap(first: int, last: int, *, pod: str = "pod-3", opened_at: datetime = NOW) -> MissingEvents:
    return MissingEvents.objects.create(pod_id=pod, boot_id=b"b" * 16, first=first, last=last, opened_at=opened_at)


def told() -> dict[str, Delivery]:
    findings_dispatch(now=NOW)
    return {row.recipient_name: row for row in Delivery.objects.filter(finding__isnull=False)}


def test_unusual_spend_is_told_to_the_teams_lead_and_the_owner_of_its_cost_centre(acme: Tenant) -> None:
    lead = a_person_of_role(acme, Role.TEAM_LEAD, "lead@acme.example")
    acme.team.cost_centre = "410"
    acme.team.save()
    a_mail_channel(acme, "cc-410", cost_centre="410")
    a_mail_channel(acme, "audit", hears=("unusual_spend",))
    a_mail_channel(acme, "other", hears=("missing_usage",))

    assert unusual_note([an_unusual_day(acme)], now=NOW) == 1

    sent = told()
    assert set(sent) == {lead.email, "cc-410", "audit"}
    message = message_of(sent["cc-410"])
    assert message.event == "spend.unusual"
    assert message.subject == "ada@acme.example: $84.00 on Tuesday, usual Tuesday $9.00"
    assert f"Who: ada@acme.example, team {acme.team.name}, {acme.organization.name}" in message.text
    assert "the line that their own 10 days before draw. Mostly claude-opus-4-8." in message.text
    assert message.body["spent_usd"] == "84.000000000"
    assert message.body["team"] == {"id": acme.team.id.hex, "name": acme.team.name}
    assert message_of(sent["cc-410"]) == message


def test_where_no_team_is_known_those_who_run_the_organization_are_told(acme: Tenant) -> None:
    unusual_note([an_unusual_day(acme, team_id=None)], now=NOW)
    assert set(told()) == {acme.admin.email}


def test_a_day_is_told_once_however_often_it_is_found(acme: Tenant, globex: Tenant, hints: list[str]) -> None:
    day = an_unusual_day(acme)
    assert unusual_note([day], now=NOW) == 1
    day.spent_nano_usd *= 2
    assert unusual_note([day], now=NOW + timedelta(hours=1)) == 0
    assert not Delivery.objects.filter(organization=globex.organization).exists()
    assert Finding.objects.get().facts["spent"] == 84 * DOLLAR


def test_what_somebody_looked_at_already_is_not_told(acme: Tenant) -> None:
    assert unusual_note([an_unusual_day(acme, state=FindingState.DISMISSED)], now=NOW) == 0


def test_it_is_heard_of_in_the_transaction_that_finds_it(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    today = WEDNESDAY.date()
    spend_at(acme, work_days(date(2026, 9, 1), today - timedelta(days=1), 9), principal=ada.id)
    spend_at(acme, [(at(today, 10), 84)], principal=ada.id)
    with transaction.atomic():
        unusual_find(organization=acme.organization, now=WEDNESDAY)
        transaction.set_rollback(True)
    assert not Finding.objects.exists()

    for _ in range(2):
        unusual_find(organization=acme.organization, now=WEDNESDAY)

    found = Finding.objects.get()
    assert (found.topic, found.principal_id) == ("unusual_spend", ada.id)
    assert found.about == UnusualSpend.objects.get().id.hex


def test_a_gap_that_stays_open_is_told_once_to_whoever_runs_the_installation(acme: Tenant, globex: Tenant) -> None:
    Organization.objects.filter(id=acme.organization.id).update(created_at=NOW - timedelta(days=900))
    a_mail_channel(globex, "ops", hears=("missing_usage",))
    gap = a_gap(101, 112)
    assert missing_note(now=NOW + timedelta(minutes=9)) == 0
    assert missing_note(now=NOW + timedelta(minutes=11)) == 2
    # A part of it arrives: what is left of it is the same gap.
    gap.last = 104
    gap.save()
    a_gap(110, 112)
    assert missing_note(now=NOW + timedelta(minutes=12)) == 0

    sent = told()
    assert set(sent) == {acme.admin.email, "ops"}
    assert sent["ops"].organization == globex.organization
    message = message_of(sent[acme.admin.email])
    assert message.event == "usage.missing"
    assert message.subject == "pod-3: 12 events of usage did not arrive"
    assert "Missing: 12 events (numbers 101 to 112), seen Wednesday 18 November 2026 12:00 UTC" in message.text
    assert message.body["ranges"] == [[101, 112]]


def test_gaps_of_one_moment_are_told_together_and_later_ones_for_themselves(acme: Tenant) -> None:
    a_gap(5, 5)
    a_gap(7, 8)
    a_gap(20, 20, opened_at=NOW + timedelta(minutes=1))
    a_gap(3, 3, pod="pod-4")
    assert missing_note(now=NOW + timedelta(minutes=20)) == 3
    assert sorted(one.facts["count"] for one in Finding.objects.all()) == [1, 1, 3]


def test_what_closed_in_time_or_was_taken_note_of_is_not_told(acme: Tenant) -> None:
    missing_accept(missing=a_gap(5, 5), actor=SYSTEM, note="The host burned.", now=NOW)
    assert missing_note(now=NOW + timedelta(minutes=20)) == 0


def test_they_go_out_by_mail_and_signed_webhook(
    acme: Tenant, mail: MailServer, webhook_receiver: WebhookReceiver
) -> None:
    a_webhook(acme, webhook_receiver.url, "hook")
    AlertChannel.objects.update(hears=["unusual_spend"])
    unusual_note([an_unusual_day(acme)], now=NOW)
    findings_dispatch(now=NOW)

    assert deliveries_send(now=NOW) == 2
    assert deliveries_send(now=NOW) == 0

    assert len(mail.mails) == 1
    (call,) = webhook_receiver.calls
    assert call.headers["x-switchyard-event"] == "spend.unusual"
    assert call.is_signed_with("a-secret-for-tests-only")
