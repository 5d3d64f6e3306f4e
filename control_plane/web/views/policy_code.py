"""Policy as code: the policy as a file, plans with their effect, history with compare and restore, drift."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.declarative.differences import Action
from control_plane.declarative.drift import drift_of
from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.models import PolicyRevision, RevisionSource
from control_plane.declarative.nodes import Problem, RefusedPolicy
from control_plane.declarative.parsing import TooLarge, read_yaml
from control_plane.declarative.plan import Removal
from control_plane.declarative.selectors import (
    missing_reading_rights,
    newest_revision,
    policy_text,
    revision_by_number,
    revisions_of,
)
from control_plane.declarative.services import (
    Asker,
    Busy,
    ChangedMeanwhile,
    StaleBase,
    policy_apply,
    policy_code_release,
    policy_plan,
    removal_on_restore,
    restore_apply,
    restore_plan,
)
from control_plane.declarative.texts import changes_between, side_by_side, unified
from control_plane.web.drift_note import drift_note
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.policy_code import ApplyForm, FileForm, RestoreForm
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

SHOWN_LINES = 1_500
LONG_TEXT = 100_000
"""Characters of a revision: to work out what a longer one changes takes longer than a page may."""
SHOWN_ROWS = 2_000
COPIED_BYTES = 200_000
STALE = "The policy has changed since this plan was made. This is the plan for what is there now."


@require_GET
def policy(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    text = policy_text(request.organization)
    lines = text.splitlines(keepends=True)
    context = {
        "text": "".join(lines[:SHOWN_LINES]),
        "copied": text if len(text) <= COPIED_BYTES else "",
        "hidden_lines": max(0, len(lines) - SHOWN_LINES),
        "newest": newest_revision(request.organization.id),
        "drift_note": drift_note(request.organization),
        "kinds": list(kinds()),
    }
    return render(request, "web/policy/current.html", context)


@require_GET
def download(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    return _file(policy_text(request.organization), f"{request.organization.slug}-policy.yaml")


@require_http_methods(["GET", "POST"])
def plan(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    form = FileForm(request.POST, request.FILES) if request.method == "POST" else FileForm()
    context: dict[str, Any] = {"form": form, "drift_note": drift_note(request.organization)}
    if request.method == "POST" and form.is_valid():
        text, prunes = form.cleaned_data["text"], form.cleaned_data["prunes"]
        # What was uploaded stands in the field too: it can be mended there.
        context["form"] = FileForm(initial={"text": text, "prunes": prunes})
        context |= _planned(request, text, prunes)
    return render(request, "web/policy/plan.html", context, status=_status(context))


@require_POST
def apply(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    form = ApplyForm(request.POST)
    if not form.is_valid():
        return render(request, "web/policy/plan.html", {"form": FileForm(), "apply_form": form}, status=422)
    given = form.cleaned_data
    context: dict[str, Any] = {"form": FileForm(initial={"text": given["text"], "prunes": given["prunes"]})}
    try:
        done = policy_apply(
            asker=_asker(request),
            documents=read_yaml(given["text"].encode()),
            removal=_removal(given["prunes"], is_confirmed=given["is_confirmed"]),
            base_version=given["version"],
            reason=given["reason"],
            label=given["source"],
        )
    except StaleBase:
        messages.warning(request, STALE)
        context |= _planned(request, given["text"], given["prunes"])
    except RefusedPolicy as refused:
        context |= {"problems": refused.problems, "apply_form": form}
    except (Busy, ChangedMeanwhile) as failure:
        messages.warning(request, str(failure) or "Somebody else is applying right now. Try again.")
        context |= _planned(request, given["text"], given["prunes"])
    else:
        if not done.has_changes:
            messages.success(request, "Everything is so already. Nothing was changed.")
            return go_to(request, reverse("web:policy-code"))
        messages.success(request, f"Applied as revision {done.revision}. Pods take it over within seconds.")
        return go_to(request, reverse("web:policy-revision", args=[done.revision]))
    return render(request, "web/policy/plan.html", context, status=_status(context))


@require_GET
def history(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    listing = list_rows(
        request,
        revisions_of(request.organization),
        sorts=(Sort("number", "number"),),
        default="-number",
        searched=lambda rows, text: rows.filter(reason__icontains=text) | rows.filter(author__icontains=text),
        filters=(Filter("source", "Source", tuple((it.value, it.label) for it in RevisionSource)),),
        filtered={"source": lambda rows, value: rows.filter(source=value)},
    )
    return render(
        request,
        "web/policy/history.html",
        {"listing": listing, "rows": listing.rows, "drift_note": drift_note(request.organization)},
    )


@require_GET
def revision(request: ConsoleRequest, number: int) -> HttpResponse:
    """One revision: what it changed, and its text."""
    found = _revision(request, number)
    before = revision_by_number(request.organization, number - 1)
    context = {
        "revision": found,
        "before": before,
        "changes": changes_between(before.text, found.text) if before is not None else [],
        "drift_note": drift_note(request.organization),
        "newest": newest_revision(request.organization.id),
        "copied": found.text if len(found.text) <= COPIED_BYTES else "",
        "text": "".join(found.text.splitlines(keepends=True)[:SHOWN_LINES]),
    }
    return render(request, "web/policy/revision.html", context)


@require_GET
def revision_download(request: ConsoleRequest, number: int) -> HttpResponse:
    found = _revision(request, number)
    return _file(found.text, f"{request.organization.slug}-policy-{number}.yaml")


@require_GET
def compare(request: ConsoleRequest) -> HttpResponse:
    """Two revisions: object by object, then line by line."""
    newest = newest_revision(request.organization.id)
    if newest is None:
        raise Http404
    before = _revision(request, _number(request, "from", max(1, newest.number - 1)))
    after = _revision(request, _number(request, "to", newest.number))
    view = request.GET.get("view", "")
    is_unified = view == "unified"
    names = (f"revision {before.number}", f"revision {after.number}")
    # Where nothing was chosen both come along: a phone is too narrow for two columns.
    rows = [] if is_unified else side_by_side(before.text, after.text)
    lines = [] if view == "split" else unified(before.text, after.text, names=names)[2:]
    context = {
        "drift_note": drift_note(request.organization),
        "before": before,
        "after": after,
        "changes": changes_between(before.text, after.text),
        "is_unified": is_unified,
        "rows": rows[:SHOWN_ROWS],
        "lines": lines[:SHOWN_ROWS],
        "is_cut": len(rows) > SHOWN_ROWS or len(lines) > SHOWN_ROWS,
        "numbers": list(revisions_of(request.organization).values_list("number", flat=True)[:200]),
    }
    return render(request, "web/policy/compare.html", context)


@require_http_methods(["GET", "POST"])
def restore(request: ConsoleRequest, number: int) -> HttpResponse:
    """Go back to a revision: what it means first, then one confirmation."""
    found = _revision(request, number)
    form = RestoreForm(request.POST if request.method == "POST" else request.GET)
    confirm = ConfirmForm(f"revision {number}", request.POST or None)
    form.is_valid()
    removal = removal_on_restore(
        takes_people=form.cleaned_data["takes_people"],
        is_confirmed=form.cleaned_data["is_confirmed"] or request.method == "GET",
    )
    context: dict[str, Any] = {
        "revision": found,
        "form": form,
        "confirm": confirm,
        "drift_note": drift_note(request.organization),
    }
    if request.method == "GET" and len(found.text) > LONG_TEXT and "shown" not in request.GET:
        # The page is there at once, and asks for the rest of itself.
        parameters = request.GET.copy()
        parameters["shown"] = "1"
        return render(request, "web/policy/restore.html", context | {"later": f"?{parameters.urlencode()}"})
    try:
        if request.method == "POST" and confirm.is_valid():
            done = restore_apply(
                asker=_asker(request), revision=found, removal=removal, reason=confirm.cleaned_data["reason"]
            )
            if done.has_changes:
                messages.success(request, f"Revision {number} is back, as revision {done.revision}.")
            else:
                messages.success(request, "The policy is so already. Nothing was changed.")
            return go_to(request, reverse("web:policy-history"))
        planned = restore_plan(asker=_asker(request), revision=found, removal=removal)
        context |= {"plan": planned, "takes_away": bool(planned.count(Action.DELETE) or planned.effect.ended)}
    except RefusedPolicy as refused:
        context |= {"problems": refused.problems, "takes_away": True}
    except (Busy, ChangedMeanwhile):
        messages.warning(request, "Somebody else is changing the policy right now. Try again.")
        return go_to(request, reverse("web:policy-revision", args=[number]))
    status = 422 if context.get("problems") else form_status(confirm.errors)
    return render(request, "web/policy/restore.html", context, status=status)


@require_GET
def drift(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    return render(request, "web/policy/drift.html", {"drift": drift_of(request.organization)})


@require_GET
def drift_download(request: ConsoleRequest) -> HttpResponse:
    _check_sees_all(request)
    found = drift_of(request.organization)
    if found is None or found.is_none:
        raise Http404
    return _file(found.text, f"{request.organization.slug}-edits.yaml")


@require_POST
def release(request: ConsoleRequest) -> HttpResponse:
    """The policy no longer comes from code."""
    _check_sees_all(request)
    policy_code_release(asker=_asker(request))
    messages.success(request, "Edits here are no drift any more. The next apply with a source declares it again.")
    return go_to(request, reverse("web:policy-drift"))


def _planned(request: ConsoleRequest, text: str, prunes: bool) -> dict[str, Any]:
    """A plan with the form that applies it, or what is wrong with the file."""
    removal = _removal(prunes, is_confirmed=False)
    needs_confirmation: tuple[Problem, ...] = ()
    try:
        documents = read_yaml(text.encode())
        try:
            found = policy_plan(asker=_asker(request), documents=documents, removal=removal)
        except RefusedPolicy as refused:
            if not all(problem.document == 0 and not problem.is_forbidden for problem in refused.problems):
                raise
            # All that is wrong is how much it takes away: that is shown, and asked about.
            needs_confirmation = refused.problems
            found = policy_plan(asker=_asker(request), documents=documents, removal=_removal(prunes, is_confirmed=True))
    except RefusedPolicy as refused:
        return {"problems": refused.problems}
    except TooLarge:
        return {"problems": (Problem("The file is too large."),)}
    except Busy:
        return {"problems": (Problem("Somebody else is applying right now. Try again."),)}
    initial = {"text": text, "prunes": prunes, "version": found.version}
    return {"plan": found, "apply_form": ApplyForm(initial=initial), "needs_confirmation": needs_confirmation}


def _status(context: dict[str, Any]) -> int:
    form = context["form"]
    return 422 if context.get("problems") else form_status(form.errors if form.is_bound else None)


def _removal(prunes: bool, *, is_confirmed: bool) -> Removal:
    return Removal(frozenset(kinds()) if prunes else frozenset(), is_confirmed)


def _asker(request: ConsoleRequest) -> Asker:
    return Asker(request.organization, actor(request), request.standing)


def _check_sees_all(request: ConsoleRequest) -> None:
    """A file holds people, accounts and addresses: only for whoever may see all of them."""
    if missing_reading_rights(request.standing):
        raise Http404


def _revision(request: ConsoleRequest, number: int) -> PolicyRevision:
    _check_sees_all(request)
    found = revision_by_number(request.organization, number)
    if found is None:
        raise Http404
    return found


def _number(request: ConsoleRequest, name: str, otherwise: int) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdigit() and len(text) < 10 else otherwise


def _file(text: str, name: str) -> HttpResponse:
    response = HttpResponse(text, content_type="application/yaml; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
