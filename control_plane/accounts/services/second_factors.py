"""Set up, check and remove second factors."""

import os
from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import RecoveryCode, SecondFactor, User
from control_plane.accounts.services.actors import user_subject
from control_plane.accounts.totp import (
    RECOVERY_CODE_BYTES,
    RECOVERY_CODES,
    SECRET_BYTES,
    provisioning_uri,
    recovery_code,
    recovery_digest,
    secret_text,
    step_of,
)
from control_plane.audit.services import Actor, record_change
from switchyard_contract.envelope import open_credential, seal_credential
from switchyard_contract.v1 import snapshot_pb2

ISSUER = "Switchyard"
_OWNER = "accounts.second-factor"


@dataclass(frozen=True, slots=True)
class FreshFactor:
    """What an authenticator app must learn, shown until its first code is typed back."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@transaction.atomic
def second_factor_begin(*, user: User) -> FreshFactor:
    """Make a secret for an authenticator app, or show the one not confirmed yet. Raises ValidationError."""
    factor = SecondFactor.objects.select_for_update().filter(user=user).first()
    if factor is not None and factor.confirmed_at is not None:
        raise ValidationError("An authenticator app is set up already. Remove it first.")
    if factor is None:
        raw = os.urandom(SECRET_BYTES)
        key_version, key = settings.SWITCHYARD.sealing_keys.newest
        sealed = seal_credential(
            raw.hex(), organization_id=_OWNER, provider_id=user.id.hex, version=1, key_version=key_version, key=key
        )
        factor = SecondFactor.objects.create(
            user=user,
            sealed_key_version=sealed.key_version,
            sealed_nonce=sealed.nonce,
            sealed_ciphertext=sealed.ciphertext,
        )
    secret = _secret(factor)
    return FreshFactor(secret_text(secret), provisioning_uri(secret, account=user.email, issuer=ISSUER))


@transaction.atomic
def second_factor_confirm(*, user: User, code: str, actor: Actor) -> list[str]:
    """Switch the second factor on once its app shows the right code; returns the recovery codes, told only here."""
    factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed_at__isnull=True).first()
    if factor is None:
        raise ValidationError("There is no authenticator app to confirm. Begin the set-up again.")
    step = step_of(_secret(factor), code, now_s=timezone.now().timestamp(), after_step=factor.last_step)
    if step is None:
        raise ValidationError({"code": "This code does not fit. Type the one the app shows now."})
    factor.last_step, factor.confirmed_at = step, timezone.now()
    factor.save(update_fields=["last_step", "confirmed_at"])
    record_change(organization_id=None, actor=actor, action="user.second_factor_added", subject=user_subject(user))
    return _renew_codes(user)


@transaction.atomic
def second_factor_verify(*, user: User, code: str, actor: Actor) -> bool:
    """Say whether a code of the app, or a recovery code, is right; either is good once."""
    factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed_at__isnull=False).first()
    if factor is None:
        return False
    step = step_of(_secret(factor), code, now_s=timezone.now().timestamp(), after_step=factor.last_step)
    if step is not None:
        factor.last_step = step
        factor.save(update_fields=["last_step"])
        return True
    used = RecoveryCode.objects.filter(
        user=user, digest=recovery_digest(user.id.hex, code), used_at__isnull=True
    ).update(used_at=timezone.now())
    if used:
        record_change(
            organization_id=None,
            actor=actor,
            action="user.recovery_code_used",
            subject=user_subject(user),
            after={"left": RecoveryCode.objects.filter(user=user, used_at__isnull=True).count()},
        )
    return used == 1


@transaction.atomic
def recovery_codes_renew(*, user: User, actor: Actor) -> list[str]:
    """Make new recovery codes; the old ones end. They are told only here."""
    if not SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists():
        raise ValidationError("Set up an authenticator app first.")
    record_change(organization_id=None, actor=actor, action="user.recovery_codes_renewed", subject=user_subject(user))
    return _renew_codes(user)


@transaction.atomic
def second_factor_remove(*, user: User, actor: Actor, reason: str = "") -> None:
    """Switch the second factor off and forget its recovery codes."""
    removed, _ = SecondFactor.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    if removed:
        record_change(
            organization_id=None,
            actor=actor,
            action="user.second_factor_removed",
            subject=user_subject(user),
            reason=reason,
        )


def _renew_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user=user).delete()
    codes = [recovery_code(os.urandom(RECOVERY_CODE_BYTES)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, digest=recovery_digest(user.id.hex, code)) for code in codes
    )
    return codes


def _secret(factor: SecondFactor) -> bytes:
    sealed = snapshot_pb2.SealedCredential(
        key_version=factor.sealed_key_version,
        nonce=bytes(factor.sealed_nonce),
        ciphertext=bytes(factor.sealed_ciphertext),
        version=1,
    )
    text = open_credential(
        sealed,
        organization_id=_OWNER,
        provider_id=factor.user_id.hex,
        keys=settings.SWITCHYARD.sealing_keys.by_version,
    )
    return bytes.fromhex(text)
