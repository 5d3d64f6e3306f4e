"""Names for the ids that usage carries, of those that a page shows: a few queries per kind, for one organization."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from django.db.models import Q

from control_plane.access.models import AccessRule
from control_plane.budgets.models import Budget
from control_plane.credentials.selectors import providers_of
from control_plane.keys.selectors import keys_of
from control_plane.limits.models import RateLimit, SessionCap
from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import memberships_of, service_accounts_of, teams_of
from control_plane.usage.adjustments import LABEL
from control_plane.usage.labels import NONE
from control_plane.usage.selectors.names import names_of
from control_plane.usage.selectors.series import METADATA

UNKNOWN = "unknown"
SAID = {"client": "tool", "client_version": "version of a tool", "agent": "agent told", "reason": "refusal"}
"""Groupings whose names are not the words that people use."""
NOT_THERE = {
    # Refused, or left by its tool, before it went anywhere.
    "model": "reached no model",
    "provider": "reached no provider",
    "requested_model": "named no model",
    "reason": "not refused",
    "failure": "did not fail",
}
"""What it means that a group has no value, where "no tool" would say too little."""
MOST_OPTIONS = 100
"""So many a list of choices may hold; where there are more, a name is typed."""


@dataclass(slots=True)
class Names:
    """Looks names up by id (UUID or 32 hex digits) and remembers what it read. Somebody who is gone is “unknown”."""

    KINDS: ClassVar = frozenset({"user", "team", "provider", "key"})
    """Groupings whose values are ids, and which can be chosen by name."""
    LOOKED_UP: ClassVar = KINDS | {"rule"}
    organization: Organization
    _read: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, kind: str, value: str) -> str:
        """The name of a group's value. kind: a grouping of usage; one without ids is its own name."""
        if not value or value == NONE:
            return NOT_THERE.get(kind) or f"no {SAID.get(kind, kind.removeprefix(METADATA).replace('_', ' '))}"
        if kind in ("model", "requested_model") and value == LABEL:
            return "corrections by people"
        if kind not in self.LOOKED_UP:
            return value
        known = self._read.setdefault(kind, {})
        if value not in known:
            self.learn(kind, [value])
        return known[value]

    def learn(self, kind: str, values: Iterable[str]) -> None:
        """Look many up at once, before they are asked for one by one."""
        if kind not in self.LOOKED_UP:
            return
        known = self._read.setdefault(kind, {})
        missing = {value for value in values if value and value not in known}
        if missing:
            known |= {value: _unknown(kind, value) for value in missing} | self._found(kind, missing)

    def principal(self, principal: UUID | str | None) -> str:
        if principal is None:
            return "nobody"
        return self.of("user", principal.hex if isinstance(principal, UUID) else principal)

    def team(self, team: UUID | None) -> str:
        return self.of("team", team.hex if team else "")

    def options(self, kind: str) -> tuple[tuple[str, str], ...]:
        """(id, name) of all, by name, for a filter's choices. Empty when they are too many to choose from."""
        match kind:
            case "user":
                people = memberships_of(self.organization).order_by("user__email").values_list("user_id", "user__email")
                accounts = service_accounts_of(self.organization).order_by("name").values_list("id", "name")
                rows = [*people[: MOST_OPTIONS + 1], *accounts[: MOST_OPTIONS + 1]]
            case "team":
                rows = [*teams_of(self.organization).order_by("name").values_list("id", "name")[: MOST_OPTIONS + 1]]
            case "provider":
                rows = [*providers_of(self.organization).order_by("name").values_list("id", "name")[: MOST_OPTIONS + 1]]
            case _:
                keys = keys_of(self.organization).values_list("key_id", "name", "prefix")[: MOST_OPTIONS + 1]
                return _choices([(key_id, f"{name} ({prefix}…)") for key_id, name, prefix in keys])
        return _choices([(row_id.hex, name) for row_id, name in rows])

    def find(self, kind: str, text: str) -> str:
        """The id for what was typed or chosen: an id as it is, else exactly this name. Empty: there is none."""
        if not text or text == NONE or _is_id(kind, text):
            return text
        match kind:
            case "user":
                email = memberships_of(self.organization).filter(user__email__iexact=text)
                found = email.values_list("user_id", flat=True).first() or (
                    service_accounts_of(self.organization).filter(name=text).values_list("id", flat=True).first()
                )
            case "team":
                found = teams_of(self.organization).filter(name=text).values_list("id", flat=True).first()
            case "provider":
                found = providers_of(self.organization).filter(name=text).values_list("id", flat=True).first()
            case _:
                return keys_of(self.organization).filter(name=text).values_list("key_id", flat=True).first() or ""
        return found.hex if found is not None else ""

    def ids_like(self, kind: str, text: str, *, most: int = 50) -> list[str]:
        """Ids of those whose names hold a text; a few."""
        match kind:
            case "user":
                people = memberships_of(self.organization).filter(
                    Q(user__email__icontains=text) | Q(user__name__icontains=text)
                )
                accounts = service_accounts_of(self.organization).filter(name__icontains=text)
                found = [
                    *people.order_by().values_list("user_id", flat=True)[:most],
                    *accounts.order_by().values_list("id", flat=True)[:most],
                ]
            case "team":
                teams = teams_of(self.organization).filter(name__icontains=text)
                found = [*teams.order_by().values_list("id", flat=True)[:most]]
            case "provider":
                providers = providers_of(self.organization).filter(name__icontains=text)
                found = [*providers.order_by().values_list("id", flat=True)[:most]]
            case _:
                keys = keys_of(self.organization).filter(Q(name__icontains=text) | Q(prefix__startswith=text))
                return [*keys.order_by().values_list("key_id", flat=True)[:most]]
        return [row_id.hex for row_id in found]

    def _found(self, kind: str, values: set[str]) -> dict[str, str]:
        if kind == "key":
            keys = keys_of(self.organization).filter(key_id__in=values).order_by()
            return {
                key_id: f"{name} ({prefix}…)" for key_id, name, prefix in keys.values_list("key_id", "name", "prefix")
            }
        ids = [UUID(value) for value in values if _is_id(kind, value)]
        match kind:
            case "user":
                names = names_of(self.organization.id, principal_ids=ids)
                found = names.users | names.service_accounts
            case "team":
                found = names_of(self.organization.id, team_ids=ids).teams
            case "rule":
                found = {}
                for model in (Budget, AccessRule, RateLimit, SessionCap):
                    rows = model.objects.filter(organization=self.organization, id__in=ids)
                    found |= dict(rows.values_list("id", "name"))
            case _:
                found = names_of(self.organization.id, provider_ids=ids).providers
        return {row_id.hex: name for row_id, name in found.items()}


def _unknown(kind: str, value: str) -> str:
    return f"{UNKNOWN} {value[:4]}…" if kind == "key" else f"{UNKNOWN} {value[:8]}"


def _is_id(kind: str, text: str) -> bool:
    if kind == "key":
        return len(text) == 12 and text.isalnum()
    return len(text) == 32 and all(sign in "0123456789abcdef" for sign in text)


def _choices(options: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    if len(options) > MOST_OPTIONS:
        return ()
    return tuple(sorted(options, key=lambda option: option[1].lower()))
