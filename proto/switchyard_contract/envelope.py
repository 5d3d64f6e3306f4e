"""Secrets at rest and on their way to pods: AES-256-GCM, bound to their owner.

Two uses: a provider's credential in a snapshot (bound to organization, provider and version, so that a swapped
ciphertext does not open), and the deployment's key material sealed to one pod's X25519 key.

Failure: `EnvelopeFailure`.
"""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switchyard_contract.v1 import delivery_pb2, snapshot_pb2

POD_INFO = b"switchyard/pod-key-material/v1"


class EnvelopeFailure(Exception):
    """The ciphertext is not what was sealed for this owner with this key."""


def seal_credential(
    secret: str, *, organization_id: str, provider_id: str, version: int, key_version: int, key: bytes
) -> snapshot_pb2.SealedCredential:
    """Seal a provider's credential under the sealing key of that version."""
    nonce = os.urandom(12)
    aad = _aad(organization_id, provider_id, version)
    ciphertext = AESGCM(key).encrypt(nonce, secret.encode(), aad)
    return snapshot_pb2.SealedCredential(key_version=key_version, nonce=nonce, ciphertext=ciphertext, version=version)


def open_credential(
    sealed: snapshot_pb2.SealedCredential, *, organization_id: str, provider_id: str, keys: Mapping[int, bytes]
) -> str:
    """Open a credential; raises EnvelopeFailure when the key is missing or the owner is another."""
    key = keys.get(sealed.key_version)
    if key is None:
        raise EnvelopeFailure(f"sealing key version {sealed.key_version} is not held here")
    try:
        aad = _aad(organization_id, provider_id, sealed.version)
        return AESGCM(key).decrypt(sealed.nonce, sealed.ciphertext, aad).decode()
    except (InvalidTag, ValueError) as failure:
        raise EnvelopeFailure(f"the credential of provider {provider_id} does not open") from failure


def seal_key_material(material: delivery_pb2.KeyMaterial, pod_public_key: bytes) -> delivery_pb2.KeyEnvelope:
    """Seal the deployment's secrets to one pod; raises EnvelopeFailure when its public key is malformed."""
    ephemeral = X25519PrivateKey.generate()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(pod_public_key))
    except ValueError as failure:
        raise EnvelopeFailure("the pod's public key is malformed") from failure
    public = ephemeral.public_key().public_bytes_raw()
    nonce = os.urandom(12)
    text = AESGCM(_derive(shared, public, pod_public_key)).encrypt(nonce, material.SerializeToString(), POD_INFO)
    return delivery_pb2.KeyEnvelope(ephemeral_public_key=public, nonce=nonce, ciphertext=text)


def open_key_material(
    envelope: delivery_pb2.KeyEnvelope, pod_private_key: X25519PrivateKey
) -> delivery_pb2.KeyMaterial:
    """Open what was sealed to this pod; raises EnvelopeFailure."""
    own_public = pod_private_key.public_key().public_bytes_raw()
    try:
        shared = pod_private_key.exchange(X25519PublicKey.from_public_bytes(envelope.ephemeral_public_key))
        key = _derive(shared, envelope.ephemeral_public_key, own_public)
        raw = AESGCM(key).decrypt(envelope.nonce, envelope.ciphertext, POD_INFO)
    except (InvalidTag, ValueError) as failure:
        raise EnvelopeFailure("the key material was not sealed to this pod") from failure
    return delivery_pb2.KeyMaterial.FromString(raw)


def _aad(organization_id: str, provider_id: str, version: int) -> bytes:
    return f"{organization_id}|{provider_id}|{version}".encode()


def _derive(shared: bytes, ephemeral_public: bytes, pod_public: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=ephemeral_public + pod_public, info=POD_INFO).derive(shared)
