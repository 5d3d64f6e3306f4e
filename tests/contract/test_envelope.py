"""Secrets at rest: they open for their owner, with their key, unchanged; never otherwise."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.envelope import (
    EnvelopeFailure,
    open_credential,
    open_key_material,
    seal_credential,
    seal_key_material,
)
from switchyard_contract.v1.delivery_pb2 import KeyEnvelope, KeyMaterial
from switchyard_contract.v1.snapshot_pb2 import SealedCredential

ORGANIZATION, PROVIDER = "0" * 32, "f" * 32
KEYS = {3: bytes(range(32))}
POD = X25519PrivateKey.from_private_bytes(bytes(range(32)))
MATERIAL = KeyMaterial(peppers={1: bytes(32)}, sealing_keys={3: bytes(range(32))})


def a_credential(secret: str = "sk-upstream") -> SealedCredential:
    return seal_credential(
        secret, organization_id=ORGANIZATION, provider_id=PROVIDER, version=5, key_version=3, key=KEYS[3]
    )


def opened(sealed: SealedCredential, organization: str = ORGANIZATION, provider: str = PROVIDER) -> str:
    return open_credential(sealed, organization_id=organization, provider_id=provider, keys=KEYS)


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


@given(st.text())
def test_a_credential_opens_to_what_was_sealed(secret: str) -> None:
    assert opened(a_credential(secret)) == secret


def test_the_same_secret_never_looks_the_same() -> None:
    assert a_credential().ciphertext != a_credential().ciphertext
    assert b"sk-upstream" not in a_credential().SerializeToString()


@given(st.sampled_from(["nonce", "ciphertext"]), st.data())
def test_one_flipped_bit_of_a_credential_is_refused(part: str, data: st.DataObject) -> None:
    sealed = a_credential()
    raw = getattr(sealed, part)
    setattr(sealed, part, flipped(raw, data.draw(st.integers(0, 8 * len(raw) - 1))))
    with pytest.raises(EnvelopeFailure):
        opened(sealed)


def test_a_credential_moved_to_another_owner_does_not_open() -> None:
    for organization, provider in ((PROVIDER, PROVIDER), (ORGANIZATION, ORGANIZATION), (PROVIDER, ORGANIZATION)):
        with pytest.raises(EnvelopeFailure, match="does not open"):
            opened(a_credential(), organization, provider)


def test_an_older_version_of_a_credential_cannot_pose_as_the_newer() -> None:
    sealed = a_credential()
    sealed.version += 1
    with pytest.raises(EnvelopeFailure):
        opened(sealed)


def test_a_sealing_key_that_is_not_held_is_named() -> None:
    sealed = a_credential()
    sealed.key_version = 9
    with pytest.raises(EnvelopeFailure, match="version 9 is not held"):
        opened(sealed)


@pytest.mark.parametrize("nonce", [b"", b"short"])
def test_a_malformed_nonce_is_a_refusal_like_any_other(nonce: bytes) -> None:
    sealed = a_credential()
    sealed.nonce = nonce
    with pytest.raises(EnvelopeFailure):
        opened(sealed)


def test_a_failure_never_repeats_the_secret() -> None:
    with pytest.raises(EnvelopeFailure) as failure:
        opened(a_credential(), PROVIDER)
    assert "sk-upstream" not in str(failure.value)


def test_key_material_opens_for_its_pod_only() -> None:
    envelope = seal_key_material(MATERIAL, POD.public_key().public_bytes_raw())
    assert open_key_material(envelope, POD) == MATERIAL
    with pytest.raises(EnvelopeFailure):
        open_key_material(envelope, X25519PrivateKey.generate())


@given(st.sampled_from(["nonce", "ciphertext", "ephemeral_public_key"]), st.data())
def test_one_flipped_bit_of_key_material_is_refused(part: str, data: st.DataObject) -> None:
    envelope = seal_key_material(MATERIAL, POD.public_key().public_bytes_raw())
    raw = getattr(envelope, part)
    setattr(envelope, part, flipped(raw, data.draw(st.integers(0, 8 * len(raw) - 1))))
    with pytest.raises(EnvelopeFailure):
        open_key_material(envelope, POD)


@pytest.mark.parametrize("public_key", [b"", b"x" * 31, bytes(32)])
def test_a_malformed_pod_key_is_refused(public_key: bytes) -> None:
    with pytest.raises(EnvelopeFailure):
        seal_key_material(MATERIAL, public_key)


def test_an_empty_envelope_is_refused() -> None:
    with pytest.raises(EnvelopeFailure):
        open_key_material(KeyEnvelope(), POD)
