"""Single sign-on: to the identity provider and back."""

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.identity import oidc, saml
from control_plane.identity.addresses import finish_path
from control_plane.identity.claims import Claims
from control_plane.identity.entry import Method, SignIn
from control_plane.identity.failures import Declined, InvalidAssertion, NotAdmitted, ProviderUnreachable, SignInFailure
from control_plane.identity.models import ConnectionKind, IdentityConnection
from control_plane.identity.selectors import connection_to_begin
from control_plane.identity.services import arrival_foretell, connection_test_record, person_admit
from control_plane.organizations.models import Membership
from control_plane.organizations.roles import Permission, can
from control_plane.organizations.selectors import standing_of
from control_plane.web.access import ORGANIZATION_IN_SESSION
from control_plane.web.confirming import CONFIRM, confirm_address, confirmed_by_provider
from control_plane.web.sign_ins import begin_session, safe_target, source_of
from control_plane.web.throttle import beginning_throttle

log = logging.getLogger(__name__)

TEST_IN_SESSION = "sign-in test"
STATUSES: Mapping[type[SignInFailure], int] = {
    InvalidAssertion: 401,
    Declined: 401,
    NotAdmitted: 403,
    ProviderUnreachable: 502,
}


@never_cache
@require_GET
def begin(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """To the identity provider. Also the address that its own list of applications points to."""
    connection = _connection(connection_id)
    return to_provider(request, connection, {"mode": "sign-in"}, next_url=safe_target(request))


def to_provider(
    request: HttpRequest, connection: IdentityConnection, data: dict[str, Any], *, next_url: str
) -> HttpResponse:
    """Lead the browser to the identity provider. data: comes back with the answer."""
    public = urlsplit(settings.SWITCHYARD.console_public_url).netloc
    if request.get_host() != public and request.method == "GET" and data["mode"] == "sign-in":
        # The answer comes to the public address, where this host's cookie is not sent.
        return HttpResponseRedirect(f"{settings.SWITCHYARD.console_public_url}{request.get_full_path()}")
    throttle = beginning_throttle(source_of(request))
    if throttle.is_exhausted():
        return _failed(request, connection, "Too many tries. Wait a quarter of an hour.", status=429)
    throttle.count()
    protocol = oidc if connection.kind == ConnectionKind.OIDC else saml
    try:
        return protocol.begin(request, connection, next_url=next_url, data=data, asks_anew=data["mode"] == CONFIRM)
    except SignInFailure as failure:
        return _refuse(request, connection, failure, data)


@never_cache
@require_GET
def callback(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """OIDC: the answer."""
    connection = _connection(connection_id, ConnectionKind.OIDC)
    try:
        state = oidc.take_state(request, connection)
    except SignInFailure as failure:
        return _refuse(request, connection, failure, {})
    return _complete(request, connection, state, lambda: oidc.finish(request, connection, state).claims)


@csrf_exempt
@never_cache
@require_POST
def acs(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """SAML: the answer. It comes from another site, so without our cookie; what it says is picked up by `finish`."""
    connection = _connection(connection_id, ConnectionKind.SAML)
    try:
        handle = saml.accept(connection, {"SAMLResponse": request.POST.get("SAMLResponse", "")})
    except SignInFailure as failure:
        return _refuse(request, connection, failure, {})
    response = HttpResponseRedirect(f"{finish_path(connection.id)}?{urlencode({'answer': handle.hex})}")
    response.status_code = 303
    return response


@never_cache
@require_GET
def finish(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """SAML: the browser that asked picks up what was answered."""
    connection = _connection(connection_id, ConnectionKind.SAML)
    try:
        handle = UUID(request.GET.get("answer", ""))
    except ValueError:
        raise Http404 from None
    try:
        claims, state = saml.pick_up(request, connection, handle)
    except SignInFailure as failure:
        return _refuse(request, connection, failure, {})
    return _complete(request, connection, state, lambda: claims)


@require_GET
def metadata(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """SAML: what the identity provider must know of us."""
    connection = _connection(connection_id, ConnectionKind.SAML)
    return HttpResponse(saml.own_metadata(connection), content_type="application/samlmetadata+xml")


def _complete(
    request: HttpRequest, connection: IdentityConnection, state: Mapping[str, Any], read: Callable[[], Claims]
) -> HttpResponse:
    data = state.get("data") or {}
    try:
        claims = read()
        if data.get("mode") == "test":
            return _tested(request, connection, data, claims, "")
        if data.get("mode") == CONFIRM:
            return confirmed_by_provider(request, connection, data, claims)
        arrival = person_admit(connection=connection, claims=claims, source_address=source_of(request))
    except SignInFailure as failure:
        return _refuse(request, connection, failure, data)
    proof = SignIn(Method.SINGLE_SIGN_ON, connection_id=connection.id)
    begin_session(request, arrival.user, proof, words=connection.name)
    request.session[ORGANIZATION_IN_SESSION] = str(connection.organization_id)
    return HttpResponseRedirect(safe_target(request, str(state.get("next") or "")))


def _refuse(
    request: HttpRequest, connection: IdentityConnection, failure: SignInFailure, data: Mapping[str, Any]
) -> HttpResponse:
    log.warning("single sign-on refused", extra={"connection": connection.id.hex, "code": failure.code})
    if data.get("mode") == "test":
        return _tested(request, connection, data, None, str(failure))
    back = str(data["next"]) if data.get("mode") == CONFIRM else ""
    return _failed(request, connection, str(failure), status=STATUSES[type(failure)], code=failure.code, back=back)


def _tested(
    request: HttpRequest,
    connection: IdentityConnection,
    data: Mapping[str, Any],
    claims: Claims | None,
    problem: str,
) -> HttpResponse:
    """Keep how a test ended, for whoever began it; nobody is signed in by it."""
    user = request.user
    if not isinstance(user, User) or user.id.hex != data.get("user") or not _may_manage(user, connection):
        return _failed(request, connection, "This test was begun by somebody else.", status=403, code="test")
    shown: dict[str, Any] = {"connection": connection.id.hex, "problem": problem}
    if claims is not None:
        foretold = arrival_foretell(connection=connection, claims=claims)
        problem = foretold.problem
        shown = {
            "connection": connection.id.hex,
            "problem": problem,
            "subject": claims.subject,
            "email": claims.email,
            "name": claims.name,
            "groups": None if claims.groups is None else sorted(claims.groups),
            "role": None if foretold.role is None else foretold.role.label,
            "teams": list(foretold.teams),
        }
    connection_test_record(
        connection=connection, problem=problem, actor=actor_of(user, source_address=source_of(request))
    )
    request.session[TEST_IN_SESSION] = shown
    return HttpResponseRedirect(reverse("web:connection", args=[connection.id]))


def _may_manage(user: User, connection: IdentityConnection) -> bool:
    membership = (
        Membership.objects.select_related("organization")
        .filter(user=user, organization_id=connection.organization_id)
        .first()
    )
    return membership is not None and can(standing_of(membership), Permission.SIGN_IN_MANAGE)


def _connection(connection_id: UUID, kind: ConnectionKind | None = None) -> IdentityConnection:
    connection = connection_to_begin(connection_id)
    if connection is None or (kind is not None and connection.kind != kind):
        raise Http404
    return connection


def _failed(
    request: HttpRequest, connection: IdentityConnection, why: str, *, status: int, code: str = "", back: str = ""
) -> HttpResponse:
    """back: where somebody wanted to go who is signed in, and was to prove it once more."""
    context = {"connection": connection, "why": why, "code": code, "back": back and confirm_address(back)}
    return render(request, "web/account/sso_failed.html", context, status=status)
