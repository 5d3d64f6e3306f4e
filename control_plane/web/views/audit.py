"""The audit: search it, look at one entry, verify the chain."""

from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.audit.models import Change
from control_plane.audit.selectors import Broken, changes_of, verify_chain
from control_plane.web.listing import Filter, Sort, csv_response, list_rows, wants_csv
from control_plane.web.request import ConsoleRequest

MOST_EXPORTED = 100_000


@require_GET
def audit(request: ConsoleRequest) -> HttpResponseBase:
    rows = changes_of(request.organization.id)
    kinds = tuple((kind, kind.replace("_", " ")) for kind in _kinds(rows))
    listing = list_rows(
        request,
        rows,
        sorts=(Sort("sequence", "sequence"),),
        default="-sequence",
        searched=lambda found, text: found.filter(
            Q(subject_name__icontains=text) | Q(actor_name__icontains=text) | Q(action__icontains=text)
        ),
        filters=(Filter("kind", "About", kinds),),
        filtered={"kind": lambda found, value: found.filter(subject_kind=value)},
        limit=MOST_EXPORTED if wants_csv(request) else 50,
    )
    if wants_csv(request):
        head = ("sequence", "at", "actor", "source", "action", "subject_kind", "subject", "reason", "hash")
        return csv_response(
            "audit",
            head,
            (
                (
                    row.sequence,
                    row.at,
                    row.actor_name,
                    row.source_address,
                    row.action,
                    row.subject_kind,
                    row.subject_name,
                    row.reason,
                    bytes(row.hash).hex(),
                )
                for row in listing.rows
            ),
        )
    return render(request, "web/audit/list.html", {"listing": listing})


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
    verdict = verify_chain(request.organization.id)
    context = {"verdict": verdict, "is_broken": isinstance(verdict, Broken), "at": timezone.now()}
    return render(request, "web/audit/verdict.html", context)


def _kinds(rows: QuerySet[Change]) -> list[str]:
    return list(rows.order_by("subject_kind").values_list("subject_kind", flat=True).distinct())


def _facts(found: Change) -> list[tuple[str, object, object, bool]]:
    """(field, before, after, whether it changed), by name."""
    before, after = found.before or {}, found.after or {}
    return [
        (name, before.get(name, ""), after.get(name, ""), before.get(name) != after.get(name))
        for name in sorted({*before, *after})
    ]
