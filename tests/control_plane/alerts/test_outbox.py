"""What was crossed reaches everybody who is to be told, each once, whatever fails on the way."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from control_plane.alerts.models import AlertChannel, Delivery, DeliveryState, StageCrossing
from control_plane.alerts.services import (
    channel_test,
    crossings_dispatch,
    deliveries_forget,
    deliveries_send,
    delivery_retry,
)
from control_plane.alerts.services.outbox import TRIED_FOR
from control_plane.alerts.tasks import send_alerts
from control_plane.organizations.services import team_update
from switchyard_contract.counters import counter_of
from tests.builders.tenants import SYSTEM, Tenant, a_member, a_service_account
from tests.control_plane.alerts.world import STAGES, a_budget, a_mail_channel, a_webhook, spend
from tests.control_plane.usage.test_concurrency import database_url, in_threads
from tests.fakes.mail_server import MailServer
from tests.fakes.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.django_db
SECRET = "a-secret-for-tests-only"


def told(*notify: str) -> list[dict[str, Any]]:
    return [{**STAGES[0], "notify": list(notify)}]


def test_the_mail_says_what_is_so_what_follows_and_where(acme: Tenant, mail: MailServer) -> None:
    a_mail_channel(acme)
    spend(a_budget(acme, stages=[{**STAGES[0], "notify": ["finance"]}, *STAGES[1:]]), 8.4)

    send_alerts()

    [sent] = mail.mails
    crossing = StageCrossing.objects.get()
    assert sent.recipients == ("finance@acme.example",)
    assert sent.subject == "engineer-daily: 84 % of $10.00 spent"
    assert sent.text.replace("\r\n", "\n") == (
        "Budget: engineer-daily, Acme\n"
        "Spent: $8.40 of $10.00 (84 %)\n"
        "Reset: Sunday 22 November 2026 00:00 Europe/Berlin (2026-11-21 23:00 UTC)\n"
        "\n"
        "It has reached 80 %, the line at which you are told.\n"
        "Next: at 95 % ($9.50) requests go to a cheaper model where that saves money.\n"
        "\n"
        f"The budget: http://127.0.0.1:8000/budgets/{crossing.budget_id}\n"
    )
    assert sent.parsed["auto-submitted"] == "auto-generated"
    assert sent.message_id == f"<{Delivery.objects.get().id.hex}@acme.example>"


def test_the_counter_is_said_in_words(acme: Tenant, mail: MailServer) -> None:
    a_mail_channel(acme)
    ada = a_member(acme, "ada@acme.example")
    budget = a_budget(acme, per=["principal", "model"], stages=told("finance"))

    spend(budget, 8, counter=f"{ada.id.hex}/claude-opus-4-8")
    send_alerts()

    [sent] = mail.mails
    assert sent.subject == "engineer-daily (ada@acme.example, model claude-opus-4-8): 80 % of $10.00 spent"


def test_a_clients_own_word_in_a_counter_breaks_no_mail(acme: Tenant, mail: MailServer) -> None:
    a_mail_channel(acme)
    budget = a_budget(acme, per=["metadata.repository"], stages=told("finance"))
    spend(budget, 8, counter=counter_of([f"a\r\nBcc: x@y.example\x07{'z' * 300}"]))

    send_alerts()

    [sent] = mail.mails
    assert sent.recipients == ("finance@acme.example",)
    assert sent.subject.startswith("engineer-daily (repository a Bcc: x@y.example zzz")
    assert sent.parsed["bcc"] is None


def test_the_webhook_is_signed_and_carries_the_same_facts(acme: Tenant, webhook_receiver: WebhookReceiver) -> None:
    a_webhook(acme, webhook_receiver.url, secret=SECRET)
    budget = a_budget(acme, stages=told("hook"))
    spend(budget, 8.4)

    send_alerts()

    [call] = webhook_receiver.calls
    assert call.is_signed_with(SECRET)
    assert not call.is_signed_with("another-secret-for-tests")
    assert call.headers["x-switchyard-event"] == "budget.stage_crossed"
    assert call.key == Delivery.objects.get().id.hex == call.body["id"]
    body = call.body
    assert body["budget"] == {
        "id": budget.id.hex,
        "name": "engineer-daily",
        "url": f"http://127.0.0.1:8000/budgets/{budget.id}",
    }
    assert body["stage"] == {"at_percent": 80, "action": "alert"}
    assert (body["spent_nano_usd"], body["spent_usd"]) == (8_400_000_000, "8.400000000")
    assert (body["limit_usd"], body["percent"]) == ("10.000000000", 84)
    assert body["period"]["resets_at"] == "2026-11-21T23:00:00Z"


def test_every_recipient_is_told_once_whatever_the_number_of_runs(
    acme: Tenant, mail: MailServer, webhook_receiver: WebhookReceiver
) -> None:
    a_mail_channel(acme)
    a_webhook(acme, webhook_receiver.url)
    lead = a_member(acme, "lead@acme.example")
    team_update(team=acme.team, lead=lead, actor=SYSTEM)
    spend(
        a_budget(acme, per=["team"], stages=told("finance", "hook", "team_lead", "finance")),
        9,
        counter=acme.team.id.hex,
    )

    for _ in range(3):
        send_alerts()

    assert sorted(sent.recipients for sent in mail.mails) == [("finance@acme.example",), ("lead@acme.example",)]
    assert len(webhook_receiver.calls) == 1


@pytest.mark.parametrize("per", ["service_account", "principal"])
def test_the_lead_of_a_service_accounts_team_is_told(acme: Tenant, mail: MailServer, per: str) -> None:
    lead = a_member(acme, "lead@acme.example")
    team_update(team=acme.team, lead=lead, actor=SYSTEM)
    account = a_service_account(acme)
    spend(a_budget(acme, per=[per], stages=told("team_lead")), 9, counter=account.id.hex)

    send_alerts()

    [sent] = mail.mails
    assert sent.recipients == ("lead@acme.example",)
    assert "service account ci" in sent.subject


def test_the_team_of_the_condition_is_told_where_the_counter_names_none(acme: Tenant, mail: MailServer) -> None:
    lead = a_member(acme, "lead@acme.example")
    team_update(team=acme.team, lead=lead, actor=SYSTEM)
    when = {"subjects": [f"team:{acme.team.id.hex}"]}
    spend(a_budget(acme, when=when, stages=told("team_lead")), 9)

    send_alerts()

    assert [sent.recipients for sent in mail.mails] == [("lead@acme.example",)]


def test_those_who_run_the_organization_stand_in_for_a_missing_lead(acme: Tenant, mail: MailServer) -> None:
    spend(a_budget(acme, per=["team"], stages=told("team_lead")), 9, counter=acme.team.id.hex)

    send_alerts()

    assert [sent.recipients for sent in mail.mails] == [("admin@acme.example.com",)]


def test_a_cost_centres_channel_is_told_and_else_the_lead(acme: Tenant, mail: MailServer) -> None:
    lead = a_member(acme, "lead@acme.example")
    team_update(team=acme.team, lead=lead, cost_centre="CC-7", actor=SYSTEM)
    budget = a_budget(acme, per=["team"], stages=told("cost_centre_owner"))
    spend(budget, 9, counter=acme.team.id.hex)
    send_alerts()
    assert [sent.recipients for sent in mail.mails] == [("lead@acme.example",)]

    a_mail_channel(acme, "centre-seven", cost_centre="CC-7")
    spend(a_budget(acme, "second", per=["team"], stages=told("cost_centre_owner")), 9, counter=acme.team.id.hex)
    send_alerts()

    assert mail.mails[-1].recipients == ("centre-seven@acme.example",)
    assert len(mail.mails) == 2


def test_an_alert_that_names_nobody_goes_to_the_team_lead(acme: Tenant, mail: MailServer) -> None:
    spend(a_budget(acme, stages=[{"at": 80, "do": "alert"}]), 9)

    send_alerts()

    assert [sent.recipients for sent in mail.mails] == [("admin@acme.example.com",)]


def test_a_channel_of_another_organization_is_nobody(acme: Tenant, globex: Tenant, mail: MailServer) -> None:
    a_mail_channel(globex)
    spend(a_budget(acme, stages=told("finance")), 9)

    send_alerts()

    assert mail.mails == []
    assert Delivery.objects.count() == 0


def test_a_receiver_that_fails_is_tried_again_with_the_same_id_and_words(
    acme: Tenant, webhook_receiver: WebhookReceiver
) -> None:
    a_webhook(acme, webhook_receiver.url)
    webhook_receiver.answer_next(503, 302)
    spend(a_budget(acme, stages=told("hook")), 9)
    now = timezone.now()
    crossings_dispatch(now=now)

    assert deliveries_send(now=now) == 0
    waiting = Delivery.objects.get()
    assert (waiting.state, waiting.attempts, waiting.failure) == ("waiting", 1, "The receiver answered 503.")
    assert deliveries_send(now=now + timedelta(seconds=14)) == 0
    assert len(webhook_receiver.calls) == 1
    assert deliveries_send(now=now + timedelta(seconds=15)) == 0
    assert "302" in Delivery.objects.get().failure
    assert deliveries_send(now=now + timedelta(minutes=1)) == 1

    assert Delivery.objects.get().state == DeliveryState.DELIVERED
    assert len({(call.key, call.raw) for call in webhook_receiver.calls}) == 1
    assert len(webhook_receiver.calls) == 3


def test_a_receiver_that_is_down_is_given_up_after_two_days(acme: Tenant, webhook_receiver: WebhookReceiver) -> None:
    a_webhook(acme, "http://127.0.0.1:1/nobody")
    spend(a_budget(acme, stages=told("hook")), 9)
    now = timezone.now()
    crossings_dispatch(now=now)

    tries = 0
    while Delivery.objects.filter(state=DeliveryState.WAITING).exists():
        now = Delivery.objects.get().due_at
        deliveries_send(now=now)
        tries += 1

    given_up = Delivery.objects.get()
    assert given_up.state == DeliveryState.GIVEN_UP
    assert given_up.failure == "The receiver could not be reached."
    assert TRIED_FOR - timedelta(hours=1) <= now - given_up.created_at <= TRIED_FOR
    assert 40 <= tries <= 60


def test_one_receiver_that_is_down_costs_one_time_out_a_run(acme: Tenant, mail: MailServer) -> None:
    a_mail_channel(acme)
    a_webhook(acme, "http://127.0.0.1:1/nobody")
    for number in range(4):
        spend(a_budget(acme, f"budget-{number}", stages=told("hook", "finance")), 9)

    send_alerts()

    assert len(mail.mails) == 4
    assert sum(row.attempts for row in Delivery.objects.filter(type="webhook")) == 1


@pytest.mark.parametrize(
    ("verb", "answer", "state"),
    [
        ("RCPT", "550 no such user", DeliveryState.GIVEN_UP),
        ("RCPT", "451 try later", DeliveryState.WAITING),
        ("DATA", "452 disk full", DeliveryState.WAITING),
        ("MAIL", "550 not from you", DeliveryState.GIVEN_UP),
    ],
)
def test_what_the_mail_server_refuses_for_good_is_not_tried_again(
    acme: Tenant, mail: MailServer, verb: str, answer: str, state: str
) -> None:
    a_mail_channel(acme)
    spend(a_budget(acme, stages=told("finance")), 9)
    mail.refuse(verb, answer)

    send_alerts()

    delivery = Delivery.objects.get()
    assert delivery.state == state
    assert answer[:3] in delivery.failure
    assert mail.mails == []


def test_without_a_mail_server_it_is_said_and_nothing_waits(acme: Tenant, settings: Any) -> None:
    settings.EMAIL_HOST = ""
    a_mail_channel(acme)
    spend(a_budget(acme, stages=told("finance")), 9)

    send_alerts()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.failure) == ("given_up", "No mail server is set up (SWITCHYARD_MAIL_URL).")


def test_what_was_given_up_can_be_tried_again(acme: Tenant, mail: MailServer) -> None:
    a_mail_channel(acme)
    spend(a_budget(acme, stages=told("finance")), 9)
    mail.refuse("MAIL", "550 not from you")
    send_alerts()

    delivery_retry(delivery=Delivery.objects.get())
    send_alerts()

    assert len(mail.mails) == 1
    with pytest.raises(ValidationError, match="was delivered"):
        delivery_retry(delivery=Delivery.objects.get())


def test_a_channel_that_was_deleted_gives_its_deliveries_up(acme: Tenant, webhook_receiver: WebhookReceiver) -> None:
    a_webhook(acme, webhook_receiver.url)
    spend(a_budget(acme, stages=told("hook")), 9)
    crossings_dispatch()
    AlertChannel.objects.all().delete()

    assert deliveries_send() == 0

    assert Delivery.objects.get().failure == "The channel was deleted."
    assert webhook_receiver.calls == []


def test_a_test_goes_the_way_of_an_alert(acme: Tenant, mail: MailServer, webhook_receiver: WebhookReceiver) -> None:
    channel_test(channel=a_mail_channel(acme), actor=acme.actor)
    channel_test(channel=a_webhook(acme, webhook_receiver.url, secret=SECRET), actor=acme.actor)

    send_alerts()

    assert mail.mails[0].subject == "Switchyard: a test of the alert channel finance"
    assert webhook_receiver.calls[0].body["event"] == "channel.test"
    assert webhook_receiver.calls[0].is_signed_with(SECRET)


@pytest.mark.django_db(transaction=True)
def test_eight_workers_send_each_delivery_once(
    acme: Tenant, mail: MailServer, webhook_receiver: WebhookReceiver
) -> None:
    a_mail_channel(acme)
    a_webhook(acme, webhook_receiver.url)
    for number in range(12):
        spend(a_budget(acme, f"budget-{number}", stages=told("hook", "finance")), 9)

    in_threads(8, send_alerts)

    assert len(mail.mails) == len({sent.message_id for sent in mail.mails}) == 12
    assert len(webhook_receiver.calls) == len({call.key for call in webhook_receiver.calls}) == 12


KILLED_WORKER = """
import django
django.setup()
from control_plane.alerts.channels import webhook
from control_plane.alerts.services import crossings_dispatch, deliveries_send
import time

class Hanging(webhook.GuardedSession):
    def post(self, *arguments, **options):
        print("about to send", flush=True)
        time.sleep(120)

webhook.GuardedSession = Hanging
crossings_dispatch()
deliveries_send()
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_before_it_sends_leaves_the_delivery_to_the_next(
    acme: Tenant, webhook_receiver: WebhookReceiver
) -> None:
    a_webhook(acme, webhook_receiver.url)
    spend(a_budget(acme, stages=told("hook")), 9)
    worker = subprocess.Popen(
        [sys.executable, "-c", KILLED_WORKER],
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "control_plane.project.settings.test",
            "PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'proto'}",
        },
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"about to send\n"
    assert deliveries_send() == 0, "the dying worker's row is its own"
    worker.send_signal(signal.SIGKILL)
    worker.wait()

    sent = 0
    until = timezone.now() + timedelta(seconds=20)
    while not sent and timezone.now() < until:
        sent = deliveries_send()

    assert sent == 1
    assert len(webhook_receiver.calls) == 1


def test_what_was_said_long_ago_is_forgotten(acme: Tenant, mail: MailServer) -> None:
    a_mail_channel(acme)
    spend(a_budget(acme, stages=told("finance")), 9)
    send_alerts()

    assert deliveries_forget() == 0
    assert deliveries_forget(now=timezone.now() + timedelta(days=401)) == 2
    assert StageCrossing.objects.count() == 0
