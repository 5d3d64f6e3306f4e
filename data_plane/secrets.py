"""The deployment's key material as the pod holds it: in memory only, replaced whole, unprintable."""

from switchyard_contract.envelope import EnvelopeFailure, open_credential
from switchyard_contract.v1.delivery_pb2 import KeyMaterial
from switchyard_contract.v1.snapshot_pb2 import SealedCredential
from switchyard_contract.virtual_key import KeyToken, digest


class HeldSecrets:
    """Peppers and sealing keys by version. Empty until the control plane or the shelf delivered them."""

    def __init__(self) -> None:
        self._peppers: dict[int, bytes] = {}
        self._sealing_keys: dict[int, bytes] = {}
        self.revision = 0
        """Counts replacements: what was worked out with other key material is worked out anew."""

    def __repr__(self) -> str:
        return f"HeldSecrets(peppers={sorted(self._peppers)}, sealing_keys={sorted(self._sealing_keys)})"

    @property
    def is_empty(self) -> bool:
        return not self._peppers

    def replace(self, material: KeyMaterial) -> None:
        self._peppers = dict(material.peppers)
        self._sealing_keys = dict(material.sealing_keys)
        self.revision += 1

    def digest_of(self, token: KeyToken, pepper_version: int) -> bytes | None:
        """The digest a key would be stored under; None when that pepper is not held."""
        pepper = self._peppers.get(pepper_version)
        return None if pepper is None else digest(token, pepper)

    def open_credential(self, sealed: SealedCredential, organization_id: str, provider_id: str) -> str:
        """Raises EnvelopeFailure when the key is missing or the credential belongs to somebody else."""
        return open_credential(
            sealed, organization_id=organization_id, provider_id=provider_id, keys=self._sealing_keys
        )


__all__ = ["EnvelopeFailure", "HeldSecrets"]
