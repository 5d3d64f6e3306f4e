"""Change people: who they are, how they prove it, and where they are signed in."""

from control_plane.accounts.services.actors import actor_of, user_subject
from control_plane.accounts.services.people import (
    user_activity_set,
    user_create,
    user_identity_set,
    user_password_set,
    user_preferences_set,
)
from control_plane.accounts.services.second_factors import (
    FreshFactor,
    recovery_codes_renew,
    second_factor_begin,
    second_factor_confirm,
    second_factor_remove,
    second_factor_verify,
)
from control_plane.accounts.services.sessions import (
    SessionOrigin,
    session_begin,
    session_end,
    sessions_end,
    sessions_forget_ended,
)

__all__ = [
    "FreshFactor",
    "SessionOrigin",
    "actor_of",
    "recovery_codes_renew",
    "second_factor_begin",
    "second_factor_confirm",
    "second_factor_remove",
    "second_factor_verify",
    "session_begin",
    "session_end",
    "sessions_end",
    "sessions_forget_ended",
    "user_activity_set",
    "user_create",
    "user_identity_set",
    "user_password_set",
    "user_preferences_set",
    "user_subject",
]
