"""Begin, decide and redeem a device login."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.identity.device.codes import digest_of, new_device_code, new_user_code
from control_plane.identity.device.models import DeviceAuthorization, DeviceState
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Membership, Organization
from control_plane.organizations.roles import Permission, may_at_all
from control_plane.organizations.selectors import membership_of, standing_of

CODE_LIVES_S = 600
INTERVAL_S = 5
SLOWER_BY_S = 5  # RFC 8628, 3.5
HOUR_S, DAY_S = 3600, 24 * 3600
DEFAULT_LIFETIME_S, SHORTEST_LIFETIME_S, LONGEST_LIFETIME_S = 30 * DAY_S, HOUR_S, 90 * DAY_S
MOST_PER_ADDRESS = 300
"""Codes that one address may ask for while they live: a whole office behind one address, not a flood."""
KEPT_FOR = timedelta(days=1)


class DeviceProblem(StrEnum):
    """Why a machine gets no token; the words of RFC 8628 and RFC 6749."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    EXPIRED = "expired_token"
    DENIED = "access_denied"
    UNKNOWN = "invalid_grant"


class TooManyCodes(Exception):
    """One address has asked for more codes than an office needs."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A device login that waits for a person. device_code: told once, to the machine."""

    authorization: DeviceAuthorization
    device_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The API token a machine was given; its text is told once."""

    record: AdminToken
    token: str = field(repr=False)
    scopes: tuple[str, ...]


def device_begin(*, machine: str, scopes: Sequence[Permission], lifetime_s: int, source_address: str) -> Begun:
    """Make the two codes. Raises TooManyCodes."""
    now = timezone.now()
    DeviceAuthorization.objects.filter(expires_at__lt=now - KEPT_FOR).delete()
    recent = DeviceAuthorization.objects.filter(
        source_address=source_address[:64], created_at__gt=now - timedelta(seconds=CODE_LIVES_S)
    )
    if recent.count() >= MOST_PER_ADDRESS:
        raise TooManyCodes
    device_code = new_device_code()
    authorization = DeviceAuthorization(
        device_code_digest=digest_of(device_code),
        user_code=_free_user_code(),
        machine="".join(sign for sign in machine if sign.isprintable()).strip()[:100] or "a machine",
        source_address=source_address[:64],
        requested_scopes=sorted(set(scopes)),
        requested_lifetime_s=min(max(lifetime_s, SHORTEST_LIFETIME_S), LONGEST_LIFETIME_S),
        interval_s=INTERVAL_S,
        expires_at=now + timedelta(seconds=CODE_LIVES_S),
    )
    authorization.full_clean()
    authorization.save(force_insert=True)
    return Begun(authorization, device_code)


@transaction.atomic
def device_approve(
    *, authorization: DeviceAuthorization, user: User, organization: Organization, lifetime_s: int, actor: Actor
) -> DeviceAuthorization:
    """Let the machine act for a person in one organization, as far as that person may. Raises ValidationError."""
    authorization = _open(authorization)
    membership = membership_of(user, organization)
    if membership is None:
        raise ValidationError({"organization": "You are no member of this organization."})
    if not SHORTEST_LIFETIME_S <= lifetime_s <= LONGEST_LIFETIME_S:
        raise ValidationError({"lifetime": "Between an hour and 90 days."})
    authorization.granted_scopes = list(scopes_within(authorization, membership))
    if not authorization.granted_scopes:
        raise ValidationError({"organization": "Nothing of what it asks for is yours to give in this organization."})
    authorization.granted_lifetime_s = lifetime_s
    authorization.organization, authorization.user = organization, user
    authorization.state, authorization.decided_at = DeviceState.APPROVED, timezone.now()
    authorization.save()
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="device.approved",
        subject=_subject(authorization),
        after={
            "machine": authorization.machine,
            "from": authorization.source_address,
            "scopes": authorization.granted_scopes,
            "lifetime_s": lifetime_s,
        },
    )
    return authorization


@transaction.atomic
def device_deny(*, authorization: DeviceAuthorization, organization: Organization, actor: Actor) -> DeviceAuthorization:
    """Send the machine away. Raises ValidationError when it was decided before."""
    authorization = _open(authorization)
    authorization.state, authorization.decided_at = DeviceState.DENIED, timezone.now()
    authorization.save(update_fields=["state", "decided_at"])
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="device.denied",
        subject=_subject(authorization),
        after={"machine": authorization.machine, "from": authorization.source_address},
    )
    return authorization


@transaction.atomic
def device_redeem(*, device_code: str, source_address: str) -> Redeemed | DeviceProblem:
    """Answer a machine that asks: its token, once, or why not yet."""
    authorization = (
        DeviceAuthorization.objects.select_for_update(of=("self",))
        .select_related("organization", "user")
        .filter(device_code_digest=digest_of(device_code))
        .first()
    )
    if authorization is None or authorization.state == DeviceState.REDEEMED:
        return DeviceProblem.UNKNOWN
    now = timezone.now()
    if authorization.expires_at <= now:
        return DeviceProblem.EXPIRED
    if authorization.state == DeviceState.DENIED:
        return DeviceProblem.DENIED
    # Half a second of kindness for clocks and networks.
    soonest = timedelta(seconds=authorization.interval_s - 0.5)
    is_early = authorization.asked_at is not None and now - authorization.asked_at < soonest
    authorization.asked_at = now
    if is_early:
        authorization.interval_s += SLOWER_BY_S
    authorization.save(update_fields=["asked_at", "interval_s"])
    if is_early:
        return DeviceProblem.SLOW_DOWN
    if authorization.state == DeviceState.PENDING:
        return DeviceProblem.PENDING
    return _token_of(authorization, source_address)


def scopes_within(authorization: DeviceAuthorization, membership: Membership) -> tuple[Permission, ...]:
    """The scopes that were asked for and that this person has at all."""
    standing = standing_of(membership)
    asked = (Permission(name) for name in authorization.requested_scopes)
    return tuple(permission for permission in asked if may_at_all(standing, permission))


def _token_of(authorization: DeviceAuthorization, source_address: str) -> Redeemed | DeviceProblem:
    user, organization = authorization.user, authorization.organization
    assert user is not None
    assert organization is not None
    assert authorization.granted_lifetime_s is not None
    scopes = tuple(authorization.granted_scopes)
    try:
        minted = admin_token_mint(
            organization=organization,
            user=user,
            name=f"{authorization.machine} (switchyard login)"[:100],
            actor=actor_of(user, source_address=source_address),
            expires_at=timezone.now() + timedelta(seconds=authorization.granted_lifetime_s),
            scopes=frozenset(Permission(name) for name in scopes),
        )
    except ValidationError:
        # Left the organization, or was shut out, between approving and asking.
        return DeviceProblem.DENIED
    authorization.state = DeviceState.REDEEMED
    authorization.save(update_fields=["state"])
    return Redeemed(minted.record, minted.token, scopes)


def _open(authorization: DeviceAuthorization) -> DeviceAuthorization:
    """The row, locked, while it still waits for a decision. Raises ValidationError."""
    locked = DeviceAuthorization.objects.select_for_update().get(id=authorization.id)
    if locked.state != DeviceState.PENDING:
        raise ValidationError("This code was used already.")
    if locked.expires_at <= timezone.now():
        raise ValidationError("This code has expired. Run `switchyard login` again.")
    return locked


def _free_user_code() -> str:
    while True:
        code = new_user_code()
        if not DeviceAuthorization.objects.filter(user_code=code).exists():
            return code


def _subject(authorization: DeviceAuthorization) -> Subject:
    return Subject("device", authorization.id.hex, authorization.machine)
