"""What a key is or will be, in one sentence: with which tools, for which models, from where, until when, who pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from control_plane.keys.models import KeyRules, VirtualKey
from control_plane.keys.services import Rotation
from control_plane.keys.services.virtual_keys import rotation_of
from switchyard_contract.routes import (
    ANTHROPIC_MESSAGES,
    GEMINI_CONTENT,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    ROUTES,
)

ROUTE_NAMES: Mapping[str, str] = {
    ANTHROPIC_MESSAGES: "Claude (Anthropic Messages)",
    OPENAI_CHAT: "OpenAI Chat",
    OPENAI_RESPONSES: "OpenAI Responses (Codex)",
    OPENAI_EMBEDDINGS: "Embeddings",
    GEMINI_CONTENT: "Gemini",
}
"""What people call a protocol, where they choose it."""
SHORT_NAMES: Mapping[str, str] = {
    ANTHROPIC_MESSAGES: "Claude",
    OPENAI_CHAT: "OpenAI Chat",
    OPENAI_RESPONSES: "Codex",
    OPENAI_EMBEDDINGS: "embeddings",
    GEMINI_CONTENT: "Gemini",
}
ROUTE_CHOICES = tuple((route, ROUTE_NAMES[route]) for route in ROUTES)
MOST_NAMED = 4
HOUR_S, DAY_S = 3600, 86_400


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What somebody has asked for so far. ends_at None without a rotation: never."""

    models: Sequence[str] = ()
    routes: Sequence[str] = ()
    source_networks: Sequence[str] = ()
    ends_at: datetime | None = None
    rotation: Rotation | None = None
    team: str = ""


def wish_of(key: VirtualKey) -> KeyWish:
    """A key that exists, as a wish: so that both are told alike."""
    return KeyWish(
        key.allowed_models,
        key.allowed_routes,
        key.source_networks,
        None if key.rotation_days is not None else key.expires_at,
        rotation_of(key),
        key.team.name,
    )


def sentence(wish: KeyWish) -> str:
    """One sentence of what a key is good for."""
    parts = [f"Works with {_tools(wish.routes)}"]
    if wish.models:
        parts.append(f"for {listed(wish.models)}")
    parts.append(f"from {listed(wish.source_networks)}" if wish.source_networks else "from anywhere")
    parts.append(_end(wish))
    charged = f"; charged to {wish.team}" if wish.team else ""
    return f"{', '.join(parts)}{charged}."


def rules_note(rules: KeyRules) -> str:
    """What an organization's rules say to somebody who mints a key of their own; empty: nothing."""
    limits = []
    if rules.max_personal_days is not None:
        limits.append(days(rules.max_personal_days))
    if rules.personal_models:
        limits.append(listed(rules.personal_models))
    if rules.max_personal_keys is not None:
        limits.append(f"{rules.max_personal_keys} at a time")
    return f"Your organization limits personal keys to {joined(limits)}." if limits else ""


def rules_sentence(rules: KeyRules) -> str:
    """What the rules mean, to whoever sets them."""
    if not rules.members_may_mint:
        return "People do not mint keys of their own; admins mint for them. Keys that exist live on."
    limits = []
    if rules.max_personal_keys is not None:
        limits.append(f"at most {rules.max_personal_keys} each")
    if rules.max_personal_days is not None:
        limits.append(f"living at most {days(rules.max_personal_days)}")
    if rules.personal_models:
        limits.append(f"for {listed(rules.personal_models)} only")
    return f"People mint their own keys, {joined(limits)}." if limits else "People mint their own keys, without limits."


def listed(names: Sequence[str]) -> str:
    """Names with commas; of many the first."""
    more = len(names) - MOST_NAMED
    return joined(list(names)) if more <= 0 else f"{', '.join(names[:MOST_NAMED])} and {more} more"


def joined(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def days(number: int) -> str:
    return "a day" if number == 1 else f"{number} days"


def span(seconds: int) -> str:
    """A grace in words."""
    if seconds == 0:
        return "no grace"
    if seconds % DAY_S == 0:
        return days(seconds // DAY_S)
    hours = seconds / HOUR_S
    return "an hour" if hours == 1 else f"{hours:g} hours"


def _tools(routes: Sequence[str]) -> str:
    named = [SHORT_NAMES[route] for route in ROUTES if route in routes]
    return joined(named) if named and len(named) < len(ROUTES) else "every tool"


def _end(wish: KeyWish) -> str:
    if wish.rotation is not None:
        every, grace = wish.rotation.every_days, wish.rotation.grace_s
        after = f"{span(grace)} after it is due" if grace else "on the day it is due"
        return f"replaced every {days(every)}, ending {after}"
    if wish.ends_at is None:
        return "for ever"
    return f"until {timezone.localtime(wish.ends_at):%-d %b %Y}"
