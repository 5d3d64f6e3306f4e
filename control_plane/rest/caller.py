"""Who calls the API, and in which organization."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rest_framework.request import Request


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person or the holder of an admin token; travels as `request.auth`.

    The values of the apps above are named Any: this package lies below them.
    """

    user: Any
    """accounts.models.User"""
    organization: Any
    """organizations.models.Organization"""
    is_admin: bool
    actor: Any
    """audit.services.Actor"""
    is_token: bool
    """Whether an admin token was presented; otherwise it is a console session."""

    @property
    def organization_id(self) -> UUID:
        return UUID(str(self.organization.id))

    @property
    def principal_ids(self) -> frozenset[UUID] | None:
        """Whose usage may be seen; None: everybody's in the organization."""
        return None if self.is_admin else frozenset({UUID(str(self.user.id))})


def caller_of(request: Request) -> Caller:
    """The caller of an authenticated request."""
    caller = request.auth
    assert isinstance(caller, Caller)
    return caller
