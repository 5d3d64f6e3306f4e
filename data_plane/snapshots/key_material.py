"""The deployment's secrets on their way into the pod and on its disk.

They arrive sealed to a key pair that lives as long as the process. On disk they lie wrapped under the mounted shelf
key; without one they are not kept, and the pod needs the control plane at each start.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError

from switchyard_contract.envelope import EnvelopeFailure, open_key_material
from switchyard_contract.v1 import delivery_pb2

_DOMAIN = "switchyard/shelf-key-material/v1"
_NONCE_BYTES = 12


class PodKeyPair:
    """Made at start, never written anywhere."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public_bytes(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def open(self, envelope: delivery_pb2.KeyEnvelope) -> delivery_pb2.KeyMaterial:
        """Raises EnvelopeFailure unless it was sealed to this pod."""
        try:
            return open_key_material(envelope, self._private)
        except DecodeError as failure:
            raise EnvelopeFailure("the key material does not parse") from failure


def wrap_key_material(material: delivery_pb2.KeyMaterial, *, shelf_key: bytes, deployment: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(shelf_key).encrypt(nonce, material.SerializeToString(), _bound_to(deployment))


def unwrap_key_material(wrapped: bytes, *, shelf_key: bytes, deployment: str) -> delivery_pb2.KeyMaterial:
    """Raises EnvelopeFailure when the key is another or the bytes were changed."""
    try:
        raw = AESGCM(shelf_key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound_to(deployment))
        return delivery_pb2.KeyMaterial.FromString(raw)
    except (InvalidTag, ValueError, DecodeError) as failure:
        raise EnvelopeFailure("the shelved key material does not open with this shelf key") from failure


def _bound_to(deployment: str) -> bytes:
    return f"{_DOMAIN}|{deployment}".encode()
