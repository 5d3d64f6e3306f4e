"""The authenticator app of the person who is signed in."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from control_plane.accounts.selectors import has_second_factor
from control_plane.accounts.services import (
    recovery_codes_renew,
    second_factor_begin,
    second_factor_confirm,
    second_factor_remove,
)
from control_plane.identity.entry import Method, SignIn
from control_plane.identity.selectors import is_break_glass_owner
from control_plane.web.forms.account import CodeForm, ReassureForm
from control_plane.web.forms.failures import show_failure
from control_plane.web.qr import qr_svg
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to, whole_page
from control_plane.web.sign_ins import begin_session
from control_plane.web.throttle import code_throttle, password_throttle

REASSURED = "second factor set-up"
"""In the session: the password was typed once more for the set-up that is under way."""


@require_http_methods(["GET", "POST"])
def second_factor_add(request: ConsoleRequest) -> HttpResponse:
    """First the password, then the QR code and the first code of the app."""
    user = request.user
    if has_second_factor(user) or not user.has_usable_password():
        return go_to(request, reverse("web:profile"))
    if not request.session.get(REASSURED):
        form = ReassureForm(request.POST or None)
        if request.method == "POST" and _is_reassured(request, form):
            request.session[REASSURED] = True
            return redirect("web:second-factor-add")
        context = {"form": form, "title": "Set up an authenticator app", "does": "Continue"}
        return render(request, "web/account/reassure.html", context, status=form_status(form.errors))
    fresh = second_factor_begin(user=user)
    code_form = CodeForm(request.POST or None)
    code_form.fields["code"].help_text = "The six digits that the app shows now."
    if request.method == "POST" and code_form.is_valid():
        throttle = code_throttle(user.id.hex)
        if throttle.is_exhausted():
            code_form.add_error(None, "Too many tries. Wait a quarter of an hour.")
        else:
            try:
                codes = second_factor_confirm(user=user, code=code_form.cleaned_data["code"], actor=actor(request))
            except ValidationError as failure:
                throttle.count()
                show_failure(code_form, failure)
            else:
                del request.session[REASSURED]
                # Whoever holds the phone has just shown it: this session counts as signed in with both.
                begin_session(request, user, SignIn(Method.PASSWORD, has_second_factor=True), words="password and code")
                return _codes_page(request, codes, "Your authenticator app is set up.")
    context = {
        "form": code_form,
        "qr": qr_svg(fresh.uri, label="QR code for your authenticator app"),
        "secret": " ".join(fresh.secret[start : start + 4] for start in range(0, len(fresh.secret), 4)),
        "secret_plain": fresh.secret,
    }
    return render(request, "web/account/second_factor.html", context, status=form_status(code_form.errors))


@require_http_methods(["GET", "POST"])
def recovery_codes(request: ConsoleRequest) -> HttpResponse:
    """New recovery codes; the old ones end."""
    if not has_second_factor(request.user):
        return _nothing_there(request, "New recovery codes")
    form = ReassureForm(request.POST or None)
    if request.method == "POST" and _is_reassured(request, form):
        codes = recovery_codes_renew(user=request.user, actor=actor(request))
        return _codes_page(request, codes, "New recovery codes are made; the old ones no longer work.")
    context = {
        "form": form,
        "title": "New recovery codes",
        "does": "Make new codes",
        "warning": "Your present recovery codes stop working.",
    }
    return render(request, "web/account/reassure.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def second_factor_off(request: ConsoleRequest) -> HttpResponse:
    """Remove the authenticator app, unless an organization relies on this account having one."""
    if not has_second_factor(request.user):
        return _nothing_there(request, "Remove the authenticator app")
    form = ReassureForm(request.POST or None)
    if request.method == "POST" and is_break_glass_owner(request.user):
        form.add_error(
            None, "You are the break-glass owner of an organization. Name another one on its page Sign-in first."
        )
    elif request.method == "POST" and _is_reassured(request, form):
        second_factor_remove(user=request.user, actor=actor(request))
        messages.success(request, "The authenticator app is removed. Your password alone signs you in.")
        return go_to(request, reverse("web:profile"))
    context = {
        "form": form,
        "title": "Remove the authenticator app",
        "does": "Remove it",
        "is_danger": True,
        "warning": "From then on your password alone opens your account. Your recovery codes end, too.",
    }
    return render(request, "web/account/reassure.html", context, status=form_status(form.errors))


def _nothing_there(request: ConsoleRequest, title: str) -> HttpResponse:
    return render(request, "web/account/reassure.html", {"title": title, "is_without_factor": True})


def _is_reassured(request: ConsoleRequest, form: ReassureForm) -> bool:
    """Whether the password was typed once more, and is right."""
    if not form.is_valid():
        return False
    throttle = password_throttle(request.user.email, "profile")
    if throttle.is_exhausted():
        form.add_error(None, "Too many tries. Wait a quarter of an hour.")
        return False
    if not request.user.check_password(form.cleaned_data["current"]):
        throttle.count()
        form.add_error("current", "This is not your password.")
        return False
    throttle.forget()
    return True


def _codes_page(request: ConsoleRequest, codes: list[str], words: str) -> HttpResponse:
    context = {"codes": codes, "all_codes": "\n".join(codes), "words": words}
    return whole_page(request, "web/account/recovery_codes.html", context, address=reverse("web:profile"))
