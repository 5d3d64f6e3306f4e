"""Signing in: e-mail first where single sign-on is used, then the identity provider or a password and a code."""

import time
from typing import Any
from uuid import UUID

from django.contrib.auth import authenticate, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.accounts.models import User
from control_plane.accounts.selectors import has_second_factor
from control_plane.accounts.services import actor_of, second_factor_verify
from control_plane.identity.entry import Entry, Method, SignIn
from control_plane.identity.models import IdentityConnection
from control_plane.identity.selectors import (
    active_connections,
    are_there_connections,
    connection_for_email,
    memberships_opened,
    organization_by_slug,
)
from control_plane.identity.services import break_glass_record, sign_in_record
from control_plane.organizations.selectors import organizations_of
from control_plane.web.forms.account import CodeForm, EmailForm, SignInForm
from control_plane.web.sign_ins import begin_session, safe_target, source_of
from control_plane.web.throttle import code_throttle, password_throttle

PENDING = "second factor awaited"
PENDING_S = 300
TOO_MANY = "Too many tries. Wait a quarter of an hour, or ask an admin."


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for all at once where everybody has a password; otherwise for the e-mail, which says how to go on."""
    target = safe_target(request)
    if request.method == "POST" and "password" in request.POST:
        # Also for somebody signed in already, by a way that does not open what they asked for.
        return _by_password(request, target)
    if request.user.is_authenticated:
        return HttpResponseRedirect(target)
    if not are_there_connections():
        return _page(request, target, form=SignInForm(), status=422 if request.method == "POST" else 200)
    form = EmailForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"]
        return _page(request, target, form=SignInForm(initial={"email": email}), **_ways(email))
    return render(
        request,
        "web/account/sign_in_email.html",
        {"form": form, "next": target},
        status=422 if form.errors else 200,
    )


@never_cache
@require_GET
def sign_in_organization(request: HttpRequest, slug: str) -> HttpResponse:
    """The ways into one organization, also for somebody who is signed in by a way that does not open it."""
    organization = organization_by_slug(slug)
    connections = active_connections(organization.id) if organization else []
    if organization is None or not connections:
        return HttpResponseRedirect(f"{reverse('web:sign-in')}?{urlencode({'next': safe_target(request)})}")
    is_known = request.user.is_authenticated
    context = {
        "next": safe_target(request),
        "form": SignInForm(initial={"email": request.user.email if isinstance(request.user, User) else ""}),
        "connections": connections,
        "is_enforced": any(connection.is_enforced for connection in connections),
        "asked_organization": organization,
        "is_known": is_known,
        "others": [one for one in organizations_of(request.user) if one != organization]
        if isinstance(request.user, User)
        else [],
    }
    return render(request, "web/account/sign_in.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    """The second factor, after the password was right."""
    pending = request.session.get(PENDING)
    user = _awaited(pending)
    if user is None or pending is None:
        return redirect("web:sign-in")
    form = CodeForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        throttle = code_throttle(user.id.hex)
        if throttle.is_exhausted():
            form.add_error(None, TOO_MANY)
            status = 429
        elif form.is_valid():
            actor = actor_of(user, source_address=source_of(request))
            if second_factor_verify(user=user, code=form.cleaned_data["code"], actor=actor):
                throttle.forget()
                del request.session[PENDING]
                return _enter(request, user, SignIn(Method.PASSWORD, has_second_factor=True), pending["next"])
            throttle.count()
            form.add_error("code", "This code does not fit, or was used before. Type the one the app shows now.")
    return render(request, "web/account/sign_in_code.html", {"form": form}, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("web:sign-in")


def _by_password(request: HttpRequest, target: str) -> HttpResponse:
    form = SignInForm(request.POST)
    if not form.is_valid():
        return _page(request, target, form=form, status=422, **_ways(request.POST.get("email", "")))
    email = form.cleaned_data["email"].lower()
    throttle = password_throttle(email, source_of(request))
    if throttle.is_exhausted():
        form.add_error(None, TOO_MANY)
        return _page(request, target, form=form, status=429, **_ways(email))
    found = authenticate(request, email=email, password=form.cleaned_data["password"])
    if not isinstance(found, User):
        throttle.count()
        # The same words whether the person exists or not.
        form.add_error(None, "E-mail and password do not fit. Check both and try again.")
        return _page(request, target, form=form, status=422, **_ways(email))
    throttle.forget()
    if has_second_factor(found):
        is_same_person = request.user.is_authenticated and request.user.pk == found.pk
        if not is_same_person:
            request.session.flush()
        request.session.cycle_key()
        request.session[PENDING] = {"user": found.id.hex, "at": int(time.time()), "next": target}
        return redirect("web:sign-in-code")
    return _enter(request, found, SignIn(Method.PASSWORD), target)


def _enter(request: HttpRequest, user: User, proof: SignIn, target: str) -> HttpResponse:
    """Begin the session, unless every organization of this person wants another way."""
    opened = memberships_opened(user, [proof])
    if opened and all(entry is Entry.CLOSED for _, entry in opened):
        organization = opened[0][0].organization
        connections = active_connections(organization.id)
        form = SignInForm(initial={"email": user.email})
        context = {"connections": connections, "is_enforced": True, "asked_organization": organization}
        return _page(request, target, form=form, status=403, is_refused=True, **context)
    words = "password and code" if proof.has_second_factor else "password"
    begin_session(request, user, proof, words=words)
    actor = actor_of(user, source_address=source_of(request))
    sign_in_record(user=user, method=words, actor=actor)
    for membership, entry in opened:
        if entry is Entry.BREAK_GLASS:
            break_glass_record(user=user, organization=membership.organization, actor=actor)
    return HttpResponseRedirect(target)


def _awaited(pending: dict[str, Any] | None) -> User | None:
    """Whose second factor this session waits for, for a while."""
    if pending is None or time.time() - pending["at"] > PENDING_S:
        return None
    return User.objects.filter(id=UUID(pending["user"]), is_active=True).first()


def _ways(email: str) -> dict[str, Any]:
    """How a person with this e-mail signs in. By the domain alone: nobody learns who has an account."""
    connection: IdentityConnection | None = connection_for_email(email)
    return {
        "connections": [connection] if connection else [],
        "is_enforced": connection is not None and connection.is_enforced,
    }


def _page(request: HttpRequest, target: str, *, form: SignInForm, status: int = 200, **context: Any) -> HttpResponse:
    if form.initial.get("email"):
        # The e-mail was typed on the page before: what is missing is the password.
        form.fields["email"].widget.attrs.pop("autofocus", None)
        form.fields["password"].widget.attrs["autofocus"] = True
    return render(request, "web/account/sign_in.html", {"form": form, "next": target, **context}, status=status)
