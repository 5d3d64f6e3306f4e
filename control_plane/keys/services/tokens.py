"""Tokens of the admin API and of the fleet."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.keys.issuing import is_digest_of, issue
from control_plane.keys.models import AdminToken, PodToken
from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import membership_of
from switchyard_contract.virtual_key import KeyKind, read

USE_IS_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class MintedAdminToken:
    """A new token and its text, which is shown once."""

    record: AdminToken
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MintedPodToken:
    """A new join token and its text, which is shown once."""

    record: PodToken
    token: str = field(repr=False)


@transaction.atomic
def admin_token_mint(
    *, organization: Organization, user: User, name: str, actor: Actor, expires_at: datetime | None = None
) -> MintedAdminToken:
    """Make a token with which a member acts in one organization; it may what the member may."""
    if membership_of(user, organization) is None or not user.is_active:
        raise ValidationError({"user": "There is no such active member in this organization."})
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This is in the past."})
    issued = issue(KeyKind.ADMIN)
    record = AdminToken(
        organization=organization,
        user=user,
        token_id=issued.id,
        name=name.strip(),
        prefix=issued.prefix,
        digest=issued.digest,
        pepper_version=issued.pepper_version,
        expires_at=expires_at,
    )
    record.full_clean()
    record.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="admin_token.minted",
        subject=_subject(record),
        after={"name": record.name, "user": user.email, "expires_at": expires_at},
    )
    return MintedAdminToken(record, issued.text)


@transaction.atomic
def admin_token_revoke(*, token: AdminToken, actor: Actor, reason: str = "") -> AdminToken:
    """End an admin token; the next request with it is refused."""
    token = AdminToken.objects.select_for_update().get(id=token.id, organization_id=token.organization_id)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        record_change(
            organization_id=token.organization_id,
            actor=actor,
            action="admin_token.revoked",
            subject=_subject(token),
            after={"revoked_at": token.revoked_at},
            reason=reason,
        )
    return token


def admin_token_authenticate(text: str) -> AdminToken | None:
    """Find the token in force that was presented, with its user and organization; None for every kind of no.

    Notes its use, at most once a minute.
    """
    presented = read(text)
    if presented is None or presented.kind is not KeyKind.ADMIN:
        return None
    token = AdminToken.objects.select_related("user", "organization").filter(token_id=presented.id).first()
    stored = None if token is None else bytes(token.digest)
    if not is_digest_of(presented, stored, 0 if token is None else token.pepper_version) or token is None:
        return None
    now = timezone.now()
    if token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now):
        return None
    if not token.user.is_active or membership_of(token.user, token.organization) is None:
        return None
    if token.last_used_at is None or now - token.last_used_at > USE_IS_NOTED_EVERY:
        AdminToken.objects.filter(id=token.id).update(last_used_at=now)
    return token


@transaction.atomic
def pod_token_mint(*, name: str, actor: Actor) -> MintedPodToken:
    """Make a join token of the fleet. Others stay valid until they are revoked, so that a rotation overlaps."""
    issued = issue(KeyKind.POD)
    record = PodToken(
        token_id=issued.id,
        name=name.strip(),
        prefix=issued.prefix,
        digest=issued.digest,
        pepper_version=issued.pepper_version,
    )
    record.full_clean()
    record.save(force_insert=True)
    record_change(
        organization_id=None,
        actor=actor,
        action="pod_token.minted",
        subject=Subject("pod_token", record.id.hex, record.name),
        after={"name": record.name, "prefix": record.prefix},
    )
    return MintedPodToken(record, issued.text)


@transaction.atomic
def pod_token_revoke(*, token: PodToken, actor: Actor, reason: str = "") -> PodToken:
    """End a join token: pods that present it are refused when they dial in again."""
    token = PodToken.objects.select_for_update().get(id=token.id)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        record_change(
            organization_id=None,
            actor=actor,
            action="pod_token.revoked",
            subject=Subject("pod_token", token.id.hex, token.name),
            after={"revoked_at": token.revoked_at},
            reason=reason,
        )
    return token


def pod_token_authenticate(text: str) -> PodToken | None:
    """Find the join token in force that was presented; None for every kind of no."""
    presented = read(text)
    if presented is None or presented.kind is not KeyKind.POD:
        return None
    token = PodToken.objects.filter(token_id=presented.id).first()
    stored = None if token is None else bytes(token.digest)
    if not is_digest_of(presented, stored, 0 if token is None else token.pepper_version) or token is None:
        return None
    return None if token.revoked_at is not None else token


def _subject(token: AdminToken) -> Subject:
    return Subject("admin_token", token.id.hex, f"{token.name} ({token.prefix}…)")
