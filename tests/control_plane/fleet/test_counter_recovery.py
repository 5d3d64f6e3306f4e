"""Counters that were lost are begun anew: floors first, then a new generation in the policy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import grpc
import pytest
import redis
from django.utils import timezone

from control_plane.fleet import counter_losses, counter_recovery
from control_plane.fleet.counter_losses import (
    Loss,
    first_generations_raise,
    generations_raise,
    loss_claim,
    loss_give_up,
    loss_laid,
    loss_progress,
    losses_note,
    losses_unlaid,
)
from control_plane.fleet.database import DatabaseThreads
from control_plane.fleet.models import CounterLoss
from control_plane.fleet.server import serving
from control_plane.keys.counter_store import open_counter_store
from control_plane.keys.services import pod_token_mint
from control_plane.organizations.models import Organization
from control_plane.snapshots.services import everything_compile, organization_compile
from control_plane.snapshots.shards import policy_shard
from switchyard_contract.counters import laying_text, learning_word, meta_key, read_learning_word
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2, usage_pb2_grpc
from tests.builders.tenants import SYSTEM, Tenant, a_tenant
from tests.control_plane.alerts.world import DOLLAR, a_budget, spend
from tests.control_plane.fleet.pods import a_pod
from tests.control_plane.usage.events import a_batch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return a_tenant()


def generation_of(tenant: Tenant) -> int:
    return Organization.objects.get(id=tenant.organization.id).counter_generation


def test_the_word_says_which_generation_was_lost() -> None:
    assert read_learning_word(learning_word("0a" * 16, 3)) == ("0a" * 16, 3)
    assert read_learning_word("counters_learning:" + "0a" * 16) == ("0a" * 16, None)
    assert read_learning_word("counters_unreachable") is None


def test_a_loss_is_floors_then_a_pause_then_a_new_generation(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 0}, now=now)
    (loss,) = losses_unlaid()
    assert loss == Loss(organization_id, 0)
    assert generations_raise(now=now + timedelta(minutes=1)) == 0

    assert loss_laid(loss, 3, now=now)
    assert losses_unlaid() == []
    assert generations_raise(now=now + timedelta(seconds=1)) == 0
    assert generations_raise(now=now + timedelta(seconds=2)) == 1
    assert generations_raise(now=now + timedelta(seconds=9)) == 0

    assert generation_of(tenant) == 1


def test_what_is_said_again_of_a_generation_that_is_over_is_no_news(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 0}, now=now)
    loss_laid(Loss(organization_id, 0), 1, now=now - timedelta(seconds=5))
    losses_note({organization_id: 0}, now=now)
    assert losses_unlaid() == []
    generations_raise(now=now)

    losses_note({organization_id: 0}, now=now + timedelta(hours=1))
    assert losses_unlaid() == []
    losses_note({organization_id: 1}, now=now + timedelta(hours=1))

    assert losses_unlaid() == [Loss(organization_id, 1)]


def test_a_loss_while_a_generation_was_on_its_way_takes_one_more(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    spend(a_budget(tenant), 1)
    first_generations_raise()

    losses_note({organization_id: 0}, now=now)
    loss_laid(Loss(organization_id, 1), 1, now=now - timedelta(seconds=5))
    generations_raise(now=now)
    losses_note({organization_id: 0}, now=now)

    assert generation_of(tenant) == 2
    assert losses_unlaid() == []


def test_a_store_that_is_ahead_of_a_restored_database_is_overtaken(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 7}, now=now)
    loss_laid(Loss(organization_id, 7), 1, now=now - timedelta(seconds=5))

    generations_raise(now=now)

    assert generation_of(tenant) == 8


def test_one_process_at_a_time_has_the_books_laid_in(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 0}, now=now)
    (loss,) = losses_unlaid()

    assert loss_claim(loss, floors=7, now=now)
    assert not loss_claim(loss, floors=7, now=now)
    assert losses_unlaid(now=now + timedelta(seconds=9)) == []
    assert loss_progress(loss, 4, now=now + timedelta(seconds=9))
    assert losses_unlaid(now=now + timedelta(seconds=18)) == []
    # It died.
    assert losses_unlaid(now=now + timedelta(seconds=20)) == [loss]
    assert loss_claim(loss, floors=8, now=now + timedelta(seconds=20))
    loss_give_up(loss)
    assert losses_unlaid(now=now + timedelta(seconds=20)) == [loss]


def test_what_was_laid_in_for_a_loss_is_nothing_for_the_next_one(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 0}, now=now)
    (loss,) = losses_unlaid()
    loss_claim(loss, floors=7, now=now)

    losses_note({organization_id: 1}, now=now)

    assert not loss_progress(loss, 4)
    assert not loss_laid(loss, 7)
    assert losses_unlaid() == [Loss(organization_id, 1)]


def test_an_organization_that_is_unknown_is_nobodys_loss(tenant: Tenant) -> None:
    losses_note({UUID(int=5): 1})

    assert CounterLoss.objects.count() == 0


def test_the_first_booking_ends_the_time_in_which_an_empty_store_is_right(tenant: Tenant) -> None:
    assert first_generations_raise() == 0
    spend(a_budget(tenant), 1)

    assert first_generations_raise() == 1
    assert first_generations_raise() == 0
    assert generation_of(tenant) == 1


@pytest.fixture
def token(transactional_db: None) -> str:
    return pod_token_mint(name="fleet", actor=SYSTEM).token


@pytest.fixture
def database(transactional_db: None) -> Iterator[DatabaseThreads]:
    threads = DatabaseThreads(1)
    yield threads
    threads.close()


@pytest.fixture
async def port(tenant: Tenant, database: DatabaseThreads, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(counter_losses, "REGISTERING", timedelta(milliseconds=200))
    await database.run(everything_compile)
    async with serving("127.0.0.1:0") as served:
        yield served.port


def store_of(tenant: Tenant) -> tuple[redis.Redis, str]:
    """The counter store, and where it says how far an organization's books are laid in."""
    return open_counter_store(5), meta_key(tenant.organization.id.hex)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_recovery, "PATIENCE_S", 0.4)
    monkeypatch.setattr(counter_recovery, "READ_EVERY_S", 0.02)


async def test_a_pod_that_lost_its_counters_gets_the_books_until_they_are_in_and_then_a_new_generation(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads, brisk: None
) -> None:
    organization_id = tenant.organization.id
    budget = await database.run(a_budget, tenant)
    now = timezone.now()
    await database.run(spend, budget, 3, at=now, now=now + timedelta(seconds=1))
    shard = policy_shard(organization_id)
    async with a_pod(port, token) as pod, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await pod.until(lambda: shard in pod.held)
        call = usage_pb2_grpc.UsageIntakeStub(channel).Report(metadata=(("authorization", f"Bearer {token}"),))
        await call.write(a_batch([]))
        await call.read()

        status = delivery_pb2.Status(degraded=[learning_word(organization_id.hex, 1)])
        await pod.stream.write(delivery_pb2.PodMessage(status=status))
        async with asyncio.timeout(10):
            first = await call.read()
            assert [(floor.budget_id, floor.posted_nano_usd) for floor in first.floors] == [(budget.id.hex, 3 * DOLLAR)]
            assert (first.book.organization_id, first.book.generation) == (organization_id.hex, 2)
            assert (first.book.before, first.book.is_last) == (0, True)
            # This pod does not get to the store: they are told again, as another attempt.
            second = await call.read()
        assert second.book.attempt != first.book.attempt
        assert list(second.floors) == list(first.floors)
        assert await database.run(generation_of, tenant) < 2

        store, meta = store_of(tenant)
        with store:
            for field, value in (("laying", laying_text(second.book.attempt, 1)), ("laid", "2")):
                await asyncio.to_thread(store.hset, meta, field, value)
            async with asyncio.timeout(10):
                while await database.run(generation_of, tenant) < 2:
                    await asyncio.sleep(0.02)
            await asyncio.to_thread(store.delete, meta)
        row = await database.run(CounterLoss.objects.get)
        assert (row.floors_of, row.floors_laid, row.laying_at) == (1, 1, None)
        await database.run(organization_compile, organization_id)
        await pod.until(lambda: snapshot_pb2.PolicyShard.FromString(pod.held[shard].payload).counter_generation == 2)
