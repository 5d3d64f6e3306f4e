"""Client secrets at rest: sealed like providers' credentials, bound to their connection and version."""

from django.conf import settings

from control_plane.identity.models import IdentityConnection
from switchyard_contract.envelope import open_credential, seal_credential
from switchyard_contract.v1 import snapshot_pb2


def put_secret(connection: IdentityConnection, secret: str) -> None:
    """Seal a new client secret into the row; empty: the connection has none (a public client)."""
    connection.secret_version += 1
    if not secret:
        connection.sealed_key_version, connection.sealed_nonce, connection.sealed_ciphertext = 0, b"", b""
        return
    key_version, key = settings.SWITCHYARD.sealing_keys.newest
    sealed = seal_credential(
        secret,
        organization_id=connection.organization_id.hex,
        provider_id=_owner(connection),
        version=connection.secret_version,
        key_version=key_version,
        key=key,
    )
    connection.sealed_key_version = sealed.key_version
    connection.sealed_nonce, connection.sealed_ciphertext = sealed.nonce, sealed.ciphertext


def secret_of(connection: IdentityConnection) -> str:
    """The client secret; empty: there is none. Raises EnvelopeFailure when the row was tampered with."""
    if not connection.has_secret:
        return ""
    sealed = snapshot_pb2.SealedCredential(
        key_version=connection.sealed_key_version,
        nonce=bytes(connection.sealed_nonce),
        ciphertext=bytes(connection.sealed_ciphertext),
        version=connection.secret_version,
    )
    return open_credential(
        sealed,
        organization_id=connection.organization_id.hex,
        provider_id=_owner(connection),
        keys=settings.SWITCHYARD.sealing_keys.by_version,
    )


def _owner(connection: IdentityConnection) -> str:
    return f"identity-connection:{connection.id.hex}"
