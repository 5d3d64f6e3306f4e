"""Names for the ids that usage carries: one query per kind, for one organization."""

from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from control_plane.accounts.models import User
from control_plane.credentials.selectors import providers_of
from control_plane.keys.selectors import keys_of
from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import memberships_of, service_accounts_of, teams_of

UNKNOWN = "unknown"


@dataclass(slots=True)
class Names:
    """Looks names up by id (UUID or 32 hex digits) and remembers what it read. Somebody who is gone is “unknown”."""

    KINDS: ClassVar = frozenset({"user", "team", "provider", "key"})
    """Groupings whose values are ids."""
    organization: Organization
    _read: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, kind: str, value: str) -> str:
        """The name of a group's value. kind: a grouping of usage; one without ids is its own name."""
        if not value:
            return f"no {kind.replace('_', ' ')}"
        match kind:
            case "user":
                return self.principal(value)
            case "team":
                return self._names("team").get(value, f"{UNKNOWN} {value[:8]}")
            case "provider":
                return self._names("provider").get(value, f"{UNKNOWN} {value[:8]}")
            case "key":
                return self._names("key").get(value, f"{UNKNOWN} {value[:4]}…")
            case _:
                return value

    def principal(self, principal: UUID | str | None) -> str:
        if principal is None:
            return "nobody"
        text = principal.hex if isinstance(principal, UUID) else principal
        name = self._names("user").get(text)
        if name is None:
            # Left the organization: their history keeps their name.
            left = User.objects.filter(id=text).values_list("email", flat=True).first()
            name = self._names("user")[text] = left or f"{UNKNOWN} {text[:8]}"
        return name

    def team(self, team: UUID | None) -> str:
        return self.of("team", team.hex if team else "")

    def options(self, kind: str) -> tuple[tuple[str, str], ...]:
        """(id, name) of all, by name: for a filter's choices."""
        return tuple(sorted(self._names(kind).items(), key=lambda item: item[1].lower()))

    def _names(self, kind: str) -> dict[str, str]:
        if kind not in self._read:
            self._read[kind] = self._load(kind)
        return self._read[kind]

    def _load(self, kind: str) -> dict[str, str]:
        match kind:
            case "user":
                people = {row.user_id.hex: row.user.email for row in memberships_of(self.organization)}
                return people | {row.id.hex: row.name for row in service_accounts_of(self.organization)}
            case "team":
                return {row.id.hex: row.name for row in teams_of(self.organization)}
            case "provider":
                return {row.id.hex: row.name for row in providers_of(self.organization)}
            case "key":
                return {
                    key_id: f"{name} ({prefix}…)"
                    for key_id, name, prefix in keys_of(self.organization).values_list("key_id", "name", "prefix")
                }
            case _:
                raise ValueError(f"nothing called {kind!r} has ids")
