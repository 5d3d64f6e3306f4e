"""Who is signed in proves once more who they are, before pages that hand out power (`access.Fresh`)."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.accounts.selectors import has_second_factor
from control_plane.accounts.services import second_factor_verify
from control_plane.identity.entry import Method, SignIn
from control_plane.identity.selectors import active_connections, ways_in
from control_plane.web.confirming import CONFIRM, SEND_AGAIN, SENT
from control_plane.web.forms.account import ConfirmIdentityForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status
from control_plane.web.sign_ins import confirm_session, safe_target, source_of
from control_plane.web.throttle import code_throttle, password_throttle
from control_plane.web.views.sso import to_provider

TOO_MANY = "Too many tries. Wait a quarter of an hour, or ask an admin."


@require_http_methods(["GET", "POST"])
def confirm(request: ConsoleRequest) -> HttpResponse:
    """Ask in the ways that this session was signed in by, as far as they open this organization."""
    connections = active_connections(request.organization.id)
    ways = ways_in(request.session, request.membership, connections)
    is_by_password = request.user.has_usable_password() and any(way.method is Method.PASSWORD for way in ways)
    form = ConfirmIdentityForm(has_second_factor(request.user), request.POST or None) if is_by_password else None
    target, was_sent = safe_target(request), SENT in request.GET
    if request.method == "POST" and form is not None:
        sign_in = _proved(request, form)
        if sign_in is not None:
            words = "password and code" if sign_in.has_second_factor else "password"
            confirm_session(request, request.user, sign_in, organization=request.organization, words=words)
            if was_sent:
                messages.warning(request, SEND_AGAIN)
            return HttpResponseRedirect(target)
    context = {
        "form": form,
        "next": target,
        "was_sent": was_sent,
        "connections": [one for one in connections if one.id in {way.connection_id for way in ways}],
    }
    return render(request, "web/account/confirm.html", context, status=form_status(form is not None and form.errors))


@require_GET
def confirm_by_provider(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    """To the identity provider, which is told to ask although the person is signed in there."""
    connections = active_connections(request.organization.id)
    used = {way.connection_id for way in ways_in(request.session, request.membership, connections)}
    connection = next((one for one in connections if one.id == connection_id and one.id in used), None)
    if connection is None:
        raise Http404
    target = safe_target(request)
    data = {
        "mode": CONFIRM,
        "user": request.user.id.hex,
        "asked_s": int(timezone.now().timestamp()),
        "next": target,
        "was_sent": SENT in request.GET,
    }
    return to_provider(request, connection, data, next_url=target)


def _proved(request: ConsoleRequest, form: ConfirmIdentityForm) -> SignIn | None:
    """What the form proves; None: nothing, and the form says why. Counted together with sign-ins."""
    if not form.is_valid():
        return None
    user = request.user
    passwords, codes = password_throttle(user.email, source_of(request)), code_throttle(user.id.hex)
    if passwords.is_exhausted() or (form.asks_code and codes.is_exhausted()):
        form.add_error(None, TOO_MANY)
        return None
    if not user.check_password(form.cleaned_data["password"]):
        passwords.count()
        form.add_error("password", "This is not your password.")
        return None
    passwords.forget()
    if form.asks_code:
        if not second_factor_verify(user=user, code=form.cleaned_data["code"], actor=actor(request)):
            codes.count()
            form.add_error("code", "This code does not fit, or was used before. Type the one the app shows now.")
            return None
        codes.forget()
    return SignIn(Method.PASSWORD, has_second_factor=form.asks_code)
