"""Add, change, remove and try channels."""

from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.alerts.channels.catalog import all_channels
from control_plane.alerts.channels.channel import Channel, Destination
from control_plane.alerts.crossings import wake_sender
from control_plane.alerts.models import AlertChannel, Delivery, Topic
from control_plane.alerts.recipients import COST_CENTRE_OWNER, TEAM_LEAD
from control_plane.alerts.sealing import new_secret, put_secret
from control_plane.alerts.services.outbox import TRIED_FOR
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.budgets.models import Budget
from control_plane.organizations.models import Organization

RESERVED = (TEAM_LEAD, COST_CENTRE_OWNER)
MOST_CHANNELS = 200
SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What is said of a channel; None: as it is, or nothing."""

    name: str | None = None
    description: str | None = None
    addresses: tuple[str, ...] | None = None
    url: str | None = None
    cost_centre: str | None = None
    hears: tuple[str, ...] | None = None
    is_active: bool | None = None
    secret: str | None = field(default=None, repr=False)
    """Of a webhook: its own, or "" for a new one made here."""


@dataclass(frozen=True, slots=True)
class MadeChannel:
    """A channel, and the secret that was made for it; empty: none was made. It is shown once."""

    channel: AlertChannel
    secret: str = field(default="", repr=False)


@transaction.atomic
def channel_create(*, organization: Organization, type: str, facts: ChannelFacts, actor: Actor) -> MadeChannel:
    """Add a channel. Raises ValidationError."""
    Organization.objects.select_for_update().get(id=organization.id)
    if AlertChannel.objects.filter(organization=organization).count() >= MOST_CHANNELS:
        raise ValidationError(f"An organization has at most {MOST_CHANNELS} alert channels.")
    if type not in all_channels():
        raise ValidationError({"type": f"One of {', '.join(all_channels())}."})
    channel = AlertChannel(organization=organization, type=type)
    secret = _apply(channel, facts)
    channel.save()
    _record(channel, actor, "alert_channel.created", None)
    return MadeChannel(channel, secret)


@transaction.atomic
def channel_update(*, channel: AlertChannel, facts: ChannelFacts, actor: Actor) -> MadeChannel:
    """Change what is given. A new name while a budget names the old one is refused. Raises ValidationError."""
    channel = AlertChannel.objects.select_for_update().get(id=channel.id, organization_id=channel.organization_id)
    before = _facts_of(channel)
    if facts.name is not None and facts.name != channel.name:
        _refuse_if_named(channel, "name")
    secret = _apply(channel, facts)
    channel.save()
    if _facts_of(channel) != before or facts.secret is not None:
        _record(channel, actor, "alert_channel.updated", before)
    return MadeChannel(channel, secret)


@transaction.atomic
def channel_delete(*, channel: AlertChannel, actor: Actor) -> None:
    """Remove a channel that no budget names. Raises ValidationError."""
    channel = AlertChannel.objects.select_for_update().get(id=channel.id, organization_id=channel.organization_id)
    _refuse_if_named(channel, "__all__")
    _record(channel, actor, "alert_channel.deleted", _facts_of(channel), is_gone=True)
    channel.delete()


@transaction.atomic
def channel_test(*, channel: AlertChannel, actor: Actor) -> Delivery:
    """Send a message that says it is a test; the delivery tells what came of it."""
    now = timezone.now()
    delivery = Delivery.objects.create(
        organization_id=channel.organization_id,
        type=channel.type,
        recipient=f"channel:{channel.id.hex}",
        channel=channel,
        recipient_name=channel.name,
        due_at=now,
        give_up_at=now + TRIED_FOR,
    )
    _record(channel, actor, "alert_channel.tested", None, has_facts=False)
    transaction.on_commit(wake_sender, robust=True)
    return delivery


def budgets_naming(channel: AlertChannel) -> list[str]:
    """The names of budgets whose stages tell this channel."""
    budgets = Budget.objects.filter(organization_id=channel.organization_id).order_by("name")
    names = {channel.name, f"channel:{channel.name}"}
    return [
        name
        for name, stages in budgets.values_list("name", "stages")
        if any(names.intersection(stage.get("notify") or ()) for stage in stages)
    ]


def _apply(channel: AlertChannel, facts: ChannelFacts) -> str:
    """Put the facts into the row and check the whole of it; gives back a secret that was made."""
    kind = all_channels()[channel.type]
    for name in ("name", "description", "url", "cost_centre", "is_active"):
        if (value := getattr(facts, name)) is not None:
            setattr(channel, name, value.strip() if isinstance(value, str) else value)
    if facts.addresses is not None:
        channel.addresses = list(dict.fromkeys(address.strip() for address in facts.addresses))
    if facts.hears is not None:
        channel.hears = [topic for topic in Topic.values if topic in facts.hears]
    _check_fields(channel, kind, facts)
    made = ""
    if "url" in kind.takes:
        secret = facts.secret
        if secret or facts.secret == "" or not channel.has_secret:
            made = "" if secret else new_secret()
            put_secret(channel, secret or made)
    channel.full_clean(exclude=["organization"])
    return made


def _check_fields(channel: AlertChannel, kind: Channel, facts: ChannelFacts) -> None:
    if channel.name in RESERVED:
        raise ValidationError({"name": f"{channel.name} already means somebody."})
    if unknown := sorted(set(facts.hears or ()) - set(Topic.values)):
        raise ValidationError({"hears": f"{unknown[0]} is none of {', '.join(Topic.values)}."})
    for name in ("addresses", "url"):
        if name not in kind.takes and getattr(channel, name):
            raise ValidationError({name: f"Not of a channel of the type {kind.type}."})
    if facts.secret is not None and "url" not in kind.takes:
        raise ValidationError({"secret": f"Not of a channel of the type {kind.type}."})
    if facts.secret and not SHORTEST_SECRET <= len(facts.secret) <= 500:
        raise ValidationError({"secret": f"From {SHORTEST_SECRET} to 500 characters."})
    kind.check(Destination(tuple(channel.addresses), channel.url))
    others = AlertChannel.objects.filter(organization_id=channel.organization_id).exclude(id=channel.id)
    if others.filter(name=channel.name).exists():
        raise ValidationError({"name": "There is a channel of this name."})
    if channel.cost_centre and (owner := others.filter(cost_centre=channel.cost_centre).first()):
        raise ValidationError({"cost_centre": f"Alerts of this cost centre go to the channel {owner.name}."})


def _refuse_if_named(channel: AlertChannel, where: str) -> None:
    if naming := budgets_naming(channel):
        shown = ", ".join(naming[:5]) + (" and others" if len(naming) > 5 else "")
        raise ValidationError({where: f"Budgets tell it: {shown}. Take it out of their stages first."})


def _record(
    channel: AlertChannel,
    actor: Actor,
    action: str,
    before: dict[str, Any] | None,
    *,
    is_gone: bool = False,
    has_facts: bool = True,
) -> None:
    record_change(
        organization_id=channel.organization_id,
        actor=actor,
        action=action,
        subject=Subject("alert_channel", channel.id.hex, channel.name),
        before=before,
        after=_facts_of(channel) if has_facts and not is_gone else None,
    )


def _facts_of(channel: AlertChannel) -> dict[str, Any]:
    """What the audit shows: no secret, only which one it is."""
    return {
        "name": channel.name,
        "type": channel.type,
        "description": channel.description,
        "addresses": list(channel.addresses),
        "url": channel.url.partition("?")[0],
        "cost_centre": channel.cost_centre,
        "hears": list(channel.hears),
        "is_active": channel.is_active,
        "secret_version": channel.secret_version,
    }
