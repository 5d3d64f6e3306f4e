"""Within what people mint keys of their own: the rules, and whom they touch."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.audit.selectors import changes_of
from control_plane.keys.models import KeyRules
from control_plane.keys.services import key_rules_update, rules_of
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.key_rules import KeyRulesForm
from control_plane.web.key_rule_effect import effect_of
from control_plane.web.key_words import rules_sentence
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to


@require_http_methods(["GET", "POST"])
def key_rules(request: ConsoleRequest) -> HttpResponse:
    rules = rules_of(request.organization)
    form = KeyRulesForm(request.POST) if request.method == "POST" else KeyRulesForm.of(rules)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            key_rules_update(organization=request.organization, actor=actor(request), **given)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, "The rules are saved. " + rules_sentence(rules_of(request.organization)))
            return go_to(request, reverse("web:key-rules"))
    wished = _wished(request, form) if form.is_bound and not form.errors else rules
    context = {
        "form": form,
        "sentence": rules_sentence(wished),
        "effect": effect_of(request.organization, wished),
        "history": changes_of(request.organization.id).filter(
            subject_kind="key_rules", subject_id=request.organization.id.hex
        )[:20],
    }
    return render(request, "web/keys/rules.html", context, status=form_status(form.errors))


@require_GET
def key_rules_effect(request: ConsoleRequest) -> HttpResponse:
    """What the rules would mean and whom they would touch, while they are typed."""
    form = KeyRulesForm(request.GET)
    form.is_valid()
    wished = _wished(request, form)
    context = {"sentence": rules_sentence(wished), "effect": effect_of(request.organization, wished)}
    return render(request, "web/keys/rules_effect.html", context)


def _wished(request: ConsoleRequest, form: KeyRulesForm) -> KeyRules:
    """The rules as typed; a field with a mistake counts as left empty."""
    given = form.cleaned_data
    return KeyRules(
        organization=request.organization,
        members_may_mint=given.get("members_may_mint", True),
        max_personal_keys=given.get("max_personal_keys"),
        max_personal_days=given.get("max_personal_days"),
        personal_models=given.get("personal_models", []),
    )
