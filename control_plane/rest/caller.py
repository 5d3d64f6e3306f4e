"""Who calls the API, in which organization, and with which rights."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from rest_framework.request import Request


class Rights(Protocol):
    """What this package asks of a person's standing (organizations.roles.Standing); rights go by name here."""

    def may_at_all(self, permission: str) -> bool:
        """Whether there can be anything this person may do it to."""
        ...

    def can(self, permission: str, *, owner_id: UUID | None = None, team_ids: Collection[UUID] = ()) -> bool:
        """Whether this person may do it to one object: of a person, in teams."""
        ...

    def refusal(self, permission: str) -> str:
        """Say which right is missing, and who has it."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person or the holder of an admin token; travels as `request.auth`.

    The values of the apps above are named Any: this package lies below them.
    """

    user: Any
    """accounts.models.User"""
    organization: Any
    """organizations.models.Organization"""
    standing: Any
    """organizations.roles.Standing, read with this very request; it is a Rights."""
    actor: Any
    """audit.services.Actor"""
    is_token: bool
    """Whether an admin token was presented; otherwise it is a console session."""
    is_proved_lately: bool = True
    """Whether the person of a console session proved lately who they are; a token is its own proof."""

    @property
    def organization_id(self) -> UUID:
        return UUID(str(self.organization.id))

    @property
    def rights(self) -> Rights:
        rights: Rights = self.standing
        return rights


def caller_of(request: Request) -> Caller:
    """The caller of an authenticated request."""
    caller = request.auth
    assert isinstance(caller, Caller)
    return caller
