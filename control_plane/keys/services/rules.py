"""Within what people mint keys of their own: an organization's rules, and whether a wish keeps them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.keys.models import KeyRules, VirtualKey
from control_plane.keys.services.scopes import checked_globs, intersect, is_within
from control_plane.keys.services.tokens import MOST_TOKEN_DAYS
from control_plane.organizations.models import Membership, Organization, Team

MAX_PERSONAL_DAYS = 3660
UNCHANGED: Any = object()
"""Stands for *leave as it is* where None means *no limit*."""


def rules_of(organization: Organization) -> KeyRules:
    """The rules in force; without a row, those that limit nothing."""
    return KeyRules.objects.filter(organization=organization).first() or KeyRules(
        organization=organization, updated_at=organization.created_at
    )


@transaction.atomic
def key_rules_update(
    *,
    organization: Organization,
    actor: Actor,
    members_may_mint: bool | None = None,
    max_personal_keys: int | None = UNCHANGED,
    max_personal_days: int | None = UNCHANGED,
    personal_models: Sequence[str] | None = None,
    max_token_days: int | None = UNCHANGED,
    reason: str = "",
) -> KeyRules:
    """Change the rules. Models bite at once, on keys that exist too; numbers bite on keys that are minted from now on.

    Raises ValidationError.
    """
    # Two admins at once: the organization's row is the lock, since the rules may have none yet.
    Organization.objects.select_for_update().get(id=organization.id)
    rules = rules_of(organization)
    before = _facts(rules)
    if members_may_mint is not None:
        rules.members_may_mint = members_may_mint
    if max_personal_keys is not UNCHANGED:
        rules.max_personal_keys = _checked(max_personal_keys, "max_personal_keys", 1000)
    if max_personal_days is not UNCHANGED:
        rules.max_personal_days = _checked(max_personal_days, "max_personal_days", MAX_PERSONAL_DAYS)
    if max_token_days is not UNCHANGED:
        rules.max_token_days = _checked(max_token_days, "max_token_days", MOST_TOKEN_DAYS)
    if personal_models is not None:
        rules.personal_models = checked_globs(personal_models, "personal_models")
    after = _facts(rules)
    if after == before:
        return rules
    rules.save()
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="key_rules.updated",
        subject=Subject("key_rules", organization.id.hex, "personal keys"),
        before=before,
        after=after,
        reason=reason,
        shards=(ShardKind.KEYS,),
    )
    return rules


def lock_minting(organization: Organization, user: User) -> None:
    """Keep one person's mintings in a row, so that two at once cannot pass the limit together."""
    Membership.objects.select_for_update().filter(organization=organization, user=user).first()


def heed_rules(
    organization: Organization,
    user: User,
    models: Sequence[str],
    expires_at: datetime | None,
    *,
    changing: VirtualKey | None = None,
) -> tuple[list[str], datetime | None]:
    """Models and end of a personal key within the rules; what was left open is filled in with the rule's own.

    changing: a key that exists, so that only its reach is judged. Raises ValidationError where the wish goes beyond.
    """
    rules = rules_of(organization)
    problems: dict[str, str] = {}
    if changing is None:
        _check_minting(rules, organization, user, problems)
    wider = [glob for glob in models if rules.personal_models and not is_within(glob, rules.personal_models)]
    if wider:
        problems["models"] = (
            f"Personal keys stay within {', '.join(rules.personal_models)} here; {', '.join(wider)} goes beyond."
        )
    if rules.max_personal_days is not None:
        born = timezone.now() if changing is None else changing.created_at
        latest = born + timedelta(days=rules.max_personal_days)
        if expires_at is None:
            expires_at = latest
        elif expires_at > latest + timedelta(minutes=1):
            problems["expires_at"] = f"Personal keys live at most {rules.max_personal_days} days here."
    if problems:
        raise ValidationError(problems)
    return intersect(models, rules.personal_models), expires_at


def check_tags_are_free(organization: Organization, user: User, team: Team, tags: Mapping[str, str]) -> None:
    """Whoever is bound by the rules may add tags, and not replace those that the team or the membership sets: rules
    and reports go by them. Raises ValidationError."""
    membership = Membership.objects.filter(organization=organization, user=user).first()
    fixed = {**team.tags, **(membership.tags if membership is not None else {})}
    taken = sorted(name for name, value in tags.items() if name in fixed and fixed[name] != value)
    if taken:
        raise ValidationError(
            {
                "tags": [
                    f"{name} is {fixed[name]!r} by your team or membership; only an admin changes it." for name in taken
                ]
            }
        )


def _check_minting(rules: KeyRules, organization: Organization, user: User, problems: dict[str, str]) -> None:
    if not rules.members_may_mint:
        problems["owner"] = "People do not mint their own keys in this organization. Ask an admin for one."
    if rules.max_personal_keys is None:
        return
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    held = VirtualKey.objects.filter(alive, organization=organization, user=user, revoked_at__isnull=True).count()
    if held >= rules.max_personal_keys:
        problems["owner"] = (
            f"{user.email} holds {held} live keys, and {rules.max_personal_keys} is this organization's limit. "
            "Revoke one that is not used any more."
        )


def _checked(value: int | None, field: str, highest: int) -> int | None:
    if value is not None and not 1 <= value <= highest:
        raise ValidationError({field: f"Between 1 and {highest}, or nothing for no limit."})
    return value


def _facts(rules: KeyRules) -> dict[str, Any]:
    return {
        "members_may_mint": rules.members_may_mint,
        "max_personal_keys": rules.max_personal_keys,
        "max_personal_days": rules.max_personal_days,
        "personal_models": list(rules.personal_models),
        "max_token_days": rules.max_token_days,
    }
