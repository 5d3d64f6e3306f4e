"""Profile, password, sessions, theme, choice of organization."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from control_plane.accounts.models import Theme
from control_plane.accounts.selectors import has_second_factor, recovery_codes_left, sessions_of
from control_plane.accounts.services import session_end, sessions_end, user_password_set, user_preferences_set
from control_plane.identity.entry import Entry
from control_plane.identity.selectors import entry_of
from control_plane.keys.selectors import keys_of_user
from control_plane.keys.services.departures import membership_remove
from control_plane.organizations.models import Membership
from control_plane.organizations.selectors import membership_of
from control_plane.web.access import ORGANIZATION_IN_SESSION
from control_plane.web.context import THEME_COOKIE
from control_plane.web.forms.account import PasswordForm, ProfileForm
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status
from control_plane.web.sign_ins import follow_key, safe_target

YEAR_S = 365 * 24 * 3600


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
                old_key = request.session.session_key
                update_session_auth_hash(request, request.user)
                follow_key(request, old_key)
                sessions_end(user=request.user, keeps=request.session.session_key, actor=actor(request))
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
        response = HttpResponseRedirect(safe_target(request, request.headers.get("referer", "")))
    # The sign-in page knows nobody yet, and should not flash in the other colour.
    response.set_cookie(THEME_COOKIE, wanted, max_age=YEAR_S, samesite="Lax", httponly=True)
    return response


@require_POST
def organization_choose(request: HttpRequest) -> HttpResponse:
    """Go to another organization; where this session does not open it, to the ways that do.

    Open to everybody, since somebody whose present organization has just closed must get to their others.
    """
    user = request.user
    if not user.is_authenticated:
        return redirect("web:sign-in")
    memberships = Membership.objects.filter(user=user).select_related("organization")
    wanted = request.POST.get("organization", "")
    chosen = next((one for one in memberships if str(one.organization_id) == wanted), None)
    if chosen is None:
        raise Http404
    if entry_of(request.session, chosen) is Entry.CLOSED:
        ways = reverse("web:sign-in-organization", args=[chosen.organization.slug])
        return HttpResponseRedirect(ways)
    request.session[ORGANIZATION_IN_SESSION] = str(chosen.organization_id)
    return redirect("web:overview")


@require_POST
def session_stop(request: ConsoleRequest, session_id: UUID) -> HttpResponse:
    """End one of one's own sessions."""
    if not session_end(user=request.user, session_id=session_id, actor=actor(request)):
        raise Http404
    messages.success(request, "That session is ended.")
    return redirect("web:profile")


@require_POST
def sessions_stop(request: ConsoleRequest) -> HttpResponse:
    """Sign out everywhere else."""
    ended = sessions_end(user=request.user, keeps=request.session.session_key, actor=actor(request))
    messages.success(request, f"{ended} other session{'' if ended == 1 else 's'} ended. This one goes on.")
    return redirect("web:profile")


@require_http_methods(["GET", "POST"])
def leave(request: ConsoleRequest) -> HttpResponse:
    """Leave the organization by oneself; its last owner stays."""
    membership = membership_of(request.user, request.organization)
    if membership is None:
        raise Http404
    form = ConfirmForm(request.organization.slug, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            membership_remove(
                membership=membership,
                actor=actor(request),
                reason=form.cleaned_data["reason"],
                by=request.standing,
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            request.session.pop(ORGANIZATION_IN_SESSION, None)
            messages.success(request, f"You have left {request.organization.name}.")
            return redirect("web:overview")
    live = keys_of_user(request.organization, request.user).filter(revoked_at__isnull=True)
    live = live.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()))
    context = {"form": form, "live": live.count()}
    return render(request, "web/account/leave.html", context, status=form_status(form.errors))


def _profile_page(request: ConsoleRequest, form: ProfileForm, password_form: PasswordForm) -> HttpResponse:
    status = 422 if form.errors or password_form.errors else 200
    user = request.user
    context = {
        "form": form,
        "password_form": password_form,
        "has_password": user.has_usable_password(),
        "has_second_factor": has_second_factor(user),
        "recovery_codes": recovery_codes_left(user),
        "sessions": sessions_of(user, this_key=request.session.session_key),
    }
    return render(request, "web/account/profile.html", context, status=status)
