"""Seal and open: what the control plane signs is what a pod obeys.

The signature covers the exact header bytes; the header binds the payload by SHA-256. Protobuf bytes are not canonical,
so nothing is ever serialised a second time to be checked. The algorithm (Ed25519) is a detail callers may not lean on.

Failures, all `SealFailure`, each with the code a pod answers with:

    BadSignature  UnknownSigningKey  WrongDeployment  WrongShard  Rollback
    DigestMismatch  TooLarge  Unreadable  ReaderTooOld
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError

from switchyard_contract.revision import MIN_READER, REVISION
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2

SNAPSHOT_DOMAIN = "switchyard/snapshot/v1"
BEACON_DOMAIN = "switchyard/beacon/v1"
MAX_PAYLOAD_BYTES = 15 * 1024 * 1024
MAX_RAW_BYTES = 64 * 1024 * 1024


class SealFailure(Exception):
    """What was offered is not obeyed."""

    code = delivery_pb2.NACK_CODE_UNSPECIFIED


class BadSignature(SealFailure):
    code = delivery_pb2.NACK_CODE_BAD_SIGNATURE


class UnknownSigningKey(SealFailure):
    code = delivery_pb2.NACK_CODE_UNKNOWN_SIGNING_KEY


class WrongDeployment(SealFailure):
    code = delivery_pb2.NACK_CODE_WRONG_DEPLOYMENT


class WrongShard(SealFailure):
    code = delivery_pb2.NACK_CODE_WRONG_SHARD


class Rollback(SealFailure):
    code = delivery_pb2.NACK_CODE_ROLLBACK


class DigestMismatch(SealFailure):
    code = delivery_pb2.NACK_CODE_DIGEST_MISMATCH


class TooLarge(SealFailure):
    code = delivery_pb2.NACK_CODE_TOO_LARGE


class Unreadable(SealFailure):
    code = delivery_pb2.NACK_CODE_UNREADABLE


class ReaderTooOld(SealFailure):
    code = delivery_pb2.NACK_CODE_READER_TOO_OLD


@dataclass(frozen=True, slots=True)
class ShardVersion:
    """Where a shard stands. Ordered by epoch, then version."""

    epoch: int
    version: int

    def is_before(self, other: "ShardVersion") -> bool:
        return (self.epoch, self.version) < (other.epoch, other.version)


@dataclass(frozen=True, slots=True)
class OpenedShard:
    """A verified shard: what the header says, and the raw payload bytes."""

    shard: str
    at: ShardVersion
    issued_at_ms: int
    payload_sha256: bytes
    payload: bytes


class SigningKey:
    """The control plane's half. Its bytes never show in a repr."""

    def __init__(self, key_id: str, private_bytes: bytes) -> None:
        self.key_id = key_id
        self._private = Ed25519PrivateKey.from_private_bytes(private_bytes)

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    @property
    def public_bytes(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


class VerifyKeys:
    """The pod's half: key id to public key. Two may be valid at once, for rotation."""

    def __init__(self, public_keys: Mapping[str, bytes]) -> None:
        self._keys = {key_id: Ed25519PublicKey.from_public_bytes(raw) for key_id, raw in public_keys.items()}

    def verify(self, key_id: str, message: bytes, signature: bytes) -> None:
        """Raise UnknownSigningKey or BadSignature unless the message was signed by that key."""
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownSigningKey(f"signing key {key_id!r} is not trusted here")
        try:
            key.verify(signature, message)
        except InvalidSignature as failure:
            raise BadSignature(f"the signature by {key_id!r} does not fit") from failure


def seal(
    payload: bytes,
    *,
    deployment: str,
    shard: str,
    at: ShardVersion,
    issued_at_ms: int,
    key: SigningKey,
    min_reader: int = MIN_READER,
) -> snapshot_pb2.SealedShard:
    """Compress, bind and sign a payload. Raises TooLarge instead of making what no pod would take.

    min_reader: the oldest contract revision that does right with this payload.
    """
    if len(payload) > MAX_RAW_BYTES:
        raise TooLarge(f"{shard} holds {len(payload)} bytes, the limit is {MAX_RAW_BYTES}")
    packed = zstandard.ZstdCompressor(level=3).compress(payload)
    if len(packed) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"{shard} packs to {len(packed)} bytes, the limit is {MAX_PAYLOAD_BYTES}")
    header = snapshot_pb2.SealHeader(
        domain=SNAPSHOT_DOMAIN,
        deployment=deployment,
        shard=shard,
        epoch=at.epoch,
        version=at.version,
        payload_sha256=sha256(packed).digest(),
        raw_size=len(payload),
        issued_at_ms=issued_at_ms,
        contract_revision=REVISION,
        min_reader=min_reader,
        signing_key_id=key.key_id,
    ).SerializeToString()
    return snapshot_pb2.SealedShard(header=header, signature=key.sign(header), payload=packed)


def open_sealed(
    sealed: snapshot_pb2.SealedShard,
    *,
    deployment: str,
    keys: VerifyKeys,
    shard: str | None = None,
    held: ShardVersion | None = None,
) -> OpenedShard:
    """Verify a sealed shard and give back its payload.

    shard: the one expected, where the caller knows. held: the version in force; an older one is a Rollback, the same
    one is accepted (a shelf is read with what it holds).
    Raises the SealFailure that says what is wrong; the signature is checked before anything else is believed.
    """
    header = _read_header(sealed.header)
    keys.verify(header.signing_key_id, sealed.header, sealed.signature)
    if header.domain != SNAPSHOT_DOMAIN:
        raise BadSignature(f"signed for {header.domain!r}, not for {SNAPSHOT_DOMAIN!r}")
    if header.deployment != deployment:
        raise WrongDeployment(f"made for deployment {header.deployment!r}, this is {deployment!r}")
    if shard is not None and header.shard != shard:
        raise WrongShard(f"is shard {header.shard!r}, expected {shard!r}")
    if header.min_reader > REVISION:
        raise ReaderTooOld(f"needs contract revision {header.min_reader}, this reader has {REVISION}")
    at = ShardVersion(header.epoch, header.version)
    if held is not None and at.is_before(held):
        raise Rollback(f"{header.shard} {at.epoch}.{at.version} is older than {held.epoch}.{held.version}")
    if len(sealed.payload) > MAX_PAYLOAD_BYTES or header.raw_size > MAX_RAW_BYTES:
        raise TooLarge(f"{header.shard}: {len(sealed.payload)} bytes packed, {header.raw_size} raw")
    packed_sha256 = sha256(sealed.payload).digest()
    if packed_sha256 != header.payload_sha256:
        raise DigestMismatch(f"{header.shard}: the payload is not the one that was signed")
    return OpenedShard(header.shard, at, header.issued_at_ms, packed_sha256, _unpack(sealed.payload, header))


def seal_beacon(body: delivery_pb2.BeaconBody, key: SigningKey) -> delivery_pb2.Beacon:
    """Sign a sign of life; domain and signing key id are filled in here."""
    stamped = delivery_pb2.BeaconBody()
    stamped.CopyFrom(body)
    stamped.domain = BEACON_DOMAIN
    stamped.signing_key_id = key.key_id
    raw = stamped.SerializeToString()
    return delivery_pb2.Beacon(body=raw, signature=key.sign(raw))


def open_beacon(beacon: delivery_pb2.Beacon, *, deployment: str, keys: VerifyKeys) -> delivery_pb2.BeaconBody:
    """Verify a beacon; raises SealFailure like open_sealed."""
    body = delivery_pb2.BeaconBody()
    try:
        body.ParseFromString(beacon.body)
    except DecodeError as failure:
        raise Unreadable("the beacon does not parse") from failure
    keys.verify(body.signing_key_id, beacon.body, beacon.signature)
    if body.domain != BEACON_DOMAIN:
        raise BadSignature(f"signed for {body.domain!r}, not for {BEACON_DOMAIN!r}")
    if body.deployment != deployment:
        raise WrongDeployment(f"made for deployment {body.deployment!r}, this is {deployment!r}")
    return body


def _read_header(raw: bytes) -> snapshot_pb2.SealHeader:
    header = snapshot_pb2.SealHeader()
    try:
        header.ParseFromString(raw)
    except DecodeError as failure:
        raise Unreadable("the header does not parse") from failure
    return header


def _unpack(packed: bytes, header: snapshot_pb2.SealHeader) -> bytes:
    try:
        raw = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_RAW_BYTES)
    except zstandard.ZstdError as failure:
        raise Unreadable(f"{header.shard}: the payload does not decompress") from failure
    if len(raw) != header.raw_size:
        raise DigestMismatch(f"{header.shard}: {len(raw)} bytes, the header says {header.raw_size}")
    return raw
