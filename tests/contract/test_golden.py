"""Bytes of earlier revisions still parse, and still mean what they meant."""

import json
from pathlib import Path

import pytest
from google.protobuf.message import Message

from switchyard_contract.revision import MIN_READER, REVISION
from switchyard_contract.seal import ShardVersion, VerifyKeys, open_beacon, open_sealed
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2, usage_pb2
from tests.contract.golden_messages import DEPLOYMENT, GOLDEN, KEY, PAYLOAD, meaning, messages

TYPES: dict[str, type[Message]] = {
    "sealed": snapshot_pb2.SealedShard,
    "sealed_beacon": delivery_pb2.Beacon,
    "key_material": delivery_pb2.KeyMaterial,
    "GlobalShard": snapshot_pb2.GlobalShard,
    "PolicyShard": snapshot_pb2.PolicyShard,
    "KeyShard": snapshot_pb2.KeyShard,
    "DenyShard": snapshot_pb2.DenyShard,
    "SealHeader": snapshot_pb2.SealHeader,
    "UsageBatch": usage_pb2.UsageBatch,
    "UsageReceipt": usage_pb2.UsageReceipt,
    "BeaconBody": delivery_pb2.BeaconBody,
    "PodMessage": delivery_pb2.PodMessage,
    "ControlMessage": delivery_pb2.ControlMessage,
}
FILES = sorted(GOLDEN.glob("revision-*/*.bin"))
KEYS = VerifyKeys({KEY.key_id: KEY.public_bytes})
REVISIONS = sorted(GOLDEN.glob("revision-*"))


def parsed(path: Path) -> Message:
    return TYPES[path.name.partition(".")[0]].FromString(path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_bytes_still_mean_the_same(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert meaning(parsed(path)) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_bytes_survive_being_passed_on(path: Path) -> None:
    """A field that this revision no longer knows would be kept as an unknown one, not lost."""
    assert parsed(path).SerializeToString(deterministic=True) == path.read_bytes()


def test_the_present_revision_has_golden_bytes_of_every_message() -> None:
    kept = {path.stem for path in FILES if path.parent.name == f"revision-{REVISION}"}
    assert kept == set(messages())
    assert MIN_READER <= REVISION


@pytest.mark.parametrize("folder", REVISIONS, ids=lambda path: path.name)
def test_a_shard_sealed_by_an_earlier_revision_still_opens(folder: Path) -> None:
    sealed = snapshot_pb2.SealedShard.FromString((folder / "sealed.bin").read_bytes())
    found = open_sealed(sealed, deployment=DEPLOYMENT, keys=KEYS, shard="global", held=ShardVersion(3, 41))
    assert (found.payload, found.at, found.issued_at_ms) == (PAYLOAD, ShardVersion(3, 41), 1_790_000_000_000)


@pytest.mark.parametrize("folder", REVISIONS, ids=lambda path: path.name)
def test_a_beacon_of_an_earlier_revision_still_opens(folder: Path) -> None:
    beacon = delivery_pb2.Beacon.FromString((folder / "sealed_beacon.bin").read_bytes())
    assert open_beacon(beacon, deployment=DEPLOYMENT, keys=KEYS).sequence == 7
