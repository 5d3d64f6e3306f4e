"""Which organizations a console session opens. Pure, besides reading what the session holds.

Single sign-on opens the organization whose connection it came through, and no other: one tenant's identity provider
says nothing about another's. A password opens every organization that does not enforce single sign-on, and, with a
second factor, the one whose break-glass owner the person is.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

from control_plane.identity.models import IdentityConnection
from control_plane.organizations.models import Membership, Role

SIGN_INS = "sign-ins"
"""The session's key for how its person proved who they are."""


class Method(StrEnum):
    PASSWORD = "password"  # noqa: S105  # a method, not a secret
    SINGLE_SIGN_ON = "sso"


@dataclass(frozen=True, slots=True)
class SignIn:
    """One proof of who somebody is. connection_id: of single sign-on."""

    method: Method
    has_second_factor: bool = False
    connection_id: UUID | None = None


class Entry(Enum):
    OPEN = "may enter"
    BREAK_GLASS = "enters past enforced single sign-on"
    CLOSED = "must sign in for this organization"


def sign_ins_of(session: Mapping[str, Any]) -> tuple[SignIn, ...]:
    """How the person of this session proved who they are. Without a note it was a password, the only way there was."""
    noted = session.get(SIGN_INS)
    if noted is None:
        return (SignIn(Method.PASSWORD),)
    return tuple(
        SignIn(Method(row["method"]), bool(row["second"]), UUID(row["connection"]) if row["connection"] else None)
        for row in noted
    )


def note_sign_in(session: MutableMapping[str, Any], sign_in: SignIn, *, earlier: Iterable[SignIn] = ()) -> None:
    """Note a proof in the session, beside earlier ones of the same person."""
    kept = [each for each in earlier if (each.method, each.connection_id) != (sign_in.method, sign_in.connection_id)]
    session[SIGN_INS] = [
        {
            "method": str(each.method),
            "second": each.has_second_factor,
            "connection": each.connection_id.hex if each.connection_id else "",
        }
        for each in (*kept, sign_in)
    ]


def judge_entry(sign_ins: Sequence[SignIn], membership: Membership, connections: Sequence[IdentityConnection]) -> Entry:
    """Say whether these proofs open the membership's organization. connections: its active ones."""
    of_organization = {connection.id for connection in connections}
    if any(each.connection_id in of_organization for each in sign_ins if each.connection_id is not None):
        return Entry.OPEN
    passwords = [each for each in sign_ins if each.method is Method.PASSWORD]
    enforced = [connection for connection in connections if connection.is_enforced]
    if not passwords:
        return Entry.CLOSED
    if not enforced:
        return Entry.OPEN
    is_named = membership.role == Role.OWNER and any(
        connection.break_glass_owner_id == membership.user_id for connection in enforced
    )
    if is_named and any(each.has_second_factor for each in passwords):
        return Entry.BREAK_GLASS
    return Entry.CLOSED
