"""Tokens of identity providers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.identity.scim.models import ScimToken
from control_plane.keys.issuing import is_digest_of, issue
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission, can
from control_plane.organizations.services import Grantor, Installation
from switchyard_contract.virtual_key import KeyKind, read

MAX_LIVE_TOKENS = 10
USE_IS_NOTED_EVERY = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class MintedScimToken:
    """A new token and its text, which is shown once."""

    record: ScimToken
    token: str = field(repr=False)


@transaction.atomic
def scim_token_mint(
    *,
    organization: Organization,
    name: str,
    actor: Actor,
    by: Grantor,
    expires_at: datetime | None = None,
) -> MintedScimToken:
    """Make a token with which an identity provider manages this organization's people. Raises ValidationError.

    Several may be valid at once, so that a rotation overlaps. by: whose rights bound it.
    """
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This is in the past."})
    if ScimToken.objects.filter(organization=organization, revoked_at__isnull=True).count() >= MAX_LIVE_TOKENS:
        raise ValidationError({"name": f"There are {MAX_LIVE_TOKENS} tokens already. Revoke one that is not used."})
    issued = issue(KeyKind.SCIM)
    record = ScimToken(
        organization=organization,
        token_id=issued.id,
        name=name.strip(),
        prefix=issued.prefix,
        digest=issued.digest,
        pepper_version=issued.pepper_version,
        created_by=actor.name[:254],
        reaches_owners=isinstance(by, Installation) or can(by, Permission.OWNERS_MANAGE),
        expires_at=expires_at,
    )
    record.full_clean()
    record.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="scim_token.minted",
        subject=token_subject(record),
        after={"name": record.name, "expires_at": expires_at, "reaches_owners": record.reaches_owners},
    )
    return MintedScimToken(record, issued.text)


@transaction.atomic
def scim_token_revoke(*, token: ScimToken, actor: Actor, reason: str = "") -> ScimToken:
    """End a token; the next request with it is refused. The people it brought stay as they are."""
    token = ScimToken.objects.select_for_update().get(id=token.id, organization_id=token.organization_id)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        record_change(
            organization_id=token.organization_id,
            actor=actor,
            action="scim_token.revoked",
            subject=token_subject(token),
            after={"revoked_at": token.revoked_at},
            reason=reason,
        )
    return token


def scim_token_authenticate(text: str) -> ScimToken | None:
    """Find the token in force that was presented, with its organization; None for every kind of no."""
    presented = read(text)
    if presented is None or presented.kind is not KeyKind.SCIM:
        return None
    token = ScimToken.objects.select_related("organization").filter(token_id=presented.id).first()
    stored = None if token is None else bytes(token.digest)
    if not is_digest_of(presented, stored, 0 if token is None else token.pepper_version) or token is None:
        return None
    now = timezone.now()
    if token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now):
        return None
    return token


def scim_request_note(token: ScimToken, *, request: str, error: str = "") -> None:
    """Keep what the console shows of a token: its newest request, at most every few seconds, and each failure."""
    now = timezone.now()
    if error:
        ScimToken.objects.filter(id=token.id).update(
            last_used_at=now, last_request=request[:200], last_error=f"{request}: {error}"[:500], last_error_at=now
        )
    elif token.last_used_at is None or now - token.last_used_at > USE_IS_NOTED_EVERY:
        ScimToken.objects.filter(id=token.id).update(last_used_at=now, last_request=request[:200])


def token_subject(token: ScimToken) -> Subject:
    return Subject("scim_token", token.id.hex, f"{token.name} ({token.prefix}…)")
