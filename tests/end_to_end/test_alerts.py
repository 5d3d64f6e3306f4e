"""Many spend over a line at once while workers and broker are restarted: one e-mail and one webhook for each line.

Real workers, a real beat and a broker of their own over the tests' database; the mail server and the receiver of
webhooks count what comes. `ALERT_RACES=100` runs the hundred of the promise.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis import RedisError

from control_plane.alerts.models import Delivery, DeliveryState, StageCrossing
from control_plane.budgets.models import Budget
from control_plane.usage.models import InboxBatch
from deploy.local.ports import pick_free_ports
from deploy.local.valkey import Valkey
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant, a_tenant
from tests.control_plane.alerts.world import STAGES, a_budget, a_mail_channel, a_webhook, spending
from tests.control_plane.usage.books import put
from tests.control_plane.usage.test_concurrency import database_url
from tests.end_to_end.stack import ROOT, until
from tests.fakes.mail_server import MailServer, mail_server
from tests.fakes.webhook_receiver import WebhookReceiver, webhook_receiver

__all__ = ["mail_server", "webhook_receiver"]

RACES = int(os.environ.get("ALERT_RACES", "2"))
WORKERS = ("worker-1", "worker-2")
SECRET = "a-secret-for-tests-only"
AWAY = (OperationalError, OSError, RedisError)
"""What a broker that is being restarted fails with."""
pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300 + 15 * RACES), pytest.mark.django_db(transaction=True)]


@dataclass
class Background:
    """Two workers, a beat and a broker; each can be ended and is started again at once."""

    home: Path
    mail_url: str
    broker: Valkey
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    killed_workers: int = 0

    def start(self, name: str) -> None:
        if name == "broker":
            self.broker.prepare()
            program = self.broker.program()
            command, environment = list(program.command_line()), dict(program.environment)
        else:
            # The commands `switchyard worker` and `switchyard beat`, but for the name of the worker.
            run = f"run_worker(['-n', '{name}@test'])" if name in WORKERS else "run_beat()"
            command = [sys.executable, "-c", f"from control_plane.project.processes import *; {run}"]
            environment = self._environment()
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def restart(self, name: str, how: signal.Signals) -> None:
        """End a process and start its successor; a worker that is asked politely finishes what it does."""
        process = self.processes[name]
        if how is signal.SIGKILL:
            os.killpg(process.pid, how)
            self.killed_workers += name in WORKERS
        else:
            process.send_signal(how)
        process.wait(60)
        # A pool outlives a killed parent for a moment; the successor must not meet it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self.start(name)

    def has_worker(self) -> bool:
        """Whether a worker takes messages."""
        return any(self.is_up(name) for name in WORKERS)

    def is_up(self, name: str) -> bool:
        """Whether a worker answers over the broker."""
        with contextlib.suppress(*AWAY):
            return bool(self._app().control.ping(destination=[f"{name}@test"], timeout=2.0))
        return False

    def hint(self, task: str) -> None:
        """What the intake would send; lost while the broker is away, as there."""
        app = self._app()
        with contextlib.suppress(*AWAY), app.connection_for_write() as link:
            app.send_task(task, connection=link, retry=False, expires=30)

    def _app(self) -> Celery:
        app = Celery(broker=self.broker.url, set_as_current=False)
        app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        return app

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": self.broker.url,
            "DJANGO_SETTINGS_MODULE": "control_plane.project.settings.test",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}",
            "SWITCHYARD_MAIL_URL": self.mail_url,
            "SWITCHYARD_MAIL_FROM": "switchyard@acme.example",
            "SWITCHYARD_WORKER_PROCESSES": "2",
        }


@pytest.fixture
def background(tmp_path: Path, transactional_db: None, mail_server: MailServer) -> Iterator[Background]:
    broker = Valkey("broker", tmp_path, tmp_path / "broker.log", pick_free_ports(1)[0], "of-this-test-only")
    found = Background(tmp_path, mail_server.url, broker)
    try:
        found.start("broker")
        until(broker.is_ready, 20, "the broker did not come up")
        for name in (*WORKERS, "beat"):
            found.start(name)
        until(lambda: all(map(found.is_up, WORKERS)), 120, "the workers did not come up")
        yield found
    finally:
        found.stop()


def spend_at_once(batches: Sequence[usage_pb2.UsageBatch]) -> None:
    """Have several pods report at the same moment."""
    begin = threading.Barrier(len(batches))

    def report(batch: usage_pb2.UsageBatch) -> None:
        try:
            begin.wait()
            put(batch)
        finally:
            connection.close()

    threads = [threading.Thread(target=report, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def race(tenant: Tenant, number: int, background: Background, chance: random.Random) -> Budget:
    """Ten reports, any of which may be the one that crosses the line, and two aggregators that are told of them."""
    budget = a_budget(
        tenant, f"race-{number}", timezone="UTC", stages=[{**STAGES[0], "notify": ["channel:finance", "channel:hook"]}]
    )
    now = timezone.now()
    batches = [spending(budget, 1.0, at=now - timedelta(seconds=chance.random())) for _ in range(10)]
    spend_at_once(batches)
    for _ in range(2):
        background.hint("usage.aggregate")
    return budget


def disturb(number: int, background: Background, chance: random.Random) -> None:
    """Restart a worker, the broker or both, politely or not, at a moment that nobody knows."""
    time.sleep(chance.random())
    victims = (
        [(WORKERS[number % 2], signal.SIGTERM)],
        [("broker", signal.SIGKILL)],
        [(WORKERS[number % 2], signal.SIGKILL)],
        [("broker", signal.SIGTERM), (WORKERS[number % 2], signal.SIGTERM)],
    )[number % 4]
    for name, how in victims:
        background.restart(name, how)


def test_each_line_is_told_by_one_mail_and_one_webhook_whatever_is_restarted(
    background: Background, mail_server: MailServer, webhook_receiver: WebhookReceiver
) -> None:
    tenant, chance = a_tenant("acme"), random.Random(20261121)
    a_mail_channel(tenant)
    a_webhook(tenant, webhook_receiver.url, secret=SECRET)

    budgets = []
    for number in range(RACES):
        until(background.has_worker, 120, "no worker came back")
        budgets.append(race(tenant, number, background, chance))
        disturb(number, background, chance)

    def is_settled() -> bool:
        is_told = Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 2 * RACES
        return is_told and not InboxBatch.objects.exists()

    until(is_settled, 180, "not every line was told", every_s=0.5)
    # Whatever was sent too much would come with the next rounds of beat.
    time.sleep(15)

    names = {budget.name for budget in budgets}
    crossings = list(StageCrossing.objects.values_list("budget_name", "at_percent"))
    assert Counter(crossings) == Counter(dict.fromkeys(((name, 80) for name in names), 1))
    assert {mail.message_id for mail in mail_server.mails} == {
        f"<{row.id.hex}@acme.example>" for row in Delivery.objects.filter(type="email")
    }
    assert {call.key for call in webhook_receiver.calls} == {
        row.id.hex for row in Delivery.objects.filter(type="webhook")
    }
    assert all(call.is_signed_with(SECRET) for call in webhook_receiver.calls)
    mails = Counter(mail.subject.partition(":")[0] for mail in mail_server.mails)
    calls = Counter(call.body["budget"]["name"] for call in webhook_receiver.calls)
    kills, repeats = background.killed_workers, mails.total() + calls.total() - 2 * RACES
    print(f"\n{RACES} races, {kills} workers killed: {mails.total()} mails, {calls.total()} webhooks")
    assert set(mails) == set(calls) == names
    # A worker that was killed in the moment between a yes and its note has said it twice under one id; nobody else has.
    assert repeats <= kills
