"""When the person of a console session last proved who they are, by which of their ways.

A session lasts for a working day and may be left unlocked; what hands out power asks for a proof not older than
FRESH_S. Pure, besides reading and writing what the session holds.

A proof counts where its way opens: one tenant's identity provider vouches for nothing in another organization.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from control_plane.identity.entry import SignIn, sign_ins_of

FRESH_S: Final = 30 * 60
"""As long as a session may idle: whoever worked through a list of keys is not asked twice, and a session somebody else
sits down at after a break is either signed out or asked."""
PROOFS = "proofs"
"""The session's key for the Unix seconds of the newest proof by each way."""


def note_proof(session: MutableMapping[str, Any], sign_in: SignIn, *, at_s: int) -> None:
    """Note that the person has just proved who they are."""
    session[PROOFS] = {**session.get(PROOFS, {}), _way(sign_in): at_s}


def note_beginning(session: MutableMapping[str, Any], *, at_s: int) -> None:
    """Take the sign-in of a session that has just begun as its proof, unless one is noted."""
    if PROOFS not in session:
        for sign_in in sign_ins_of(session):
            note_proof(session, sign_in, at_s=at_s)


def is_fresh(session: Mapping[str, Any], ways: Iterable[SignIn], *, now_s: int) -> bool:
    """Whether the person proved who they are lately, by one of these ways."""
    proofs = session.get(PROOFS, {})
    return any(now_s - proofs[_way(way)] < FRESH_S for way in ways if _way(way) in proofs)


def _way(sign_in: SignIn) -> str:
    return sign_in.connection_id.hex if sign_in.connection_id else str(sign_in.method)
