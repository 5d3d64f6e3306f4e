"""The gRPC process as a pod sees it: a real server, a real client, a real database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import grpc
import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from grpc_health.v1 import health_pb2, health_pb2_grpc

from control_plane.fleet import joining, selectors
from control_plane.fleet.database import DatabaseThreads
from control_plane.fleet.models import Pod, PodShard
from control_plane.fleet.server import PortTaken, serving
from control_plane.keys.services import key_revoke, pod_token_mint, pod_token_revoke
from control_plane.organizations.services import team_create
from control_plane.snapshots import delivery
from control_plane.snapshots.selectors import heads_digest, shard_heads
from control_plane.snapshots.services import everything_compile, organization_compile
from control_plane.snapshots.shards import GLOBAL, deny_shard, key_shard, policy_shard
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc
from switchyard_contract.virtual_key import KeyKind, mint
from tests.builders.tenants import SYSTEM, Tenant, a_key, a_tenant
from tests.control_plane.fleet.pods import a_pod
from tests.promises import within

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    tenant = a_tenant()
    everything_compile()
    return tenant


@pytest.fixture
def token(transactional_db: None) -> str:
    return pod_token_mint(name="fleet", actor=SYSTEM).token


@pytest.fixture
def database(transactional_db: None) -> Iterator[DatabaseThreads]:
    threads = DatabaseThreads(1)
    yield threads
    threads.close()


@pytest.fixture
async def port(tenant: Tenant) -> AsyncIterator[int]:
    async with serving("127.0.0.1:0") as served:
        yield served.port


async def eventually(database: DatabaseThreads, find: Callable[[], T | None], timeout_s: float = 5.0) -> T:
    """Ask the database until it gives something."""
    deadline = time.monotonic() + timeout_s
    while not (found := await database.run(find)):
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.02)
    return found


def all_shards(tenant: Tenant) -> set[str]:
    organization = tenant.organization.id
    return {GLOBAL, policy_shard(organization), key_shard(organization, 0), deny_shard(organization)}


async def test_a_new_pod_gets_the_keys_first_then_everything_denials_first(
    port: int, token: str, tenant: Tenant
) -> None:
    organization = tenant.organization.id
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant) and bool(pod.beacons))
        assert pod.order[:5] == [
            "keys",
            deny_shard(organization),
            policy_shard(organization),
            GLOBAL,
            key_shard(organization, 0),
        ]
        assert pod.material is not None
        assert dict(pod.material.peppers) == dict(django_settings.SWITCHYARD.peppers.by_version)
        assert dict(pod.material.sealing_keys) == dict(django_settings.SWITCHYARD.sealing_keys.by_version)


async def test_a_pod_that_comes_back_gets_only_what_is_newer(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads
) -> None:
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))
    held = dict(pod.held)
    await database.run(team_create, organization=tenant.organization, name="new", actor=tenant.actor)
    await database.run(organization_compile, tenant.organization.id)
    async with a_pod(port, token, have=held) as again:
        await again.until(lambda: len(again.beacons) > 0 and bool(again.held))
        assert set(again.held) == {policy_shard(tenant.organization.id)}


async def test_a_shard_that_exists_no_more_is_forgotten(port: int, token: str, tenant: Tenant) -> None:
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))
    gone = {"org/gone/policy": pod.held[GLOBAL]}
    async with a_pod(port, token, have=gone) as again:
        await again.until(lambda: again.forgotten == ["org/gone/policy"])


async def test_a_change_reaches_a_subscribed_pod_by_itself(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads
) -> None:
    shard = policy_shard(tenant.organization.id)
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))
        before = pod.held[shard].at.version
        await database.run(team_create, organization=tenant.organization, name="new", actor=tenant.actor)
        await database.run(organization_compile, tenant.organization.id)
        took_s = await pod.until(lambda: pod.held[shard].at.version == before + 1)
        assert took_s < within(1)


async def test_a_revocation_arrives_in_under_a_second_without_any_worker(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads
) -> None:
    """Nothing but the gRPC process runs here: its own poll compiles the denial."""
    keys = [(await database.run(a_key, tenant)).key for _ in range(5)]
    shard = deny_shard(tenant.organization.id)
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))
        for key in keys:
            await database.run(key_revoke, key=key, reason="x", actor=tenant.actor)
            key_id = key.key_id
            took_s = await pod.until(lambda key_id=key_id: key_id in pod.denied(shard))  # type: ignore[misc]
            assert took_s < within(1)


async def test_what_a_pod_holds_is_recorded(port: int, token: str, tenant: Tenant, database: DatabaseThreads) -> None:
    async with a_pod(port, token) as pod:
        await eventually(database, lambda: PodShard.objects.filter(acked_version=1).count() == 4)
        await pod.stream.write(
            delivery_pb2.PodMessage(
                status=delivery_pb2.Status(
                    in_flight=7, spool_records=3, counters_reachable=False, degraded=["counters"], loop_lag_ms=4
                )
            )
        )
        row = await eventually(database, lambda: Pod.objects.filter(in_flight=7).first())
        assert (row.pod_id, row.software_version, row.address) == ("pod-1", "test", "127.0.0.1:9100")
        assert (row.degraded, row.counters_reachable, row.disconnected_at) == (["counters"], False, None)
        heads = await database.run(shard_heads)
        applied = await database.run(selectors.applied, GLOBAL, heads[GLOBAL].at)
        assert (applied.live, applied.holding, applied.is_everywhere) == (1, 1, True)
        assert await database.run(selectors.lags_of, row) == []
    await eventually(database, lambda: Pod.objects.filter(disconnected_at__isnull=False).exists())
    assert await database.run(lambda: selectors.live_pods().count()) == 0


async def test_a_refusal_is_recorded_with_its_reason_and_cleared_by_the_next_version(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads
) -> None:
    shard = policy_shard(tenant.organization.id)
    async with a_pod(port, token, refuses={shard}) as pod:
        row = await eventually(database, lambda: PodShard.objects.exclude(nack_code="").first())
        assert (row.shard, row.nack_code, row.nack_version, row.acked_version) == (shard, "INVALID", 1, 0)
        assert row.nack_detail == "virtual_models/fast leads nowhere"
        found = await database.run(lambda: Pod.objects.get())
        lags = await eventually(database, lambda: [lag for lag in selectors.lags_of(found) if lag.shard == shard])
        assert lags[0].refusal.startswith("INVALID")
        pod.refuses.clear()
        await database.run(team_create, organization=tenant.organization, name="mended", actor=tenant.actor)
        await database.run(organization_compile, tenant.organization.id)
        await eventually(database, lambda: PodShard.objects.filter(shard=shard, acked_version=2, nack_code="").exists())
        assert pod.order.count(shard) == 2


@pytest.mark.parametrize("kind", ["none", "another kind", "never issued", "revoked", "garbage"])
async def test_whoever_has_no_join_token_is_refused(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads, kind: str
) -> None:
    def presented() -> str:
        if kind == "revoked":
            minted = pod_token_mint(name="old", actor=SYSTEM)
            pod_token_revoke(token=minted.record, actor=SYSTEM)
            return minted.token
        texts = {"none": "", "never issued": mint(KeyKind.POD).text, "garbage": "x" * 5000}
        return texts[kind] if kind in texts else a_key(tenant).token

    async with a_pod(port, await database.run(presented), greets=False) as pod:
        assert await pod.stream.code() is grpc.StatusCode.UNAUTHENTICATED
        assert pod.order == []


async def test_a_token_for_some_pods_is_for_no_others(port: int, tenant: Tenant, database: DatabaseThreads) -> None:
    def issued(*pods: str) -> str:
        return pod_token_mint(name="cell", actor=SYSTEM, pods=pods).token

    async with a_pod(port, await database.run(issued, "eu-*", "us-*")) as other:
        assert await other.stream.code() is grpc.StatusCode.PERMISSION_DENIED
        assert other.order == []
    async with a_pod(port, await database.run(issued, "eu-*", "pod-*")) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))


async def test_an_outage_of_the_database_is_never_told_as_a_wrong_token(
    port: int, token: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))

    def away(_: str) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(joining, "pod_token_authenticate", away)
    async with a_pod(port, mint(KeyKind.POD).text) as stranger:
        assert await stranger.stream.code() is grpc.StatusCode.UNAVAILABLE
    async with a_pod(port, token) as known:
        await known.until(lambda: set(known.held) == all_shards(tenant))


@pytest.mark.parametrize(
    "first",
    [
        delivery_pb2.PodMessage(),
        delivery_pb2.PodMessage(status=delivery_pb2.Status()),
        delivery_pb2.PodMessage(hello=delivery_pb2.Hello(pod_id="x")),
        delivery_pb2.PodMessage(hello=delivery_pb2.Hello(x25519_public_key=b"k" * 32)),
        delivery_pb2.PodMessage(hello=delivery_pb2.Hello(pod_id="x" * 300, x25519_public_key=b"k" * 32)),
        delivery_pb2.PodMessage(hello=delivery_pb2.Hello(pod_id="x", x25519_public_key=b"\x00" * 32)),
    ],
)
async def test_a_first_message_that_is_no_proper_greeting_ends_the_stream(
    port: int, token: str, first: delivery_pb2.PodMessage
) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = delivery_pb2_grpc.SnapshotDeliveryStub(channel).Subscribe(
            metadata=(("authorization", f"Bearer {token}"),)
        )
        await stream.write(first)
        assert await stream.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_pod_that_answers_nothing_is_let_go(port: int, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "ACK_TIMEOUT_S", 0.3)
    async with a_pod(port, token, is_mute=True) as pod, asyncio.timeout(5):
        assert await pod.stream.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_beacon_names_all_heads(port: int, token: str, database: DatabaseThreads) -> None:
    async with a_pod(port, token) as pod:
        await pod.until(lambda: len(pod.beacons) == 1)
        beacon = pod.beacons[0]
        assert beacon.shards_sha256 == heads_digest(await database.run(shard_heads))
        assert (beacon.live_pods, abs(beacon.issued_at_ms - time.time() * 1000) < 5000) == (1, True)


async def test_health_is_told_without_a_token(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for service in ("", "switchyard_contract.v1.SnapshotDelivery", "switchyard_contract.v1.UsageIntake"):
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_taken_port_is_named(port: int) -> None:
    with pytest.raises(PortTaken, match="SWITCHYARD_GRPC_PORT"):
        async with serving(f"127.0.0.1:{port}"):
            pytest.fail("two servers on one port")


async def test_fifty_pods_hear_of_a_revocation_in_under_a_second(
    port: int, token: str, tenant: Tenant, database: DatabaseThreads
) -> None:
    key = (await database.run(a_key, tenant)).key
    shard = deny_shard(tenant.organization.id)
    async with asyncio.TaskGroup() as tasks:
        ready, revoked = asyncio.Barrier(51), asyncio.Event()
        begun: list[float] = []

        async def watch(number: int) -> float:
            async with a_pod(port, token, pod_id=f"pod-{number}") as pod:
                await pod.until(lambda: set(pod.held) == all_shards(tenant), timeout_s=30)
                await ready.wait()
                await pod.until(lambda: key.key_id in pod.denied(shard), timeout_s=10)
                await revoked.wait()
                return time.monotonic()

        watches = [tasks.create_task(watch(number)) for number in range(50)]
        await ready.wait()
        await database.run(key_revoke, key=key, reason="x", actor=tenant.actor)
        begun.append(time.monotonic())
        revoked.set()
    assert max(watch.result() for watch in watches) - begun[0] < 1.0


async def test_a_process_whose_tasks_broke_says_so(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    async with serving("127.0.0.1:0") as served, asyncio.timeout(5):
        monkeypatch.setattr("control_plane.fleet.feed.shard_heads", broken)
        with pytest.raises(ZeroDivisionError):
            await served.until_broken()


async def test_pods_are_served_on_while_the_database_is_away(
    port: int, token: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_pod(port, token) as pod:
        await pod.until(lambda: set(pod.held) == all_shards(tenant))

        def away() -> None:
            raise OperationalError("away")

        monkeypatch.setattr("control_plane.fleet.feed.open_denials_compile", away)
        async with a_pod(port, token, pod_id="pod-2") as late:
            await late.until(lambda: set(late.held) == all_shards(tenant))
        assert pod.stream.done() is False
