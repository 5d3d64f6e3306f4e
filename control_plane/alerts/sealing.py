"""Secrets of channels at rest: sealed like providers' credentials, bound to their channel and version."""

import secrets

from django.conf import settings

from control_plane.alerts.models import AlertChannel
from switchyard_contract.envelope import open_credential, seal_credential
from switchyard_contract.v1 import snapshot_pb2

PREFIX = "sywhk_"
"""What is made here is told from a key at a glance."""


def new_secret() -> str:
    """Make a secret to sign with."""
    return PREFIX + secrets.token_urlsafe(32)


def put_secret(channel: AlertChannel, secret: str) -> None:
    """Seal a new secret into the row."""
    channel.secret_version += 1
    key_version, key = settings.SWITCHYARD.sealing_keys.newest
    sealed = seal_credential(
        secret,
        organization_id=channel.organization_id.hex,
        provider_id=_owner(channel),
        version=channel.secret_version,
        key_version=key_version,
        key=key,
    )
    channel.sealed_key_version = sealed.key_version
    channel.sealed_nonce, channel.sealed_ciphertext = sealed.nonce, sealed.ciphertext


def secret_of(channel: AlertChannel) -> str:
    """The secret; empty: there is none. Raises EnvelopeFailure when the row was tampered with."""
    if not channel.has_secret:
        return ""
    sealed = snapshot_pb2.SealedCredential(
        key_version=channel.sealed_key_version,
        nonce=bytes(channel.sealed_nonce),
        ciphertext=bytes(channel.sealed_ciphertext),
        version=channel.secret_version,
    )
    return open_credential(
        sealed,
        organization_id=channel.organization_id.hex,
        provider_id=_owner(channel),
        keys=settings.SWITCHYARD.sealing_keys.by_version,
    )


def _owner(channel: AlertChannel) -> str:
    return f"alert-channel:{channel.id.hex}"
