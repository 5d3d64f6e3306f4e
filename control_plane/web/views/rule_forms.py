"""Adding and changing rules: the form, and what it means and whom it touches while it is typed."""

from datetime import datetime
from itertools import chain, count
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from control_plane.organizations.roles import Permission, can
from control_plane.rules.models import Mode, RuleFields
from control_plane.rules.services import RuleChanged, rule_check, rule_create, rule_update
from control_plane.web.forms.rules import RuleForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to
from control_plane.web.rule_catalog import RuleType
from control_plane.web.rule_effect import effect_of
from control_plane.web.rule_offers import offers_for
from control_plane.web.rule_rows import directory_of
from control_plane.web.rule_words import mode_sentence
from control_plane.web.undo import success_with_undo
from control_plane.web.views.rules import UNDO, changed_meanwhile, example_asked_for, found_rule, managed_type

NAMELESS = "unnamed"
"""Stands in for a name that is not typed yet, so that the rest can be judged."""


@require_http_methods(["GET", "POST"])
def rule_add(request: ConsoleRequest, kind: str) -> HttpResponse:
    rule_type = managed_type(request, kind)
    form = _form(request, rule_type)
    if request.method == "POST":
        if form.is_valid():
            try:
                row = rule_create(
                    rule_type.kind,
                    organization=request.organization,
                    name=form.cleaned_data["name"],
                    spec=_spec(request, form),
                    actor=actor(request),
                )
            except ValidationError as failure:
                form.show_failure(failure)
            else:
                messages.success(request, f"{row.name} is saved. {mode_sentence(row.mode)}")
                return go_to(request, reverse("web:rule", args=[rule_type.slug, row.id]))
    elif (example := example_asked_for(request, rule_type)) is not None:
        form.fill(_free_name(request, rule_type, example.name), {**example.spec, "mode": Mode.SHADOW.value})
    return _page(request, rule_type, form, None)


@require_http_methods(["GET", "POST"])
def rule_edit(request: ConsoleRequest, kind: str, rule_id: UUID) -> HttpResponse:
    rule_type, row = found_rule(request, kind, rule_id, to_change=True)
    form, spec = _form(request, rule_type), rule_type.kind.spec(row)
    form.fill(row.name, spec)
    if request.method == "POST" and form.is_valid():
        try:
            changed = rule_update(
                rule_type.kind,
                row=row,
                name=form.cleaned_data["name"],
                changes=_spec(request, form),
                replaces=True,
                actor=actor(request),
                seen_at=_seen_at(request),
            )
        except RuleChanged:
            form.add_error(None, changed_meanwhile(request, rule_type, row))
        except ValidationError as failure:
            form.show_failure(failure)
        else:
            success_with_undo(
                request,
                f"{changed.name} is saved. {mode_sentence(changed.mode)}",
                reverse("web:rule-undo", args=[rule_type.slug, row.id]),
                UNDO,
                {"name": row.name, "spec": spec, "seen": changed.updated_at.isoformat()},
                of=row.id.hex,
            )
            return go_to(request, reverse("web:rule", args=[rule_type.slug, row.id]))
    return _page(request, rule_type, form, row)


@require_POST
def rule_preview(request: ConsoleRequest, kind: str) -> HttpResponse:
    """What the rule would mean and whom it would touch, while it is typed."""
    rule_type = managed_type(request, kind)
    row = None
    if request.GET.get("rule"):
        try:
            row = rule_type.row(request.organization, UUID(request.GET["rule"]))
        except ValueError as failure:
            raise Http404 from failure
        if row is None:
            raise Http404
    form = _form(request, rule_type)
    if row is not None:
        form.fill(row.name, rule_type.kind.spec(row))
    form.is_valid()
    return render(request, "web/rules/preview.html", _preview(request, rule_type, form, row))


def _seen_at(request: ConsoleRequest) -> datetime | None:
    """Which state of the rule the form was filled with. None: it does not say."""
    text = request.POST.get("seen", "")
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _page(request: ConsoleRequest, rule_type: RuleType, form: RuleForm, row: RuleFields | None) -> HttpResponse:
    has_problems = form.is_bound and bool(form.errors or getattr(form, "has_problems", False))
    shown = _preview(request, rule_type, form, row) if form.is_bound else _preview_of(request, rule_type, form, row)
    # Beside a field with its error it need not stand once more.
    context = shown | {"preview_problems": [] if form.is_bound else shown.get("preview_problems", [])}
    context |= {
        "type": rule_type,
        "rule": row,
        "form": form,
        "offers": offers_for(request.organization),
        "opens_more": _has_any(form, "metadata", "clients", "protocols", "hours"),
        "opens_except": _has_any(form, *(name for name in form.fields if name.startswith("except_"))),
        "opens_outage": _has_any(form, "grace_usd", "outage_allowance_percent", only_errors=True)
        or form["grace"].value() == "turn"
        if "grace" in form.fields
        else False,
    }
    return render(request, "web/rules/form.html", context, status=form_status(has_problems))


def _form(request: ConsoleRequest, rule_type: RuleType) -> RuleForm:
    form = rule_type.form(request.POST or None)
    if "team" in form.fields:
        form.limit_teams(request.organization, request.standing)  # type: ignore[attr-defined]  # budgets alone have it
    return form


def _spec(request: ConsoleRequest, form: RuleForm) -> dict[str, Any]:
    """What was typed; somebody who leads a team makes budgets of that team and no others."""
    spec = form.spec
    if "team" in form.fields and not can(request.standing, Permission.BUDGETS_MANAGE) and not spec.get("team"):
        raise ValidationError({"team": "Choose the team whose budget it is."})
    return spec


def _preview(request: ConsoleRequest, rule_type: RuleType, form: RuleForm, row: RuleFields | None) -> dict[str, Any]:
    """Of what was sent."""
    name = form.cleaned_data.get("name") or NAMELESS
    try:
        made = rule_check(rule_type.kind, organization=request.organization, name=name, spec=form.spec, row=row)
    except ValidationError as failure:
        return {"preview_problems": _problems(failure, form)}
    return _meaning(request, rule_type, made)


def _preview_of(request: ConsoleRequest, rule_type: RuleType, form: RuleForm, row: RuleFields | None) -> dict[str, Any]:
    """Of a form as it is first shown."""
    if row is not None:
        return _meaning(request, rule_type, row)
    example = example_asked_for(request, rule_type)
    if example is None:
        return {}
    spec = {**example.spec, "mode": Mode.SHADOW.value}
    try:
        made = rule_check(rule_type.kind, organization=request.organization, name=NAMELESS, spec=_filled(spec))
    except ValidationError as failure:
        return {"preview_problems": _problems(failure, form)}
    return _meaning(request, rule_type, made)


def _meaning(request: ConsoleRequest, rule_type: RuleType, row: RuleFields) -> dict[str, Any]:
    return {
        "sentence": rule_type.kind.sentence(row, directory_of(request.organization, [row])),
        "effect": effect_of(row, request.organization),
    }


def _free_name(request: ConsoleRequest, rule_type: RuleType, name: str) -> str:
    """An example's name, with a number where a rule has it already."""
    rows = rule_type.kind.model._default_manager.filter(organization=request.organization, name__startswith=name)
    taken = set(rows.values_list("name", flat=True))
    return next(each for each in chain((name,), (f"{name}-{n}" for n in count(2))) if each not in taken)


def _filled(spec: dict[str, Any]) -> dict[str, Any]:
    """An example's spec without lists that are left for the person to fill."""
    when = {name: value for name, value in (spec.get("when") or {}).items() if value}
    return {**spec, "when": when} if when else {name: value for name, value in spec.items() if name != "when"}


def _problems(failure: ValidationError, form: RuleForm) -> list[str]:
    """What is wrong, each with its place as the form calls it; a few of them."""
    if not hasattr(failure, "error_dict"):
        return list(failure.messages[:3])
    found = []
    for field, told in failure.message_dict.items():
        found += [
            message if field in ("", NON_FIELD_ERRORS) else f"{form.place_of(field)}: {message}" for message in told
        ]
    return found[:3]


def _has_any(form: RuleForm, *names: str, only_errors: bool = False) -> bool:
    return any(name in form.errors or (not only_errors and form[name].value()) for name in names if name in form.fields)
