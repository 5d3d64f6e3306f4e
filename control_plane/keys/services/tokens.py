"""Tokens of the admin API and of the fleet."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.keys.issuing import is_digest_of, issue
from control_plane.keys.models import AdminToken, KeyRules, PodToken
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission, Standing, may_at_all
from control_plane.organizations.selectors import membership_of
from switchyard_contract.virtual_key import KeyKind, read

USE_IS_NOTED_EVERY = timedelta(minutes=1)
TOKENS_LIVE_DAYS = 90
"""Unless somebody says otherwise."""
MOST_TOKEN_DAYS = 366
MOST_TOKENS = 200
"""In force per person and organization: a script that forgets its tokens is told before they are thousands."""


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


def token_days(organization: Organization) -> int:
    """How many days a token of this organization may live at most."""
    rules = KeyRules.objects.filter(organization=organization).first()
    return MOST_TOKEN_DAYS if rules is None or rules.max_token_days is None else rules.max_token_days


def token_expiry(organization: Organization, wanted: datetime | None) -> datetime:
    """When a new token ends: as wanted, else in 90 days or what the organization allows. Raises ValidationError."""
    now, most = timezone.now(), token_days(organization)
    if wanted is None:
        return now + timedelta(days=min(TOKENS_LIVE_DAYS, most))
    if wanted > now + timedelta(days=most):
        raise ValidationError({"expires_at": f"Here a token lives {most} days at most."})
    return wanted


@transaction.atomic
def admin_token_mint(
    *,
    organization: Organization,
    user: User,
    name: str,
    actor: Actor,
    expires_at: datetime | None = None,
    scopes: Collection[Permission] | None = None,
) -> MintedAdminToken:
    """Make a token with which a member acts in one organization.

    scopes: what it may of what the member may; None: all of it. That nobody gives more than they have is for whoever
    calls to look at (`beyond`): a token may be made with another one. expires_at None: it does not end by itself.
    """
    if membership_of(user, organization) is None or not user.is_active:
        raise ValidationError({"user": "There is no such active member in this organization."})
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This is in the past."})
    if scopes is not None and not scopes:
        raise ValidationError({"scopes": "At least one: a token that may nothing is of no use."})
    if tokens_in_force(organization).filter(user=user).count() >= MOST_TOKENS:
        raise ValidationError({"name": f"You have {MOST_TOKENS} tokens in force. Revoke one that is not needed."})
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
        scopes=None if scopes is None else sorted(str(scope) for scope in scopes),
    )
    record.full_clean()
    record.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="admin_token.minted",
        subject=_subject(record),
        after={"name": record.name, "user": user.email, "expires_at": expires_at, "scopes": record.scopes},
    )
    return MintedAdminToken(record, issued.text)


def beyond(standing: Standing, scopes: Collection[Permission]) -> list[Permission]:
    """Which of these scopes the grantor may not hand on, having none of it."""
    return sorted(scope for scope in scopes if not may_at_all(standing, scope))


def tokens_in_force(organization: Organization) -> QuerySet[AdminToken]:
    """Tokens that are neither revoked nor expired."""
    is_alive = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    return AdminToken.objects.filter(is_alive, organization=organization, revoked_at__isnull=True)


def scopes_of(token: AdminToken) -> frozenset[Permission] | None:
    """A token's scopes; one that was since taken out of the list of rights is passed over. None: no limit."""
    if token.scopes is None:
        return None
    known = {str(permission) for permission in Permission}
    return frozenset(Permission(scope) for scope in token.scopes if scope in known)


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
def pod_token_mint(*, name: str, actor: Actor, pods: Iterable[str] = ()) -> MintedPodToken:
    """Make a join token of the fleet. Others stay valid until they are revoked, so that a rotation overlaps.

    pods: globs of the pod ids that its bearers may call themselves by; none: any.
    """
    issued = issue(KeyKind.POD)
    record = PodToken(
        token_id=issued.id,
        name=name.strip(),
        prefix=issued.prefix,
        digest=issued.digest,
        pepper_version=issued.pepper_version,
        pods=list(pods),
    )
    record.full_clean()
    record.save(force_insert=True)
    record_change(
        organization_id=None,
        actor=actor,
        action="pod_token.minted",
        subject=Subject("pod_token", record.id.hex, record.name),
        after={"name": record.name, "prefix": record.prefix, "pods": record.pods},
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
