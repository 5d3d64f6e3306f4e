"""The page on which a person approves a command line: what asks, from where, and what it would be allowed."""

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from control_plane.identity.device.codes import shown
from control_plane.identity.device.models import DeviceAuthorization
from control_plane.identity.device.selectors import waiting_by_user_code
from control_plane.identity.device.services import device_approve, device_deny, scopes_within
from control_plane.identity.device.throttle import CodeThrottle
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import membership_of, organizations_of
from control_plane.web.forms.device import ApproveForm, CodeForm
from control_plane.web.forms.failures import show_failure
from control_plane.web.request import ConsoleRequest, actor

SCOPE_WORDS = {
    Permission.KEYS_READ: "see your keys",
    Permission.KEYS_MANAGE: "mint, rotate and revoke keys as you may",
    Permission.MODELS_READ: "see which models there are",
    Permission.ORGANIZATION_READ: "see the organization's name and address",
    Permission.TEAMS_READ: "see your teams",
    Permission.TOKENS_MANAGE: "mint and revoke API tokens",
    Permission.POLICY_READ: "read the policy",
    Permission.POLICY_MANAGE: "change the policy",
    Permission.BUDGETS_READ: "read budgets",
    Permission.BUDGETS_MANAGE: "change budgets",
    Permission.USAGE_READ: "see usage and spend",
    Permission.EXCHANGES_READ: "see exchanges",
    Permission.OWNERS_MANAGE: "make and unmake owners",
    Permission.MEMBERS_MANAGE: "add, change and remove members",
    Permission.PROVIDERS_MANAGE: "change providers and their credentials",
    Permission.SERVICE_KEYS_MINT: "mint keys of service accounts",
    Permission.ORGANIZATION_MANAGE: "change the organization",
    Permission.SIGN_IN_MANAGE: "change how people sign in",
}


@require_http_methods(["GET", "POST"])
def device(request: ConsoleRequest) -> HttpResponse:
    """Ask for the code; with a code, show what waits under it; approve or deny it."""
    text = request.POST.get("code") or request.GET.get("code") or ""
    if not text:
        return render(request, "web/account/device.html", {"form": CodeForm()})
    throttle = CodeThrottle(request.user.id)
    form = CodeForm({"code": text})
    if throttle.is_exhausted():
        form.add_error("code", "Too many codes that were none. Wait a quarter of an hour, then sign in anew there.")
        return render(request, "web/account/device.html", {"form": form}, status=429)
    waiting = waiting_by_user_code(text)
    if waiting is None:
        throttle.count()
        form.add_error(
            "code",
            "Nothing waits under this code: it was mistyped, used, or is older than ten minutes. "
            "Run switchyard login again for a new one.",
        )
        return render(request, "web/account/device.html", {"form": form}, status=422)
    return _decision(request, waiting)


def _decision(request: ConsoleRequest, waiting: DeviceAuthorization) -> HttpResponse:
    # The one in view first: it is what the person most likely means.
    organizations = sorted(organizations_of(request.user), key=lambda one: one.id != request.organization.id)
    decision = request.POST.get("decision", "")
    form = ApproveForm(organizations, waiting.requested_lifetime_s, request.POST if decision else None)
    form.initial["code"] = shown(waiting.user_code)
    if decision and form.is_valid():
        organization = next(one for one in organizations if str(one.id) == form.cleaned_data["organization"])
        try:
            decided = _decide(request, waiting, organization, form.cleaned_data["lifetime"], decision)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            context = {"waiting": decided, "organization": organization, "is_approved": decision == "approve"}
            return render(request, "web/account/device_done.html", context)
    context = {
        "form": form,
        "waiting": waiting,
        "code": shown(waiting.user_code),
        "has_choice": len(organizations) > 1,
        "scopes": _scopes(request, waiting, organizations),
    }
    return render(request, "web/account/device_confirm.html", context, status=422 if form.errors else 200)


def _decide(
    request: ConsoleRequest, waiting: DeviceAuthorization, organization: Organization, lifetime_s: int, decision: str
) -> DeviceAuthorization:
    if decision == "approve":
        return device_approve(
            authorization=waiting,
            user=request.user,
            organization=organization,
            lifetime_s=lifetime_s,
            actor=actor(request),
        )
    return device_deny(authorization=waiting, organization=organization, actor=actor(request))


def _scopes(
    request: ConsoleRequest, waiting: DeviceAuthorization, organizations: list[Organization]
) -> list[tuple[str, str, bool]]:
    """What was asked for: its name, in words, and whether this person has it to give in any of the organizations."""
    own: set[str] = set()
    for organization in organizations:
        membership = membership_of(request.user, organization)
        if membership is not None:
            membership.organization = organization
            own |= set(scopes_within(waiting, membership))
    asked = [Permission(name) for name in waiting.requested_scopes]
    return [(str(scope), SCOPE_WORDS.get(scope, ""), scope in own) for scope in asked]
