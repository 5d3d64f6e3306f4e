"""The subscription against a real gRPC server that plays the control plane."""

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from switchyard_contract.seal import SigningKey
from switchyard_contract.v1 import delivery_pb2
from tests.data_plane.control_server import TOKEN
from tests.data_plane.snapshots.builders import (
    NOW_MS,
    PREFIX,
    STRANGER,
    a_keeper,
    a_shelf,
    deny_shard,
    key_shard,
    listing,
    sealed,
    whole_policy,
)
from tests.data_plane.snapshots.scripted_delivery import ScriptedDelivery, serving
from tests.data_plane.snapshots.subscribing import STANDING, subscribing
from tests.data_plane.usage.builders import until

KEYS = f"{PREFIX}/keys/0"
MATERIAL = delivery_pb2.KeyMaterial(peppers={1: b"p" * 32}, sealing_keys={1: b"s" * 32})


async def test_a_new_pod_gets_everything_acknowledges_it_and_says_who_it_is(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1, "key1"))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        assert pod.keeper.policy.is_complete
        assert pod.subscription.is_connected
    hello = delivery.hellos[0]
    assert (hello.pod_id, hello.software_version, hello.address, list(hello.have)) == (
        "pod-1",
        "1.2.3",
        "127.0.0.1:9100",
        [],
    )
    assert (len(hello.boot_id), len(hello.x25519_public_key)) == (16, 32)
    assert delivery.tokens == [f"Bearer {TOKEN}"]
    assert {(ack.shard, ack.epoch, ack.version) for ack in delivery.acks} == {
        (shard, 1, 1) for shard in ("global", KEYS, f"{PREFIX}/policy", f"{PREFIX}/deny")
    }
    assert len({ack.nonce for ack in delivery.acks}) == 4


async def test_a_bad_snapshot_is_nacked_with_its_code_and_the_old_one_serves_on(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(5, "kept"))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        torn = sealed(KEYS, key_shard("a"), 6)
        torn.payload = torn.payload[:-1]
        delivery.send_update(torn)
        delivery.send_update(sealed(KEYS, key_shard("a"), 4))
        delivery.send_update(sealed(KEYS, key_shard("a"), 6, key=STRANGER))
        delivery.send_update(sealed(KEYS, key_shard("a"), 6, deployment="other"))
        delivery.send_update(sealed(KEYS, key_shard("a", "a"), 6))
        await until(lambda: len(delivery.nacks) == 5)
        assert set(pod.keeper.policy.keys) == {"kept"}
        assert pod.subscription.rejected == 5
        delivery.send_update(sealed(KEYS, key_shard("good"), 6))
        await until(lambda: set(pod.keeper.policy.keys) == {"good"})
        assert pod.shelf.breadcrumbs.marked == {(KEYS, pod.keeper.version_of(KEYS))} | {
            mark for mark in pod.shelf.breadcrumbs.marked if mark[0] != KEYS
        }
    assert [delivery_pb2.NackCode.Name(nack.code) for nack in delivery.nacks] == [
        "NACK_CODE_DIGEST_MISMATCH",
        "NACK_CODE_ROLLBACK",
        "NACK_CODE_BAD_SIGNATURE",
        "NACK_CODE_WRONG_DEPLOYMENT",
        "NACK_CODE_INVALID",
    ]
    assert {(nack.shard, nack.running) for nack in delivery.nacks} == {(KEYS, 5)}
    assert "holds a key id twice" in delivery.nacks[-1].detail


async def test_a_snapshot_above_the_limit_is_refused_by_the_pod_and_the_stream_lives(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1, "kept"))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        giant = sealed(KEYS, key_shard("a"), 2)
        giant.payload = bytes(16 * 1024 * 1024)
        delivery.send_update(giant)
        await until(lambda: len(delivery.nacks) == 1)
        assert delivery.nacks[0].code == delivery_pb2.NACK_CODE_TOO_LARGE
        assert set(pod.keeper.policy.keys) == {"kept"}
    assert len(delivery.hellos) == 1


async def test_a_large_shard_is_taken_over_too(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    ids = [hashlib.sha256(str(number).encode()).hexdigest()[:12] for number in range(20_000)]
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        delivery.send_update(sealed(KEYS, key_shard(*ids), 2))
        await until(lambda: len(pod.keeper.policy.keys) == 20_000)


async def test_a_reconnect_resumes_from_what_is_held(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1, "a"))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        delivery.end_stream()
        await until(lambda: len(delivery.hellos) == 2)
        await until(lambda: not delivery.nacks and pod.keeper.policy.is_complete)
    assert {have.shard for have in delivery.hellos[1].have} == {KEYS, "global", f"{PREFIX}/policy", f"{PREFIX}/deny"}
    assert delivery.sent_at_hello == 4
    assert delivery.hellos[0].boot_id == delivery.hellos[1].boot_id
    assert delivery.hellos[0].x25519_public_key == delivery.hellos[1].x25519_public_key


async def test_a_restart_serves_from_the_shelf_and_resumes(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1, "a"))
    delivery.key_material = MATERIAL
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        await until(lambda: len(a_shelf(tmp_path).load()) == 4)
        await until(lambda: (tmp_path / "key-material").exists())
        delivery.send_beacon()
        await until(lambda: pod.keeper.freshness.age_ms is not None)
        first_boot = delivery.hellos[0].boot_id
    async with subscribing(tmp_path, "127.0.0.1:9") as alone:
        assert alone.keeper.policy.is_complete
        assert set(alone.keeper.policy.keys) == {"a"}
        assert alone.key_material == [MATERIAL]
        assert not alone.subscription.is_connected
    async with serving(delivery) as server, subscribing(tmp_path, server.address):
        await until(lambda: len(delivery.hellos) == 2)
    assert len(delivery.hellos[1].have) == 4
    assert delivery.hellos[1].boot_id != first_boot


async def test_key_material_sealed_to_another_pod_is_not_taken(tmp_path: Path) -> None:
    delivery = ScriptedDelivery()
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.hellos) == 1)
        envelope = delivery_pb2.KeyEnvelope(
            ephemeral_public_key=bytes(range(32)), nonce=bytes(12), ciphertext=b"x" * 40
        )
        delivery.send(delivery_pb2.ControlMessage(keys=envelope))
        delivery.send_update(sealed("global", listing()))
        await until(lambda: len(delivery.acks) == 1)
        assert pod.key_material == []


async def test_beacons_make_the_policy_fresh_unless_forged_or_replayed(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        delivery.send_beacon(key=STRANGER)
        delivery.send_beacon(key=SigningKey("k9", bytes(32)))
        lines = sorted(f"{have.shard} {have.epoch} {have.version}\n" for have in pod.keeper.have())
        heads = hashlib.sha256("".join(lines).encode()).digest()
        delivery.send_beacon(NOW_MS, heads=heads)
        await until(lambda: pod.keeper.freshness.age_ms == 0)
        assert pod.subscription.live_pods == 3
        assert pod.keeper.heads_match is True
        pod.clock.now_ms += 60_000
        delivery.send_beacon(NOW_MS)
        delivery.send_update(sealed(KEYS, key_shard("later"), 2))
        await until(lambda: set(pod.keeper.policy.keys) == {"later"})
        assert pod.keeper.freshness.age_ms == 60_000
        delivery.send_beacon(NOW_MS + 60_000)
        await until(lambda: pod.keeper.freshness.age_ms == 0)
        assert pod.keeper.heads_match is False


async def test_status_tells_how_the_pod_is(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    async with serving(delivery) as server, subscribing(tmp_path, server.address, status_interval_s=0.05):
        await until(lambda: len(delivery.statuses) >= 2 and len(delivery.statuses[-1].have) == 4)
    status = delivery.statuses[-1]
    assert (status.in_flight, status.spool_records, status.spool_bytes, status.loop_lag_ms) == (2, 3, 4, 5)
    assert (status.counters_reachable, status.draining) == (True, False)
    assert list(status.degraded) == list(STANDING.degraded)


async def test_a_pod_can_tell_at_once_how_it_is(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    async with serving(delivery) as server, subscribing(tmp_path, server.address, status_interval_s=3600) as pod:
        await until(lambda: len(delivery.acks) == 4)
        assert delivery.statuses == []
        await pod.subscription.tell(limit_s=5)
        await until(lambda: len(delivery.statuses) == 1)


async def test_a_shard_that_is_still_listed_is_not_forgotten(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1, "a"))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        delivery.send_forget(KEYS)
        delivery.send_update(sealed("global", listing(), 2))
        await until(lambda: len(delivery.acks) == 5)
        assert pod.keeper.version_of(KEYS) is not None
        delivery.send_forget(KEYS)
        await until(lambda: pod.keeper.version_of(KEYS) is None)
        await until(lambda: KEYS not in a_shelf(tmp_path).load())


async def test_a_silent_control_plane_is_left_for_another_stream(tmp_path: Path) -> None:
    delivery = ScriptedDelivery()
    async with serving(delivery) as server, subscribing(tmp_path, server.address, silence_s=0.4):
        await until(lambda: len(delivery.hellos) >= 3)


async def test_addresses_are_tried_in_turn(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    async with serving(delivery) as server, subscribing(tmp_path, "127.0.0.1:9", server.address):
        await until(lambda: len(delivery.acks) == 4)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE])
async def test_a_refused_pod_tries_again(tmp_path: Path, code: grpc.StatusCode) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    delivery.refuses_with = code
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.tokens) >= 2)
        assert not pod.subscription.is_connected
        delivery.refuses_with = None
        await until(lambda: len(delivery.acks) == 4)


async def test_a_revocation_reaches_the_policy_and_the_listeners(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1, "a"))
    async with serving(delivery) as server, subscribing(tmp_path, server.address) as pod:
        await until(lambda: len(delivery.acks) == 4)
        heard: list[frozenset[str]] = []
        pod.keeper.on_denied(lambda denied: heard.append(denied.cut_key_ids))
        delivery.send_update(sealed(f"{PREFIX}/deny", deny_shard(("a", True)), 2))
        await until(lambda: len(delivery.acks) == 5)
        assert heard == [frozenset({"a"})]


async def test_a_mark_goes_when_the_pod_has_lived_on(tmp_path: Path) -> None:
    delivery = ScriptedDelivery(whole_policy(1))
    async with serving(delivery) as server, subscribing(tmp_path, server.address, healthy_after_s=0.1) as pod:
        await until(lambda: len(delivery.acks) == 4)
        await until(lambda: pod.shelf.breadcrumbs.marked == frozenset())


async def test_a_version_that_kills_the_process_twice_is_quarantined_and_the_one_before_serves(tmp_path: Path) -> None:
    """The real thing: a process that ends, without a word, inside the reader."""
    delivery = ScriptedDelivery([*whole_policy(1, "good"), sealed(KEYS, key_shard("poison"), 2)])
    script = Path(__file__).parent / "poisoned_pod.py"
    endings: list[tuple[int, object]] = []
    async with serving(delivery) as server:
        for _ in range(3):
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(script), str(tmp_path), server.address, stdout=subprocess.PIPE
            )
            said, _ = await asyncio.wait_for(process.communicate(), 60)
            last = said.splitlines()[-1:] if process.returncode == 0 else []
            endings.append((process.returncode or 0, json.loads(last[0]) if last else None))
    assert endings == [(42, None), (42, None), (0, {"keys": ["good"], "rejected": 1})]
    assert [nack.code for nack in delivery.nacks] == [delivery_pb2.NACK_CODE_CRASHED]
    assert (delivery.nacks[0].offered, delivery.nacks[0].running) == (2, 1)


def test_the_empty_policy_is_pending_and_not_an_error() -> None:
    assert not a_keeper().is_ready
