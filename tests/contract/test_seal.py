"""Seal and open: only what was signed for here is obeyed, bit by bit."""

from collections.abc import Callable
from hashlib import sha256

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard_contract import seal as seal_module
from switchyard_contract.revision import MIN_READER, REVISION
from switchyard_contract.seal import (
    BEACON_DOMAIN,
    MAX_PAYLOAD_BYTES,
    SNAPSHOT_DOMAIN,
    BadSignature,
    DigestMismatch,
    ReaderTooOld,
    Rollback,
    SealFailure,
    ShardVersion,
    SigningKey,
    TooLarge,
    UnknownSigningKey,
    Unreadable,
    VerifyKeys,
    WrongDeployment,
    WrongShard,
    open_beacon,
    open_sealed,
    seal,
    seal_beacon,
)
from switchyard_contract.v1 import delivery_pb2
from switchyard_contract.v1.snapshot_pb2 import SealedShard, SealHeader

KEY = SigningKey("2026-11", bytes(range(32)))
OTHER_KEY = SigningKey("2026-12", bytes(range(1, 33)))
KEYS = VerifyKeys({KEY.key_id: KEY.public_bytes})
DEPLOYMENT = "prod-eu"
SHARD = "org/0123456789abcdef0123456789abcdef/policy"
AT = ShardVersion(2, 41)
PAYLOAD = b"what a pod must know" * 50


def a_sealed(payload: bytes = PAYLOAD, *, at: ShardVersion = AT, key: SigningKey = KEY) -> SealedShard:
    return seal(payload, deployment=DEPLOYMENT, shard=SHARD, at=at, issued_at_ms=1_790_000_000_000, key=key)


def a_header(**changes: object) -> SealHeader:
    header = SealHeader.FromString(a_sealed().header)
    for name, value in changes.items():
        setattr(header, name, value)
    return header


def signed(header: SealHeader, payload: bytes | None = None, key: SigningKey = KEY) -> SealedShard:
    """Sign whatever header: what a control plane with a fault, or of another time, might send."""
    raw = header.SerializeToString()
    packed = a_sealed().payload if payload is None else payload
    return SealedShard(header=raw, signature=key.sign(raw), payload=packed)


def opened(sealed: SealedShard, *, held: ShardVersion | None = None, shard: str | None = SHARD) -> bytes:
    return open_sealed(sealed, deployment=DEPLOYMENT, keys=KEYS, shard=shard, held=held).payload


@given(st.binary(max_size=5000), st.integers(0, 2**63), st.integers(0, 2**63))
def test_what_was_sealed_opens_to_the_same_bytes(payload: bytes, epoch: int, version: int) -> None:
    found = open_sealed(a_sealed(payload, at=ShardVersion(epoch, version)), deployment=DEPLOYMENT, keys=KEYS)
    assert found.payload == payload
    assert (found.shard, found.at) == (SHARD, ShardVersion(epoch, version))
    assert found.issued_at_ms == 1_790_000_000_000


def test_the_header_binds_the_bytes_as_shipped() -> None:
    sealed = a_sealed()
    header = SealHeader.FromString(sealed.header)
    assert header.payload_sha256 == sha256(sealed.payload).digest()
    assert open_sealed(sealed, deployment=DEPLOYMENT, keys=KEYS).payload_sha256 == header.payload_sha256
    assert (header.domain, header.deployment, header.raw_size) == (SNAPSHOT_DOMAIN, DEPLOYMENT, len(PAYLOAD))
    assert (header.contract_revision, header.min_reader) == (REVISION, MIN_READER)
    assert header.signing_key_id == "2026-11"


@settings(max_examples=400)
@given(st.sampled_from(["header", "signature", "payload"]), st.data())
def test_one_flipped_bit_anywhere_is_refused(part: str, data: st.DataObject) -> None:
    sealed = a_sealed()
    raw = bytearray(getattr(sealed, part))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << (bit % 8)
    setattr(sealed, part, bytes(raw))
    with pytest.raises(SealFailure):
        open_sealed(sealed, deployment=DEPLOYMENT, keys=KEYS)


@given(st.sampled_from(["header", "signature", "payload"]), st.binary(max_size=200))
def test_any_other_bytes_in_a_part_are_refused(part: str, other: bytes) -> None:
    sealed = a_sealed()
    setattr(sealed, part, other)
    with pytest.raises(SealFailure):
        open_sealed(sealed, deployment=DEPLOYMENT, keys=KEYS)


def test_parts_of_two_seals_do_not_mix() -> None:
    one, two = a_sealed(b"one"), a_sealed(b"two")
    with pytest.raises(DigestMismatch):
        opened(SealedShard(header=one.header, signature=one.signature, payload=two.payload))
    with pytest.raises(BadSignature):
        opened(SealedShard(header=one.header, signature=two.signature, payload=one.payload))


REFUSALS: list[tuple[str, Callable[[], SealedShard], type[SealFailure], str]] = [
    ("another signer", lambda: a_sealed(key=OTHER_KEY), UnknownSigningKey, "UNKNOWN_SIGNING_KEY"),
    (
        "another signer under our key's name",
        lambda: a_sealed(key=SigningKey("2026-11", bytes(range(2, 34)))),
        BadSignature,
        "BAD_SIGNATURE",
    ),
    (
        "a signature for another purpose",
        lambda: signed(a_header(domain=BEACON_DOMAIN)),
        BadSignature,
        "BAD_SIGNATURE",
    ),
    (
        "another installation",
        lambda: signed(a_header(deployment="staging")),
        WrongDeployment,
        "WRONG_DEPLOYMENT",
    ),
    ("another organization", lambda: signed(a_header(shard="org/ff/policy")), WrongShard, "WRONG_SHARD"),
    ("a later contract", lambda: signed(a_header(min_reader=REVISION + 1)), ReaderTooOld, "READER_TOO_OLD"),
    (
        "too much inside",
        lambda: signed(a_header(raw_size=seal_module.MAX_RAW_BYTES + 1)),
        TooLarge,
        "TOO_LARGE",
    ),
    ("a wrong size", lambda: signed(a_header(raw_size=7)), DigestMismatch, "DIGEST_MISMATCH"),
    (
        "no zstd",
        lambda: signed(a_header(payload_sha256=sha256(b"plain").digest()), b"plain"),
        Unreadable,
        "UNREADABLE",
    ),
    ("no header", lambda: SealedShard(header=b"\xff\xff", signature=b"", payload=b""), Unreadable, "UNREADABLE"),
    ("nothing", SealedShard, UnknownSigningKey, "UNKNOWN_SIGNING_KEY"),
]


@pytest.mark.parametrize(("make", "failure", "code"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_each_refusal_has_its_own_name_and_code(
    make: Callable[[], SealedShard], failure: type[SealFailure], code: str
) -> None:
    with pytest.raises(SealFailure) as refused:
        opened(make())
    assert type(refused.value) is failure
    assert refused.value.code == delivery_pb2.NackCode.Value(f"NACK_CODE_{code}")


def test_a_payload_above_the_limit_is_refused_even_when_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = a_sealed()
    monkeypatch.setattr(seal_module, "MAX_PAYLOAD_BYTES", len(sealed.payload) - 1)
    with pytest.raises(TooLarge):
        opened(sealed)


def test_what_no_pod_would_take_is_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match="holds"):
        a_sealed(bytes(seal_module.MAX_RAW_BYTES + 1))
    monkeypatch.setattr(seal_module, "MAX_PAYLOAD_BYTES", 10)
    with pytest.raises(TooLarge, match="packs to"):
        a_sealed()
    assert MAX_PAYLOAD_BYTES < 16 * 1024 * 1024, "gRPC's message limit, with room for the header"


@pytest.mark.parametrize("offered", [ShardVersion(2, 40), ShardVersion(1, 99), ShardVersion(0, 0)])
def test_an_older_version_is_a_rollback(offered: ShardVersion) -> None:
    with pytest.raises(Rollback):
        opened(a_sealed(at=offered), held=AT)


@pytest.mark.parametrize("offered", [AT, ShardVersion(2, 42), ShardVersion(3, 1)])
def test_the_same_version_or_a_newer_one_is_taken(offered: ShardVersion) -> None:
    assert opened(a_sealed(at=offered), held=AT) == PAYLOAD


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_versions_are_ordered_by_epoch_first(epoch: int, version: int, other_epoch: int, other: int) -> None:
    one, two = ShardVersion(epoch, version), ShardVersion(other_epoch, other)
    assert one.is_before(two) == (epoch * 10 + version < other_epoch * 10 + other)


def test_both_keys_open_during_a_rotation() -> None:
    both = VerifyKeys({KEY.key_id: KEY.public_bytes, OTHER_KEY.key_id: OTHER_KEY.public_bytes})
    for key in (KEY, OTHER_KEY):
        assert open_sealed(a_sealed(key=key), deployment=DEPLOYMENT, keys=both).payload == PAYLOAD


def test_the_signature_is_checked_before_anything_else_is_believed() -> None:
    sealed = signed(a_header(deployment="staging", shard="other", raw_size=1 << 60), b"junk")
    sealed.signature = bytes(64)
    with pytest.raises(BadSignature):
        opened(sealed, held=ShardVersion(9, 9))


def test_the_private_key_never_shows_in_a_repr() -> None:
    assert repr(KEY) == "SigningKey(2026-11)"
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey("short", b"x")


def a_beacon(key: SigningKey = KEY, **changes: object) -> delivery_pb2.Beacon:
    body = delivery_pb2.BeaconBody(deployment=DEPLOYMENT, sequence=7, issued_at_ms=1, shards_sha256=bytes(32))
    for name, value in changes.items():
        setattr(body, name, value)
    return seal_beacon(body, key)


def test_a_beacon_opens_with_domain_and_key_filled_in() -> None:
    body = open_beacon(a_beacon(), deployment=DEPLOYMENT, keys=KEYS)
    assert (body.sequence, body.domain, body.signing_key_id) == (7, BEACON_DOMAIN, "2026-11")


@given(st.sampled_from(["body", "signature"]), st.data())
def test_one_flipped_bit_of_a_beacon_is_refused(part: str, data: st.DataObject) -> None:
    beacon = a_beacon()
    raw = bytearray(getattr(beacon, part))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << (bit % 8)
    setattr(beacon, part, bytes(raw))
    with pytest.raises(SealFailure):
        open_beacon(beacon, deployment=DEPLOYMENT, keys=KEYS)


def test_a_beacon_of_another_installation_or_signer_is_refused() -> None:
    with pytest.raises(WrongDeployment):
        open_beacon(a_beacon(deployment="staging"), deployment=DEPLOYMENT, keys=KEYS)
    with pytest.raises(UnknownSigningKey):
        open_beacon(a_beacon(OTHER_KEY), deployment=DEPLOYMENT, keys=KEYS)
    with pytest.raises(Unreadable):
        open_beacon(delivery_pb2.Beacon(body=b"\xff"), deployment=DEPLOYMENT, keys=KEYS)


def test_a_sealed_shard_is_no_beacon() -> None:
    """The domains differ inside the signed bytes, so that a signature made for one never serves as the other."""
    sealed = a_sealed()
    with pytest.raises(SealFailure):
        open_beacon(
            delivery_pb2.Beacon(body=sealed.header, signature=sealed.signature), deployment=DEPLOYMENT, keys=KEYS
        )


def test_the_payload_is_plain_zstd() -> None:
    assert zstandard.ZstdDecompressor().decompress(a_sealed().payload) == PAYLOAD
