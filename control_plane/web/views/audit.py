"""The audit: search it, look at one entry, verify and export the chain, sign where it stands."""

from dataclasses import replace

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from control_plane.audit.export import ExportForm, audit_export
from control_plane.audit.heads import heads_publish
from control_plane.audit.models import ActorKind, Change
from control_plane.audit.search import by_text
from control_plane.audit.selectors import (
    Broken,
    action_names,
    changes_of,
    published_heads_of,
    scope_of,
    subject_kinds,
    verify_chain,
    verify_newest,
)
from control_plane.web.listing import Chip, Filter, Sort, list_rows, without
from control_plane.web.ranges import NAMED, TimeRange, read_range
from control_plane.web.request import ConsoleRequest, zone_of
from control_plane.web.respond import go_to

HEADS_SHOWN = 5


@require_GET
def audit(request: ConsoleRequest) -> HttpResponse:
    rows, span, exact = _narrowed(request)
    listing = list_rows(
        request,
        rows,
        sorts=(Sort("sequence", "sequence"),),
        default="-sequence",
        searched=lambda found, text: found.filter(by_text(text)),
        filters=_filters(request),
        filtered={
            "kind": lambda found, value: found.filter(subject_kind=value),
            "action": lambda found, value: found.filter(action=value),
            "by": lambda found, value: found.filter(actor_kind=value),
        },
    )
    shown = [*listing.chips, *exact]
    if span is not None:
        shown.append(Chip("time", span.label, without(request.GET, "range", "from", "to")))
    listing = replace(listing, chips=tuple(shown))
    context = {
        "listing": listing,
        "ranges": NAMED,
        "range": span,
        "heads": published_heads_of(request.organization.id)[:HEADS_SHOWN],
        "is_selection": listing.is_filtered,
    }
    return render(request, "web/audit/list.html", context)


@require_GET
def export(request: ConsoleRequest) -> HttpResponseBase:
    """What the list shows, all of it, in the form that `switchyard verify-audit` checks."""
    form = ExportForm.CSV if request.GET.get("form") == ExportForm.CSV else ExportForm.JSONL
    listed = _listed_by(request)
    lines = audit_export(request.organization.id, form, rows=_selected(request), filters=listed, now=timezone.now())
    response = StreamingHttpResponse(lines, content_type=form.content_type)
    name = f"audit-{request.organization.slug}-{timezone.now():%Y-%m-%d}.{form.value}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_GET
def change(request: ConsoleRequest, sequence: int) -> HttpResponse:
    found = changes_of(request.organization.id).filter(sequence=sequence).first()
    if found is None:
        raise Http404
    context = {
        "change": found,
        "facts": _facts(found),
        "hash": bytes(found.hash).hex(),
        "previous_hash": bytes(found.previous_hash).hex() or "none: this is the first entry",
    }
    return render(request, "web/audit/change.html", context)


@require_GET
def audit_verify(request: ConsoleRequest) -> HttpResponse:
    """The whole chain when somebody asks; when the page opens, what came since the newest signed head."""
    signed = None
    if request.GET.get("newest"):
        verdict, signed = verify_newest(request.organization.id)
    else:
        verdict = verify_chain(request.organization.id)
    context = {"verdict": verdict, "signed": signed, "is_broken": isinstance(verdict, Broken), "at": timezone.now()}
    return render(request, "web/audit/verdict.html", context)


@require_POST
def heads_sign(request: ConsoleRequest) -> HttpResponse:
    published = heads_publish(scopes=[scope_of(request.organization.id)])
    if published:
        messages.success(request, f"Entry {published[0].sequence} is signed as the end of the chain.")
    elif isinstance(verify_chain(request.organization.id), Broken):
        messages.error(request, "The chain is broken, so it is not signed. Verify it to see where.")
    else:
        messages.success(request, "Nothing has changed since the last signature.")
    return go_to(request, reverse("web:audit"))


EXACT = (("source", "from", "source_address"), ("subject", "about", "subject_id"), ("who", "who", "actor_id"))
"""Facts that pages link to: parameter, word, column."""


def _narrowed(request: ConsoleRequest) -> tuple[QuerySet[Change], TimeRange | None, list[Chip]]:
    """Rows within the time and of the exact facts that the address names."""
    asked = request.GET
    rows = changes_of(request.organization.id)
    span = None
    if asked.get("range") or asked.get("from"):
        span = read_range(
            asked.get("range", ""),
            asked.get("from", ""),
            asked.get("to", ""),
            now=timezone.now(),
            zone=zone_of(request),
            default="7d",
        )
        rows = rows.filter(at__gte=span.since, at__lt=span.until)
    chips: list[Chip] = []
    for name, word, column in EXACT:
        value = asked.get(name, "").replace("\x00", "")[:64]
        if value:
            rows = rows.filter(**{column: value})
            chips.append(Chip(word, value, without(asked, name)))
    return rows, span, chips


def _selected(request: ConsoleRequest) -> QuerySet[Change]:
    """All rows that the list would show, on whatever page."""
    rows, _, _ = _narrowed(request)
    asked = request.GET
    known = {one.name: one for one in _filters(request)}
    for name, column in (("kind", "subject_kind"), ("action", "action"), ("by", "actor_kind")):
        value = asked.get(name, "")
        if value in [option for option, _ in known[name].options]:
            rows = rows.filter(**{column: value})
    text = asked.get("q", "").strip().replace("\x00", "")[:200]
    return rows.filter(by_text(text)) if text else rows


def _listed_by(request: ConsoleRequest) -> dict[str, str]:
    names = ("q", "kind", "action", "by", "range", "from", "to", *(name for name, _, _ in EXACT))
    return {name: request.GET[name] for name in names if request.GET.get(name)}


def _filters(request: ConsoleRequest) -> tuple[Filter, ...]:
    organization_id = request.organization.id
    return (
        Filter("kind", "About", tuple((kind, kind.replace("_", " ")) for kind in subject_kinds(organization_id))),
        Filter("action", "What", tuple((name, name) for name in action_names(organization_id))),
        Filter("by", "Done by", tuple((str(kind), str(label).lower()) for kind, label in ActorKind.choices)),
    )


def _facts(found: Change) -> list[tuple[str, object, object, bool]]:
    """(field, before, after, whether it changed), by name."""
    before, after = found.before or {}, found.after or {}
    return [
        (name, before.get(name, ""), after.get(name, ""), before.get(name) != after.get(name))
        for name in sorted({*before, *after})
        # What was empty and is empty says nothing.
        if not all(side.get(name) in ("", None, [], {}) for side in (before, after))
    ]
