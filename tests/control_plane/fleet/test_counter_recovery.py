"""Counters that were lost are begun anew: floors first, then a new generation in the policy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import grpc
import pytest
from django.utils import timezone

from control_plane.fleet import counter_losses
from control_plane.fleet.counter_losses import (
    first_generations_raise,
    generations_raise,
    loss_told,
    losses_note,
    losses_untold,
)
from control_plane.fleet.database import DatabaseThreads
from control_plane.fleet.models import CounterLoss
from control_plane.fleet.server import serving
from control_plane.keys.services import pod_token_mint
from control_plane.organizations.models import Organization
from control_plane.snapshots.services import everything_compile, organization_compile
from control_plane.snapshots.shards import policy_shard
from switchyard_contract.counters import learning_word, read_learning_word
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
    assert losses_untold() == [organization_id]
    assert generations_raise(now=now + timedelta(minutes=1)) == 0

    loss_told(organization_id, now=now)
    assert losses_untold() == []
    assert generations_raise(now=now + timedelta(seconds=1)) == 0
    assert generations_raise(now=now + timedelta(seconds=2)) == 1
    assert generations_raise(now=now + timedelta(seconds=9)) == 0

    assert generation_of(tenant) == 1


def test_what_is_said_again_of_a_generation_that_is_over_is_no_news(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 0}, now=now)
    loss_told(organization_id, now=now - timedelta(seconds=5))
    losses_note({organization_id: 0}, now=now)
    assert losses_untold() == []
    generations_raise(now=now)

    losses_note({organization_id: 0}, now=now + timedelta(hours=1))
    assert losses_untold() == []
    losses_note({organization_id: 1}, now=now + timedelta(hours=1))

    assert losses_untold() == [organization_id]


def test_a_loss_while_a_generation_was_on_its_way_takes_one_more(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    spend(a_budget(tenant), 1)
    first_generations_raise()

    losses_note({organization_id: 0}, now=now)
    loss_told(organization_id, now=now - timedelta(seconds=5))
    generations_raise(now=now)
    losses_note({organization_id: 0}, now=now)

    assert generation_of(tenant) == 2
    assert losses_untold() == []


def test_a_store_that_is_ahead_of_a_restored_database_is_overtaken(tenant: Tenant) -> None:
    now, organization_id = timezone.now(), tenant.organization.id
    losses_note({organization_id: 7}, now=now)
    loss_told(organization_id, now=now - timedelta(seconds=5))

    generations_raise(now=now)

    assert generation_of(tenant) == 8


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


async def test_a_pod_that_lost_its_counters_gets_the_books_and_then_a_new_generation(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads
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
            floors = (await call.read()).floors
        assert [(floor.budget_id, floor.posted_nano_usd) for floor in floors] == [(budget.id.hex, 3 * DOLLAR)]

        async with asyncio.timeout(10):
            while await database.run(generation_of, tenant) < 2:
                await asyncio.sleep(0.02)
        await database.run(organization_compile, organization_id)
        await pod.until(lambda: snapshot_pb2.PolicyShard.FromString(pod.held[shard].payload).counter_generation == 2)
