"""What saving a key's form would change, field by field, as people read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from control_plane.keys.models import VirtualKey
from control_plane.keys.services import Rotation
from control_plane.keys.services.virtual_keys import rotation_of
from control_plane.web.forms.keys import KeyEditForm
from control_plane.web.key_words import ROUTE_NAMES, days, span


@dataclass(frozen=True, slots=True)
class ChangeAsked:
    label: str
    before: str
    after: str


def changes_asked(key: VirtualKey, form: KeyEditForm) -> list[ChangeAsked]:
    """Fields with mistakes are left out: their errors stand beside them."""
    given = getattr(form, "cleaned_data", {})
    pairs: list[tuple[str, str, str]] = []
    if "name" in given:
        pairs.append(("Name", key.name, given["name"]))
    for field, label, now in (
        ("models", "Models", key.allowed_models),
        ("source_networks", "Networks", key.source_networks),
    ):
        if field in given:
            pairs.append((label, _all(now), _all(given[field])))
    if "routes" in given:
        pairs.append(("Works with", _tools(key.allowed_routes), _tools(given["routes"])))
    if "tags" in given:
        pairs.append(("Tags", _tags(key.tags), _tags(given["tags"])))
    if given.get("expires"):
        pairs.append(("Ends", _end(key.expires_at, rotation_of(key)), _asked_end(form)))
    return [ChangeAsked(*pair) for pair in pairs if pair[1] != pair[2]]


def _asked_end(form: KeyEditForm) -> str:
    if form.rotation is not None:
        return _end(None, form.rotation)
    if form.cleaned_data["expires"] == "day" and not form.cleaned_data.get("until"):
        return "on a day still to be chosen"
    if form.keeps_end:
        return _end(form.key.expires_at, None)
    return _end(form.expires_at, None)


def _end(at: datetime | None, rotation: Rotation | None) -> str:
    if rotation is not None:
        return f"replaced every {days(rotation.every_days)}, {span(rotation.grace_s)} when overdue"
    return "never" if at is None else f"{timezone.localtime(at):%-d %b %Y}"


def _all(names: Sequence[str]) -> str:
    return ", ".join(names) or "all"


def _tools(routes: Sequence[str]) -> str:
    return ", ".join(ROUTE_NAMES[route] for route in ROUTE_NAMES if route in routes) or "every tool"


def _tags(tags: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(tags.items())) or "none"
