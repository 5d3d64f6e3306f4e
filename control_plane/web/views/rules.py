"""Rules of every kind: the list with what each did today, the page of one, taking one away, undoing a change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet, Sum
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.audit.models import Change
from control_plane.audit.selectors import changes_of
from control_plane.organizations.roles import Permission, can
from control_plane.organizations.selectors import service_accounts_of, teams_of
from control_plane.rules.models import Mode, RuleFields
from control_plane.rules.services import RuleChanged, rule_create, rule_delete, rule_update
from control_plane.usage.models import RuleDay
from control_plane.web.drift_note import drift_note
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.listing import Chip, Filter, Ordering, without
from control_plane.web.names import MOST_OPTIONS
from control_plane.web.request import ConsoleRequest, actor, zone_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.rule_catalog import BY_SLUG, RULE_TYPES, Example, RuleType, example_of
from control_plane.web.rule_effect import effect_of
from control_plane.web.rule_rows import Did, RuleRow, RuleSearch, directory_of, rules_page
from control_plane.web.rule_words import MODE_TONES, MODE_WORDS
from control_plane.web.rule_yaml import rule_yaml
from control_plane.web.undo import read_undo, success_with_undo

UNDO = "rule"


@dataclass(frozen=True, slots=True)
class RuleListing:
    """What the list's template draws around its rows."""

    rows: Sequence[RuleRow]
    next: str
    search: str
    chips: tuple[Chip, ...]
    filters: tuple[Filter, ...]
    chosen: dict[str, str]
    is_first_page: bool
    ordering: Ordering = Ordering("name", "name", False)

    @property
    def is_filtered(self) -> bool:
        return bool(self.search or self.chips)


@require_GET
def rules(request: ConsoleRequest) -> HttpResponse:
    asked = request.GET
    filters = (
        Filter("kind", "Kind", tuple((one.slug, one.plural) for one in RULE_TYPES)),
        Filter("mode", "Mode", tuple((mode.value, MODE_WORDS[mode]) for mode in Mode)),
        Filter("about", "About", _subjects(request)),
    )
    chosen = _chosen(filters, asked)
    search = RuleSearch(
        text=asked.get("q", "").replace("\x00", "").strip()[:100],
        kind=chosen.get("kind", ""),
        mode=chosen.get("mode", ""),
        subject=chosen.get("about", ""),
        after=asked.get("after", "")[:400],
    )
    page = rules_page(request.organization, search)
    shown = tuple(
        Chip(one.label, one.label_of(chosen[one.name]), without(asked, one.name))
        for one in filters
        if one.name in chosen
    )
    listing = RuleListing(page.rows, page.next, search.text, shown, filters, chosen, not search.after)
    context = {
        "listing": listing,
        "rows": page.rows,
        "offered": offered(request),
        "drift_note": drift_note(request.organization) if can(request.standing, Permission.PROVIDERS_READ) else None,
    }
    return render(request, "web/rules/list.html", context)


@require_GET
def rule_choose(request: ConsoleRequest) -> HttpResponse:
    """Kinds to begin with, and examples."""
    found = offered(request)
    if not found:
        raise Http404
    return render(request, "web/rules/choose.html", {"offered": found})


@require_GET
def rule(request: ConsoleRequest, kind: str, rule_id: UUID) -> HttpResponse:
    rule_type, row = found_rule(request, kind, rule_id)
    if rule_type.slug == "budgets":
        return go_to(request, reverse("web:budget", args=[row.id]))
    context = {
        **about_rule(request, rule_type, row),
        "effect": effect_of(row, request.organization),
        "drift_note": drift_note(request.organization) if can(request.standing, Permission.PROVIDERS_READ) else None,
    }
    return render(request, "web/rules/rule.html", context)


@require_http_methods(["GET", "POST"])
def rule_remove(request: ConsoleRequest, kind: str, rule_id: UUID) -> HttpResponse:
    rule_type, row = found_rule(request, kind, rule_id, to_change=True)
    form = ConfirmForm(row.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        spec = rule_type.kind.spec(row)
        try:
            rule_delete(rule_type.kind, row=row, actor=actor(request), reason=form.cleaned_data["reason"])
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            success_with_undo(
                request,
                f"{row.name} is deleted. Pods follow within seconds.",
                reverse("web:rule-undo", args=[rule_type.slug, rule_id]),
                UNDO,
                {"name": row.name, "spec": spec},
                of=rule_id.hex,
            )
            return go_to(request, reverse("web:rules"))
    context = {
        "form": form,
        "type": rule_type,
        "rule": row,
        "sentence": rule_type.kind.sentence(row, directory_of(request.organization, [row])),
        "consequence": _consequence(rule_type),
    }
    return render(request, "web/rules/delete.html", context, status=form_status(form.errors))


@require_POST
def rule_undo(request: ConsoleRequest, kind: str, rule_id: UUID) -> HttpResponse:
    """Bring back how a rule was; one that was taken away is made again."""
    rule_type = managed_type(request, kind)
    before = read_undo(UNDO, request.POST.get("token", ""), of=rule_id.hex)
    if before is None:
        messages.warning(request, "It is too late to undo this here; the history knows how it was.")
        return go_to(request, reverse("web:rules"))
    row = rule_type.row(request.organization, rule_id)
    try:
        if row is None:
            row = rule_create(
                rule_type.kind,
                organization=request.organization,
                name=before["name"],
                spec=before["spec"],
                actor=actor(request),
            )
        else:
            rule_update(
                rule_type.kind,
                row=row,
                name=before["name"],
                changes=before["spec"],
                replaces=True,
                actor=actor(request),
                seen_at=datetime.fromisoformat(before["seen"]) if "seen" in before else None,
            )
    except RuleChanged:
        messages.error(request, f"{before['name']} was changed again meanwhile, so nothing was taken back.")
        return go_to(request, reverse("web:rule", args=[rule_type.slug, rule_id]))
    except ValidationError as failure:
        messages.error(request, f"That cannot be undone any more: {' '.join(failure.messages)[:300]}")
        return go_to(request, reverse("web:rules"))
    messages.success(request, f"{before['name']} is as it was.")
    return go_to(request, reverse("web:rule", args=[rule_type.slug, row.id]))


def changed_meanwhile(request: ConsoleRequest, rule_type: RuleType, row: RuleFields) -> str:
    """Who changed a rule while somebody else had its form open, and what."""
    last = changes_of_rule(request, rule_type, row).first()
    if last is None:
        return "This rule was changed while the form was open. Save again to put yours in its place."
    before, after = last.before or {}, last.after or {}
    fields = ", ".join(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
    at = last.at.astimezone(zone_of(request))
    return (
        f"{last.actor_name} changed this rule at {at:%H:%M:%S}, while the form was open: {fields}. "
        "Look at the rule in a second tab, then save again to put what stands here in its place."
    )


def changes_of_rule(request: ConsoleRequest, rule_type: RuleType, row: RuleFields) -> QuerySet[Change]:
    """The newest first."""
    return changes_of(request.organization.id).filter(subject_kind=rule_type.kind.noun, subject_id=row.id.hex)


def about_rule(request: ConsoleRequest, rule_type: RuleType, row: RuleFields) -> dict[str, object]:
    """What every page of one rule shows."""
    directory = directory_of(request.organization, [row])
    today, week = did(request, row)
    return {
        "type": rule_type,
        "rule": row,
        "tone": MODE_TONES[Mode(row.mode)],
        "mode_word": MODE_WORDS[Mode(row.mode)],
        "sentence": rule_type.kind.sentence(row, directory),
        "today": today,
        "week": week,
        "yaml": rule_yaml(rule_type, row, directory),
        "may_change": may_change(request, rule_type, row),
        "history": changes_of_rule(request, rule_type, row)[:20],
    }


def did(request: ConsoleRequest, row: RuleFields) -> tuple[Did, Did]:
    """What a rule did today and in the last seven days, by UTC."""
    day = timezone.now().astimezone(UTC).date()
    days = RuleDay.objects.filter(
        organization_id=request.organization.id, rule_id=row.id.hex, day__gt=day - timedelta(days=7), day__lte=day
    )
    names = ("matched", "refused", "shadow_refused", "downgraded")
    week = days.aggregate(**{name: Sum(name, default=0) for name in names})
    now = days.filter(day=day).aggregate(**{name: Sum(name, default=0) for name in names})
    return Did(**now), Did(**week)


def offered(request: ConsoleRequest) -> list[tuple[RuleType, tuple[Example, ...]]]:
    """The kinds that this person may add, with their examples."""
    led = request.standing.led_team_ids
    return [(one, one.examples) for one in RULE_TYPES if can(request.standing, one.manage, team_ids=led)]


def found_rule(
    request: ConsoleRequest, kind: str, rule_id: UUID, *, to_change: bool = False
) -> tuple[RuleType, RuleFields]:
    """The rule of an address, of this organization and within reach; 404 otherwise."""
    rule_type = BY_SLUG.get(kind)
    row = rule_type.row(request.organization, rule_id) if rule_type is not None else None
    if rule_type is None or row is None or (to_change and not may_change(request, rule_type, row)):
        raise Http404
    return rule_type, row


def may_change(request: ConsoleRequest, rule_type: RuleType, row: RuleFields) -> bool:
    """Whoever manages the kind; of a team's own budget its lead too, where that is delegated."""
    team_id = getattr(row, "team_id", None)
    return can(request.standing, rule_type.manage, team_ids=(team_id,) if team_id else ())


def managed_type(request: ConsoleRequest, kind: str) -> RuleType:
    """A kind of which this person may have rules made; 404 otherwise."""
    rule_type = BY_SLUG.get(kind)
    if rule_type is None or not can(request.standing, rule_type.manage, team_ids=request.standing.led_team_ids):
        raise Http404
    return rule_type


def example_asked_for(request: ConsoleRequest, rule_type: RuleType) -> Example | None:
    return example_of(rule_type, request.GET.get("example", ""))


def _chosen(filters: Sequence[Filter], asked: QueryDict) -> dict[str, str]:
    """The filters of an address, as far as they are known."""
    return {
        one.name: value
        for one in filters
        for value in (asked.get(one.name, ""),)
        if any(value == option for option, _ in one.options)
    }


def _subjects(request: ConsoleRequest) -> tuple[tuple[str, str], ...]:
    """Teams and service accounts that rules can be narrowed to, as rules keep them."""
    teams = teams_of(request.organization).order_by("name").values_list("id", "name")[:MOST_OPTIONS]
    accounts = service_accounts_of(request.organization).order_by("name").values_list("id", "name")[:MOST_OPTIONS]
    return (
        *((f"team:{row_id.hex}", f"Team {name}") for row_id, name in teams),
        *((f"service_account:{row_id.hex}", name) for row_id, name in accounts),
    )


def _consequence(rule_type: RuleType) -> str:
    match rule_type.slug:
        case "access-rules":
            return (
                "What only this rule lets through is refused then. Once no access rule is left, everything is allowed."
            )
        case "budgets":
            return "Nothing holds this spending any more; its raises and open requests go with it."
        case "session-caps":
            return "Sessions go on without it."
        case _:
            return "Nothing holds these requests back any more."
