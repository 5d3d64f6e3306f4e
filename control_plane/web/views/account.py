"""Signing in and out, profile, theme, choice of organization."""

from zoneinfo import available_timezones

from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from control_plane.accounts.models import Theme, User
from control_plane.accounts.services import user_password_set, user_preferences_set
from control_plane.organizations.selectors import organizations_of
from control_plane.web.access import ORGANIZATION_IN_SESSION
from control_plane.web.context import THEME_COOKIE
from control_plane.web.forms.account import PasswordForm, ProfileForm, SignInForm
from control_plane.web.forms.failures import show_failure
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.throttle import SignInThrottle

YEAR_S = 365 * 24 * 3600


@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    target = _safe_target(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(target)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            throttle = SignInThrottle(form.cleaned_data["email"], request.META.get("REMOTE_ADDR", ""))
            if throttle.is_exhausted():
                form.add_error(None, "Too many tries. Wait a quarter of an hour, or ask an admin.")
                return render(request, "web/account/sign_in.html", {"form": form, "next": target}, status=429)
            found = authenticate(
                request, email=form.cleaned_data["email"].lower(), password=form.cleaned_data["password"]
            )
            if isinstance(found, User):
                throttle.forget()
                login(request, found)
                return HttpResponseRedirect(target)
            throttle.count()
            # The same words whether the person exists or not.
            form.add_error(None, "E-mail and password do not fit. Check both and try again.")
    return render(request, "web/account/sign_in.html", {"form": form, "next": target}, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("web:sign-in")


@require_http_methods(["GET", "POST"])
def profile(request: ConsoleRequest) -> HttpResponse:
    form = ProfileForm(request.POST) if request.method == "POST" else ProfileForm.of(request.user)
    if request.method == "POST" and form.is_valid():
        try:
            user_preferences_set(
                user=request.user,
                actor=actor(request),
                name=form.cleaned_data["name"],
                time_zone=form.cleaned_data["time_zone"],
                theme=Theme(form.cleaned_data["theme"]),
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, "Your profile is saved.")
            return redirect("web:profile")
    return _profile_page(request, form, PasswordForm())


@require_POST
def password(request: ConsoleRequest) -> HttpResponse:
    form = PasswordForm(request.POST)
    if form.is_valid():
        if not request.user.check_password(form.cleaned_data["current"]):
            form.add_error("current", "This is not your current password.")
        else:
            try:
                user_password_set(user=request.user, password=form.cleaned_data["password"], actor=actor(request))
            except ValidationError as failure:
                show_failure(form, failure)
            else:
                update_session_auth_hash(request, request.user)
                messages.success(request, "Your password is changed. Other sessions of yours were signed out.")
                return redirect("web:profile")
    return _profile_page(request, ProfileForm.of(request.user), form)


@require_POST
def theme(request: ConsoleRequest) -> HttpResponse:
    """Switch the theme. The script says which one; without it the button flips what is stored."""
    wanted = request.POST.get("theme", "")
    if wanted not in (Theme.LIGHT, Theme.DARK):
        wanted = Theme.LIGHT if request.user.theme == Theme.DARK else Theme.DARK
    user_preferences_set(user=request.user, actor=actor(request), theme=Theme(wanted))
    response: HttpResponse
    if request.headers.get("x-requested-with") == "fetch":
        response = HttpResponse(status=204)
    else:
        response = HttpResponseRedirect(_safe_target(request, request.headers.get("referer", "")))
    # The sign-in page knows nobody yet, and should not flash in the other colour.
    response.set_cookie(THEME_COOKIE, wanted, max_age=YEAR_S, samesite="Lax", httponly=True)
    return response


@require_POST
def organization_choose(request: ConsoleRequest) -> HttpResponse:
    wanted = request.POST.get("organization", "")
    chosen = next((one for one in organizations_of(request.user) if str(one.id) == wanted), None)
    if chosen is None:
        raise Http404
    request.session[ORGANIZATION_IN_SESSION] = str(chosen.id)
    return redirect("web:overview")


def _profile_page(request: ConsoleRequest, form: ProfileForm, password_form: PasswordForm) -> HttpResponse:
    status = 422 if form.errors or password_form.errors else 200
    context = {"form": form, "password_form": password_form, "zones": len(available_timezones())}
    return render(request, "web/account/profile.html", context, status=status)


def _safe_target(request: HttpRequest, target: str | None = None) -> str:
    """Where to go next: only within this console."""
    wanted = target if target is not None else request.POST.get("next") or request.GET.get("next") or ""
    if wanted and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("web:overview")
