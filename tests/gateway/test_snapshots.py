"""What a pod does with snapshots it must not obey, and with revocations, on a pod that is serving."""

import time
from collections.abc import Iterator
from hashlib import sha256

import pytest
import redis

from data_plane.counters.tombstones import CHANNEL, VERSION_KEY, set_key
from data_plane.protocols.catalog import CODECS
from switchyard_contract.seal import MAX_PAYLOAD_BYTES, ShardVersion, SigningKey, seal
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2, usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.fakes.installation import DEPLOYMENT
from tests.gateway.asks import ANTHROPIC, DIALECTS, Dialect
from tests.gateway.conftest import Fleet
from tests.promises import within

BODY = ANTHROPIC.body("claude-sonnet-4-6", streams=False)


def next_of(fleet: Fleet, part: str) -> ShardVersion:
    at = fleet.control.version_of(part)
    return ShardVersion(at.epoch, at.version + 1)


def corrupted(fleet: Fleet) -> snapshot_pb2.SealedShard:
    sealed = good(fleet)
    sealed.payload = sealed.payload[:-1] + bytes([sealed.payload[-1] ^ 1])
    return sealed


def good(fleet: Fleet) -> snapshot_pb2.SealedShard:
    installation = fleet.control.installation
    return installation.seal(installation.shard("policy"), installation.payload("policy"), next_of(fleet, "policy"))


def forged(fleet: Fleet) -> snapshot_pb2.SealedShard:
    installation = fleet.control.installation
    liar = SigningKey(installation.signing_key.key_id, b"\x01" * 32)
    shard = installation.shard("policy")
    return installation.seal(shard, installation.payload("policy"), next_of(fleet, "policy"), key=liar)


def of_another_signer(fleet: Fleet) -> snapshot_pb2.SealedShard:
    installation = fleet.control.installation
    shard = installation.shard("policy")
    stranger = SigningKey("stranger", b"\x02" * 32)
    return installation.seal(shard, installation.payload("policy"), next_of(fleet, "policy"), key=stranger)


def tampered_header(fleet: Fleet) -> snapshot_pb2.SealedShard:
    sealed = good(fleet)
    header = snapshot_pb2.SealHeader.FromString(sealed.header)
    header.version += 1
    sealed.header = header.SerializeToString()
    return sealed


def older(fleet: Fleet) -> snapshot_pb2.SealedShard:
    installation = fleet.control.installation
    return installation.seal(installation.shard("keys/0"), snapshot_pb2.KeyShard(), ShardVersion(1, 1))


def of_another_deployment(fleet: Fleet) -> snapshot_pb2.SealedShard:
    installation = fleet.control.installation
    return seal(
        installation.payload("policy").SerializeToString(),
        deployment="somewhere-else",
        shard=installation.shard("policy"),
        at=next_of(fleet, "policy"),
        issued_at_ms=time.time_ns() // 1_000_000,
        key=installation.signing_key,
    )


def oversized(fleet: Fleet) -> snapshot_pb2.SealedShard:
    """Signed and bound as it should be, and larger than anything a pod takes."""
    installation = fleet.control.installation
    payload = b"x" * (MAX_PAYLOAD_BYTES + 1)
    header = snapshot_pb2.SealHeader.FromString(good(fleet).header)
    header.payload_sha256 = sha256(payload).digest()
    raw = header.SerializeToString()
    return snapshot_pb2.SealedShard(header=raw, signature=installation.signing_key.sign(raw), payload=payload)


def too_large_inside(fleet: Fleet) -> snapshot_pb2.SealedShard:
    sealed = good(fleet)
    header = snapshot_pb2.SealHeader.FromString(sealed.header)
    header.raw_size = 1 << 40
    raw = header.SerializeToString()
    signature = fleet.control.installation.signing_key.sign(raw)
    return snapshot_pb2.SealedShard(header=raw, signature=signature, payload=sealed.payload)


def dangling(fleet: Fleet) -> snapshot_pb2.SealedShard:
    """A virtual model whose target is nowhere."""
    installation = fleet.control.installation
    payload = installation.payload("policy")
    assert isinstance(payload, snapshot_pb2.PolicyShard)
    payload.virtual_models.add(name="broken").targets.add(provider_id="0" * 32, model="x")
    return installation.seal(installation.shard("policy"), payload, next_of(fleet, "policy"))


def unreadable(fleet: Fleet) -> snapshot_pb2.SealedShard:
    installation = fleet.control.installation
    return seal(
        b"\xff\xff this parses as nothing",
        deployment=DEPLOYMENT,
        shard=installation.shard("policy"),
        at=next_of(fleet, "policy"),
        issued_at_ms=0,
        key=installation.signing_key,
    )


@pytest.mark.parametrize(
    ("make", "codes"),
    [
        (corrupted, {delivery_pb2.NACK_CODE_DIGEST_MISMATCH}),
        (forged, {delivery_pb2.NACK_CODE_BAD_SIGNATURE}),
        (of_another_signer, {delivery_pb2.NACK_CODE_UNKNOWN_SIGNING_KEY}),
        (tampered_header, {delivery_pb2.NACK_CODE_BAD_SIGNATURE}),
        (older, {delivery_pb2.NACK_CODE_ROLLBACK}),
        (of_another_deployment, {delivery_pb2.NACK_CODE_WRONG_DEPLOYMENT}),
        (oversized, {delivery_pb2.NACK_CODE_TOO_LARGE}),
        (too_large_inside, {delivery_pb2.NACK_CODE_TOO_LARGE}),
        (dangling, {delivery_pb2.NACK_CODE_INVALID}),
        (unreadable, {delivery_pb2.NACK_CODE_INVALID, delivery_pb2.NACK_CODE_UNREADABLE}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_snapshot_that_is_not_right_is_refused_and_the_old_one_stays(
    fleet: Fleet, key: KeyToken, make: object, codes: set[int]
) -> None:
    before = fleet.pod.metric("switchyard_snapshots_rejected")
    held = fleet.pod.call("GET", "/readyz").json["shards"]
    assert callable(make)
    (answer,) = fleet.control.offer(make(fleet))
    assert isinstance(answer, delivery_pb2.Nack)
    assert answer.code in codes, answer
    assert answer.detail
    assert answer.running > 0
    assert fleet.pod.metric("switchyard_snapshots_rejected") == before + 1
    assert fleet.pod.call("GET", "/readyz").json["shards"] == held
    assert fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), BODY).status == 200


def test_a_new_policy_holds_for_what_comes_and_not_for_what_runs(fleet: Fleet, key: KeyToken, marker: str) -> None:
    headers = ANTHROPIC.headers(key, x_sim_marker=marker, x_sim_behaviour="sim-text-40-delay10")
    aliases = fleet.control.installation.books.aliases
    with fleet.pod.open("POST", "/v1/messages", headers, ANTHROPIC.body("house-model", streams=True)) as stream:
        stream.read_events(3)
        fleet.control.installation.change(aliases={**aliases, "house-model": ("anthropic-main", "claude-opus-5-5")})
        fleet.control.publish("policy")
        try:
            fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), ANTHROPIC.body("house-model", streams=False))
            answer = stream.rest()
        finally:
            fleet.control.installation.change(aliases=aliases)
            fleet.control.publish("policy")
    assert not answer.is_cut
    rows = fleet.control.rows_of(key, 2)
    assert sorted(row.model for row in rows) == ["claude-opus-5-5", "claude-sonnet-4-6"]
    assert len({row.policy_version for row in rows}) == 2


# Revocations.


@pytest.fixture
def counters(fleet: Fleet) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(fleet.counters_url, decode_responses=True)
    yield client
    client.close()


def time_until_refused(fleet: Fleet, key: KeyToken) -> float:
    """Ask without a pause until the key is told to be revoked; seconds since the call."""
    began_s = time.monotonic()
    while (took_s := time.monotonic() - began_s) < 5:
        answer = fleet.pod.call("GET", "/v1/models", [("x-api-key", key.text), ("anthropic-version", "1")])
        if answer.status == 401:
            assert "revoked" in answer.text
            return took_s
        assert answer.status == 200
    raise AssertionError("the key was never refused")


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_revoked_key_is_refused_and_its_stream_ends_with_the_protocol_s_error(
    fleet: Fleet, key: KeyToken, dialect: Dialect
) -> None:
    headers = dialect.headers(key, x_sim_behaviour="sim-text-500-delay20")
    target, body = dialect.target(dialect.model, streams=True), dialect.body(dialect.model, streams=True)
    with fleet.pod.open("POST", target, headers, body) as stream:
        stream.read_events(12)
        fleet.control.installation.revoke(key)
        began_s = time.monotonic()
        fleet.control.publish("deny")
        assert time_until_refused(fleet, key) < 1
        answer = stream.rest()
        assert time.monotonic() - began_s < within(2)
    # Responses has an event that ends a failed stream, and Codex reads it there.
    assert answer.is_cut == (not CODECS[dialect.name].has_failed_end)
    assert dialect.failure in answer.body
    assert b"revoked while the answer was running" in answer.body
    row = fleet.control.rows_of(key)[0]
    assert (row.reason, row.kind, row.outcome) == (
        "key_revoked",
        usage_pb2.USAGE_KIND_COUNTED,
        usage_pb2.OUTCOME_FAILED,
    )
    assert row.tokens.output > 0


def test_a_revocation_may_spare_what_runs(fleet: Fleet, key: KeyToken) -> None:
    headers = ANTHROPIC.headers(key, x_sim_behaviour="sim-text-40-delay10")
    with fleet.pod.open("POST", "/v1/messages", headers, ANTHROPIC.body(ANTHROPIC.model, streams=True)) as stream:
        stream.read_events(3)
        fleet.control.installation.revoke(key, cut=False)
        fleet.control.publish("deny")
        assert time_until_refused(fleet, key) < 1
        assert not stream.rest().is_cut


@pytest.mark.parametrize("announces", [True, False], ids=["announced", "only-in-the-set"])
def test_a_tombstone_alone_is_enough(fleet: Fleet, key: KeyToken, counters: "redis.Redis", announces: bool) -> None:
    organization = fleet.control.installation.organization_id
    headers = ANTHROPIC.headers(key, x_sim_behaviour="sim-text-500-delay20")
    with fleet.pod.open("POST", "/v1/messages", headers, ANTHROPIC.body(ANTHROPIC.model, streams=True)) as stream:
        stream.read_events(5)
        counters.sadd(set_key(organization), key.id)
        counters.incr(VERSION_KEY)
        if announces:
            counters.publish(CHANNEL, f"{organization} {key.id} 1")
        assert time_until_refused(fleet, key) < 1
        began_s = time.monotonic()
        answer = stream.rest()
        assert time.monotonic() - began_s < within(5)
    assert answer.is_cut
    assert ANTHROPIC.failure in answer.body


def test_a_deactivated_person_s_keys_end_at_once(fleet: Fleet, key: KeyToken) -> None:
    installation = fleet.control.installation
    installation.denied_principals.append(installation.user_id)
    fleet.control.publish("deny")
    try:
        answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), BODY)
        assert answer.status == 401
        assert "deactivated" in answer.text
        assert "gateway-team@example.com" in answer.text
    finally:
        installation.denied_principals.clear()
        fleet.control.publish("deny")
    assert fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), BODY).status == 200
