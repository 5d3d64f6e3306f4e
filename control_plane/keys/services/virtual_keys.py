"""Virtual keys: mint, show once, change, rotate with grace, revoke."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.keys.issuing import issue
from control_plane.keys.models import VirtualKey
from control_plane.keys.services.rules import check_tags_are_free, heed_rules, lock_minting
from control_plane.keys.services.scopes import checked_globs, checked_networks, checked_routes
from control_plane.keys.services.tombstones import entomb_on_commit
from control_plane.organizations.models import Organization, ServiceAccount, Team
from control_plane.organizations.selectors import membership_of, teams_of, teams_of_user
from control_plane.organizations.services import check_same_organization
from control_plane.organizations.tags import checked_tags
from switchyard_contract.virtual_key import KeyKind

KEY_SUBJECT = "key"
"""What kind of thing a change of a key is about."""
MAX_GRACE_S = 30 * 24 * 3600
MAX_ROTATION_DAYS = 3660


@dataclass(frozen=True, slots=True)
class Rotation:
    """How often a key is replaced, and how long an overdue one works on before it ends by itself."""

    every_days: int
    grace_s: int = 0


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key and its text, which is shown once and stored nowhere."""

    key: VirtualKey
    token: str = field(repr=False)


@transaction.atomic
def key_mint(
    *,
    organization: Organization,
    name: str,
    actor: Actor,
    user: User | None = None,
    service_account: ServiceAccount | None = None,
    team: Team | None = None,
    models: Sequence[str] = (),
    routes: Sequence[str] = (),
    source_networks: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    expires_at: datetime | None = None,
    rotation: Rotation | None = None,
    created_by: User | None = None,
    heeds_rules: bool = False,
) -> MintedKey:
    """Make a key for exactly one of a person and a service account.

    team: who is charged, for the key's whole life; None is answered where there is only one to choose.
    models: globs over requested names; routes: protocols; source_networks: CIDRs; none of each: all.
    rotation: when a successor is due; for service accounts. heeds_rules: within the organization's rules for personal
    keys, as for everybody who does not manage all keys. Raises ValidationError.
    """
    if organization.is_disabled:
        raise ValidationError({"organization": "This organization is switched off; it gets no new keys."})
    _check_owner(organization, user, service_account)
    if team is None:
        team = _only_team(organization, user, service_account)
    check_same_organization(organization, team, "team")
    _check_expiry(expires_at)
    allowed_models = checked_globs(models)
    if user is not None and heeds_rules:
        lock_minting(organization, user)
        allowed_models, expires_at = heed_rules(organization, user, allowed_models, expires_at)
        check_tags_are_free(organization, user, team, tags or {})
    if rotation is not None and expires_at is not None:
        raise ValidationError({"expires_at": "A key on a rotation schedule ends by its schedule; leave this out."})
    key, token = _new_key(
        organization=organization,
        kind=KeyKind.PERSONAL if user is not None else KeyKind.SERVICE,
        rotation=_checked_rotation(rotation, service_account),
        name=name.strip(),
        user=user,
        service_account=service_account,
        team=team,
        allowed_models=allowed_models,
        allowed_routes=checked_routes(routes),
        source_networks=checked_networks(source_networks),
        tags=checked_tags(tags),
        expires_at=expires_at,
        created_by=created_by,
    )
    _record(key, actor, "key.minted", after=key_facts(key), shards=(ShardKind.KEYS,))
    return MintedKey(key, token)


@transaction.atomic
def key_update(
    *,
    key: VirtualKey,
    actor: Actor,
    name: str | None = None,
    models: Sequence[str] | None = None,
    routes: Sequence[str] | None = None,
    source_networks: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    expires_at: datetime | None = None,
    clears_expiry: bool = False,
    rotation: Rotation | None = None,
    clears_rotation: bool = False,
    heeds_rules: bool = False,
) -> VirtualKey:
    """Change what a key may do or how long; None leaves a fact as it is. A revoked key is not changed any more.

    rotation: counted from when the key was made. A key that leaves its schedule keeps no end of its own.
    """
    key = _locked(key)
    _check_alive(key)
    before = key_facts(key)
    if name is not None:
        key.name = name.strip()
    if models is not None:
        key.allowed_models = checked_globs(models)
    if routes is not None:
        key.allowed_routes = checked_routes(routes)
    if source_networks is not None:
        key.source_networks = checked_networks(source_networks)
    if tags is not None:
        if heeds_rules and key.user is not None:
            new = {name: value for name, value in tags.items() if key.tags.get(name) != value}
            check_tags_are_free(key.organization, key.user, key.team, new)
        key.tags = checked_tags(tags)
    if rotation is not None:
        _schedule(key, _checked_rotation(rotation, key.service_account))
        _check_expiry(key.expires_at)
    elif clears_rotation and key.rotation_days is not None:
        key.rotation_days = key.rotate_by = key.expires_at = None
        key.rotation_grace_s = 0
    if expires_at is not None or clears_expiry:
        if key.rotation_days is not None:
            raise ValidationError({"expires_at": "This key ends by its rotation schedule. Change or clear that."})
        _check_expiry(expires_at)
        key.expires_at = expires_at
    if heeds_rules and key.user is not None and (models is not None or expires_at is not None or clears_expiry):
        key.allowed_models, key.expires_at = heed_rules(
            key.organization, key.user, key.allowed_models, key.expires_at, changing=key
        )
    after = key_facts(key)
    if after == before:
        return key
    key.full_clean()
    key.save()
    _record(key, actor, "key.updated", before=before, after=after, shards=(ShardKind.KEYS,))
    return key


@transaction.atomic
def key_rotate(
    *, key: VirtualKey, grace_seconds: int | None, actor: Actor, created_by: User | None = None
) -> MintedKey:
    """Make a successor with the same owner, team, scope, schedule and tags; the old key works on for the grace only.

    grace_seconds 0: the old key is revoked at once; None: the grace of the key's schedule. Raises ValidationError for
    a key that is dead already.
    """
    if grace_seconds is None:
        grace_seconds = key.rotation_grace_s
    if not 0 <= grace_seconds <= MAX_GRACE_S:
        raise ValidationError({"grace_seconds": f"Between 0 and {MAX_GRACE_S} seconds."})
    key = _locked(key)
    _check_alive(key)
    now = timezone.now()
    if key.expires_at is not None and key.expires_at <= now:
        raise ValidationError({"key": "This key has expired. Mint a new one."})
    successor, token = _new_key(
        organization=key.organization,
        kind=KeyKind(key.kind),
        name=key.name,
        user=key.user,
        service_account=key.service_account,
        team=key.team,
        allowed_models=list(key.allowed_models),
        allowed_routes=list(key.allowed_routes),
        source_networks=list(key.source_networks),
        tags=dict(key.tags),
        expires_at=None if key.rotation_days is not None else key.expires_at,
        rotation=rotation_of(key),
        created_by=created_by,
        rotated_from=key,
    )
    _record(
        successor,
        actor,
        "key.rotated",
        before={"key": key.prefix},
        after={**key_facts(successor), "grace_seconds": grace_seconds},
        shards=(ShardKind.KEYS,),
    )
    if grace_seconds == 0:
        key_revoke(key=key, reason=f"rotated to {successor.prefix}", actor=actor)
    else:
        before = key_facts(key)
        end_of_grace = now + timedelta(seconds=grace_seconds)
        key.expires_at = end_of_grace if key.expires_at is None else min(key.expires_at, end_of_grace)
        key.save(update_fields=["expires_at", "updated_at"])
        _record(key, actor, "key.updated", before=before, after=key_facts(key), shards=(ShardKind.KEYS,))
    return MintedKey(successor, token)


@transaction.atomic
def key_revoke(*, key: VirtualKey, reason: str, actor: Actor, cut_streams: bool = False) -> VirtualKey:
    """End a key, everywhere, now: through the deny shard and the tombstone in the counter store.

    cut_streams: end what is running too. Revoking a dead key again changes nothing, except that it may add the cut.
    """
    key = _locked(key)
    if key.is_revoked and (key.cut_streams or not cut_streams):
        return key
    before = key_facts(key)
    if not key.is_revoked:
        key.revoked_at = timezone.now()
        key.revoke_reason = (reason or actor.reason)[:300]
        key.revoked_by = actor.name[:254]
    key.cut_streams = cut_streams
    key.save(update_fields=["revoked_at", "revoke_reason", "revoked_by", "cut_streams", "updated_at"])
    entomb_on_commit(key.organization_id, {key.key_id: cut_streams})
    _record(key, actor, "key.revoked", before=before, after=key_facts(key), reason=reason, shards=(ShardKind.DENY,))
    return key


@transaction.atomic
def keys_revoke(
    *, keys: Sequence[VirtualKey], reason: str, actor: Actor, cut_streams: bool = False
) -> list[VirtualKey]:
    """End several keys in one go: all of them, or none. Says which were alive until now."""
    alive = [key for key in keys if not key.is_revoked]
    # In one order, so that two bulk actions over the same keys cannot wait for each other for ever.
    return [
        key_revoke(key=key, reason=reason, actor=actor, cut_streams=cut_streams)
        for key in sorted(alive, key=lambda key: key.id)
    ]


def rotation_of(key: VirtualKey) -> Rotation | None:
    """The schedule of a key's line."""
    return None if key.rotation_days is None else Rotation(key.rotation_days, key.rotation_grace_s)


def key_facts(key: VirtualKey) -> dict[str, Any]:
    """What the audit may say of a key."""
    return {
        "name": key.name,
        "prefix": key.prefix,
        "key_id": key.key_id,
        "user": None if key.user is None else key.user.email,
        "service_account": None if key.service_account is None else key.service_account.name,
        "team": key.team.name,
        "models": list(key.allowed_models),
        "routes": list(key.allowed_routes),
        "source_networks": list(key.source_networks),
        "rotation_days": key.rotation_days,
        "rotation_grace_s": key.rotation_grace_s,
        "rotate_by": key.rotate_by,
        "tags": dict(key.tags),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "cut_streams": key.cut_streams,
    }


def _checked_rotation(rotation: Rotation | None, service_account: ServiceAccount | None) -> Rotation | None:
    if rotation is None:
        return None
    if service_account is None:
        raise ValidationError({"rotation_days": "Only keys of service accounts have a rotation schedule."})
    problems = {}
    if not 1 <= rotation.every_days <= MAX_ROTATION_DAYS:
        problems["rotation_days"] = f"Between 1 and {MAX_ROTATION_DAYS} days."
    if not 0 <= rotation.grace_s <= MAX_GRACE_S:
        problems["rotation_grace_seconds"] = f"Between 0 and {MAX_GRACE_S} seconds."
    if problems:
        raise ValidationError(problems)
    return rotation


def _schedule(key: VirtualKey, rotation: Rotation | None) -> None:
    if rotation is None:
        return
    made_at = key.created_at or timezone.now()
    key.rotation_days, key.rotation_grace_s = rotation.every_days, rotation.grace_s
    key.rotate_by = made_at + timedelta(days=rotation.every_days)
    key.expires_at = key.rotate_by + timedelta(seconds=rotation.grace_s)


def _new_key(*, kind: KeyKind, rotation: Rotation | None = None, **facts: Any) -> tuple[VirtualKey, str]:
    issued = issue(kind)
    key = VirtualKey(
        kind=kind.value,
        key_id=issued.id,
        prefix=issued.prefix,
        digest=issued.digest,
        pepper_version=issued.pepper_version,
        **facts,
    )
    _schedule(key, rotation)
    key.full_clean()
    key.save(force_insert=True)
    return key, issued.text


def _record(
    key: VirtualKey,
    actor: Actor,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
    reason: str = "",
    shards: Sequence[ShardKind],
) -> None:
    record_change(
        organization_id=key.organization_id,
        actor=actor,
        action=action,
        subject=Subject(KEY_SUBJECT, key.id.hex, f"{key.name} ({key.prefix}…)"),
        before=before,
        after=after,
        reason=reason,
        shards=shards,
    )


def _locked(key: VirtualKey) -> VirtualKey:
    """Read the key again under its lock: two people may act on it at once."""
    return (
        VirtualKey.objects.select_for_update(of=("self",))
        .select_related("organization", "user", "service_account", "team")
        .get(id=key.id, organization_id=key.organization_id)
    )


def _check_alive(key: VirtualKey) -> None:
    if key.is_revoked:
        raise ValidationError({"key": "This key is revoked."})


def _check_owner(organization: Organization, user: User | None, service_account: ServiceAccount | None) -> None:
    if (user is None) == (service_account is None):
        raise ValidationError({"owner": "A key belongs to exactly one user or one service account."})
    if user is not None:
        if membership_of(user, organization) is None:
            raise ValidationError({"owner": "There is no such member in this organization."})
        if not user.is_active:
            raise ValidationError({"owner": f"{user.email} is deactivated."})
    if service_account is not None:
        if service_account.organization_id != organization.id:
            raise ValidationError({"owner": "There is no such service account in this organization."})
        if not service_account.is_active:
            raise ValidationError({"owner": f"The service account {service_account.name} is switched off."})


def _only_team(organization: Organization, user: User | None, service_account: ServiceAccount | None) -> Team:
    if service_account is not None:
        return service_account.team
    assert user is not None
    own = list(teams_of_user(organization, user)[:2])
    candidates = own or list(teams_of(organization)[:2])
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ValidationError({"team": "A key is charged to a team, and this organization has none yet."})
    raise ValidationError({"team": "Choose the team that is charged for this key."})


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is None:
        return
    if timezone.is_naive(expires_at):
        raise ValidationError({"expires_at": "Say the time zone too."})
    if expires_at <= timezone.now():
        raise ValidationError({"expires_at": "This is in the past."})
