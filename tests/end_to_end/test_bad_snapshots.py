"""A pod obeys only what it can verify; the fleet page says what it refuses and why, and a good version heals it.

Real shards of the running control plane are changed on their way to a real pod, in every way that has a name.
"""

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

import pytest
import zstandard

from switchyard_contract.seal import MAX_PAYLOAD_BYTES, SigningKey
from switchyard_contract.v1 import snapshot_pb2
from tests.end_to_end.console import Console
from tests.end_to_end.extra_pod import ExtraPod, extra_pod
from tests.end_to_end.stack import Stack, until
from tests.end_to_end.tampering_relay import TamperingRelay, tampering_relay

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

POD = "behind-a-liar"
_teams = count(1)


@dataclass(frozen=True, slots=True)
class Site:
    """A pod behind the relay. key: the real signing key, for what even an honest signature does not make good."""

    pod: ExtraPod
    relay: TamperingRelay
    key: SigningKey
    policy_shard: str


@pytest.fixture(scope="module")
def site(stack: Stack) -> Iterator[Site]:
    key_id, _, encoded = (stack.home / "secrets" / "signing-key").read_text().strip().partition(":")
    heads = {head["shard"] for head in stack.api("GET", "snapshots/heads")}
    (policy_shard,) = (shard for shard in heads if shard.endswith("/policy"))
    with (
        tampering_relay(stack.local["grpc_address"]) as relay,
        extra_pod(stack, POD, grpc_address=relay.address) as pod,
    ):
        until(lambda: policy_shard in pod.readiness()[1]["shards"], 10, "the pod got no policy")
        # Two versions have passed then, so that there is an older one to tell again.
        change_policy(stack)
        until(lambda: len(relay.passed.get(policy_shard, [])) >= 2, 10, "no second version came")
        yield Site(pod, relay, SigningKey(key_id, base64.b64decode(encoded)), policy_shard)


@pytest.fixture(scope="module")
def console(stack: Stack) -> Console:
    return Console(stack)


def change_policy(stack: Stack) -> None:
    stack.api("POST", "teams", {"name": f"made for a new version {next(_teams)}"})


def header_of(sealed: snapshot_pb2.SealedShard) -> snapshot_pb2.SealHeader:
    return snapshot_pb2.SealHeader.FromString(sealed.header)


def signed(header: snapshot_pb2.SealHeader, payload: bytes, key: SigningKey) -> snapshot_pb2.SealedShard:
    """Bind and sign, without the checks of the real sealing."""
    header.payload_sha256 = sha256(payload).digest()
    raw = header.SerializeToString()
    return snapshot_pb2.SealedShard(header=raw, signature=key.sign(raw), payload=payload)


def with_a_flipped_byte(payload: bytes) -> bytes:
    middle = len(payload) // 2
    return payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :]


def lies(site: Site, kind: str, sealed: snapshot_pb2.SealedShard) -> snapshot_pb2.SealedShard:
    """One way to go wrong."""
    header, payload = header_of(sealed), sealed.payload
    match kind:
        case "corrupted payload":
            return snapshot_pb2.SealedShard(
                header=sealed.header, signature=sealed.signature, payload=with_a_flipped_byte(payload)
            )
        case "flipped signature":
            return snapshot_pb2.SealedShard(
                header=sealed.header, signature=with_a_flipped_byte(sealed.signature), payload=payload
            )
        case "changed header":
            header.version += 1
            return snapshot_pb2.SealedShard(
                header=header.SerializeToString(), signature=sealed.signature, payload=payload
            )
        case "older version":
            return site.relay.passed[site.policy_shard][-3]
        case "unknown signing key":
            header.signing_key_id = "stranger-1"
            return signed(header, payload, SigningKey("stranger-1", os.urandom(32)))
        case "stranger under our name":
            return signed(header, payload, SigningKey(site.key.key_id, os.urandom(32)))
        case "other deployment":
            header.deployment = "somebody-elses"
            return signed(header, payload, site.key)
        case "oversized":
            return signed(header, os.urandom(MAX_PAYLOAD_BYTES + 1), site.key)
        case "no zstd":
            return signed(header, b"never compressed", site.key)
        case "newer readers only":
            header.min_reader = 1000
            return signed(header, payload, site.key)
        case "leads nowhere":
            policy = snapshot_pb2.PolicyShard.FromString(zstandard.ZstdDecompressor().decompress(payload))
            policy.virtual_models[0].targets[0].provider_id = "0" * 32
            raw = policy.SerializeToString()
            header.raw_size = len(raw)
            return signed(header, zstandard.ZstdCompressor().compress(raw), site.key)
        case _:
            raise ValueError(kind)


CASES = (
    ("corrupted payload", "DIGEST_MISMATCH", "not the one that was signed"),
    ("flipped signature", "BAD_SIGNATURE", "does not fit"),
    ("changed header", "BAD_SIGNATURE", "does not fit"),
    ("older version", "ROLLBACK", "is older than"),
    ("unknown signing key", "UNKNOWN_SIGNING_KEY", "'stranger-1' is not trusted here"),
    ("stranger under our name", "BAD_SIGNATURE", "does not fit"),
    ("other deployment", "WRONG_DEPLOYMENT", "somebody-elses"),
    ("oversized", "TOO_LARGE", f"{MAX_PAYLOAD_BYTES + 1} bytes packed"),
    ("no zstd", "UNREADABLE", "does not decompress"),
    ("newer readers only", "READER_TOO_OLD", "needs contract revision 1000"),
    ("leads nowhere", "INVALID", "refers to no provider"),
)


def shard_of(stack: Stack, shard: str) -> dict[str, object]:
    rows = stack.api("GET", f"pods/{POD}")["shards"]
    return next((row for row in rows if row["shard"] == shard), {})


def head_of(stack: Stack, shard: str) -> dict[str, object]:
    return next(head for head in stack.api("GET", "snapshots/heads") if head["shard"] == shard)


@pytest.mark.parametrize(("kind", "code", "detail"), CASES, ids=[kind.replace(" ", "-") for kind, _, _ in CASES])
def test_a_bad_snapshot_is_refused_by_name_and_the_pod_serves_on(
    stack: Stack, site: Site, console: Console, kind: str, code: str, detail: str
) -> None:
    pod, shard = site.pod, site.policy_shard
    running = pod.readiness()[1]["shards"][shard]
    assert pod.message(stack.virtual_key).headers["x-switchyard-policy-version"] == running
    made: list[snapshot_pb2.SealedShard] = []

    def change(sealed: snapshot_pb2.SealedShard) -> snapshot_pb2.SealedShard:
        made.append(lies(site, kind, sealed))
        return made[-1]

    with site.relay.changing(shard, change):
        change_policy(stack)
        row = until(
            lambda: found if (found := shard_of(stack, shard)).get("nack_code") else None, 10, "no refusal is recorded"
        )
        assert (row["nack_code"], detail in str(row["nack_detail"])) == (code, True), row
        offered = header_of(made[-1])
        assert row["nack_version"] == offered.version
        assert f"{row['acked_epoch']}.{row['acked_version']}" == running
        # What was in force stays in force.
        assert pod.readiness()[1]["shards"][shard] == running
        answer = pod.message(stack.virtual_key)
        assert (answer.status, answer.headers["x-switchyard-policy-version"]) == (200, running)
        assert pod.readiness()[0] == 200
        on_fleet_page = console.fleet_row(POD)
        for words in ("refuses policy", f"policy: {code}", detail, running):
            assert words in on_fleet_page, (words, on_fleet_page)
        on_pod_page = console.text(f"/fleet/{POD}")
        for words in (f"Refused policy {offered.epoch}.{offered.version}", code, detail, f"It keeps {running}"):
            assert words in on_pod_page, words
    change_policy(stack)
    until(lambda: shard_of(stack, shard).get("nack_code") == "", 10, "the next good version does not heal it")
    until(lambda: shard_of(stack, shard)["acked_version"] == head_of(stack, shard)["version"], 10, "not level")
    head = head_of(stack, shard)
    assert pod.readiness()[1]["shards"][shard] == f"{head['epoch']}.{head['version']}"
