"""Proving once more who one is: where that is asked for, and what an identity provider's answer proves."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from control_plane.accounts.models import User
from control_plane.identity.claims import Claims
from control_plane.identity.entry import Method, SignIn
from control_plane.identity.failures import Declined, InvalidAssertion
from control_plane.identity.models import IdentityConnection
from control_plane.identity.selectors import is_identity_of, ways_in
from control_plane.organizations.selectors import membership_of
from control_plane.web.sign_ins import confirm_session, safe_target

CONFIRM: Final = "confirm"
"""What a way to the identity provider is for, in the data that comes back with its answer."""
SENT: Final = "sent"
"""In the address: the person had sent a form, of which nothing was done."""
SEND_AGAIN = "You are confirmed. Nothing of what you sent before was done: send it again."
CLOCK_SKEW_S = 120


def confirm_address(target: str, *, was_sent: bool = False) -> str:
    """Where a proof is asked for; target: where to go then."""
    asked = {"next": target} | ({SENT: "1"} if was_sent else {})
    return f"{reverse('web:confirm')}?{urlencode(asked)}"


def confirmed_by_provider(
    request: HttpRequest, connection: IdentityConnection, data: Mapping[str, Any], claims: Claims
) -> HttpResponse:
    """The identity provider has answered; raises a SignInFailure when that proves nothing."""
    user = request.user
    if not isinstance(user, User) or user.id.hex != data["user"]:
        raise InvalidAssertion("confirm_session", "This was begun by somebody else. Sign in again.")
    if not is_identity_of(user, connection, claims.subject):
        raise InvalidAssertion("confirm_person", f"{connection.name} signed in somebody else than {user.email}.")
    membership = membership_of(user, connection.organization)
    sign_in = SignIn(Method.SINGLE_SIGN_ON, connection_id=connection.id)
    if membership is None or sign_in not in ways_in(request.session, membership, [connection]):
        raise InvalidAssertion("confirm_session", "This session was not signed in this way. Sign in again.")
    asked_s = int(data["asked_s"])
    # Where a provider says nothing about the time, its word that it heeded the question must do.
    if claims.authenticated_s is not None and claims.authenticated_s < asked_s - CLOCK_SKEW_S:
        raise Declined("confirm_stale", f"{connection.name} did not ask you to sign in again. Sign out here, then in.")
    confirm_session(request, user, sign_in, organization=connection.organization, words=connection.name)
    if data["was_sent"]:
        messages.warning(request, SEND_AGAIN)
    return HttpResponseRedirect(safe_target(request, str(data["next"])))
