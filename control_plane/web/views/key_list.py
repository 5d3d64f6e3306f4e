"""Everybody's keys: the list with what to look for in fifty thousand of them, and ending several at once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.keys.models import VirtualKey
from control_plane.keys.reach import keys_within, may_manage
from control_plane.keys.services import keys_revoke
from control_plane.organizations.reach import service_accounts_within, users_within
from control_plane.organizations.roles import Permission, can
from control_plane.usage.models import KeyLastUse
from control_plane.usage.selectors.standing import key_last_uses
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import BulkRevokeForm
from control_plane.web.key_bulk import BulkScope, bulk_scope
from control_plane.web.key_rows import KeyRow, key_rows
from control_plane.web.listing import Filter, Listing, Sort, csv_response, list_rows, narrowed, wants_csv
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.views.rows import team_options

STATES = (
    ("alive", "Active"),
    ("ending", "Ends within 14 days"),
    ("never-used", "Never used"),
    ("unused", "Unused for 90 days"),
    ("expired", "Expired"),
    ("revoked", "Revoked"),
)
ENDING, UNUSED = timedelta(days=14), timedelta(days=90)
MOST_AT_ONCE = 1000
FIRST_DAY, LAST_DAY = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
SORTS = (
    Sort("created", "created_at"),
    Sort("name", "name"),
    Sort("ends", "ends_at"),
    Sort("used", "used_at"),
)
HEAD = (
    "name", "prefix", "owner", "team", "state", "created", "expires", "rotate_by", "last_used",
    "models", "routes", "source_networks", "spent_nano_usd",
)  # fmt: skip
BULK = (("revoke", "Revoke"),)


@require_GET
def keys(request: ConsoleRequest) -> HttpResponseBase:
    listing = list_rows(
        request,
        _with_times(keys_within(request.standing), request.GET.get("sort", "")),
        sorts=SORTS,
        default="-created",
        searched=_searched,
        filters=_filters(request, request.GET),
        filtered=FILTERED,
        limit=100_000 if wants_csv(request) else 50,
    )
    rows = key_rows(request.organization, listing.rows, since=month_of(request))
    if wants_csv(request):
        return csv_response("keys", HEAD, (_cells(row) for row in rows))
    may_end = can(request.standing, Permission.KEYS_MANAGE)
    context = {
        "listing": listing,
        "rows": rows,
        "bulk": BULK,
        "may_end": may_end,
        "matching": _matching(request, listing) if may_end else 0,
        "matching_most": MOST_AT_ONCE,
    }
    return render(request, "web/keys/all.html", context)


@require_http_methods(["GET", "POST"])
def keys_bulk(request: ConsoleRequest) -> HttpResponse:
    """End several keys: those that were ticked, or all that match. Asks with the numbers first; all of them or none."""
    given = request.POST if request.method == "POST" else request.GET
    if given.get("do", "") != "revoke":
        raise Http404
    chosen = _chosen(request, given)
    scope = bulk_scope(
        [key for key in chosen if not key.is_revoked and may_manage(request.standing, key)],
        key_last_uses(request.organization.id, [key.key_id for key in chosen]),
        left_out=sum(1 for key in chosen if key.is_revoked or not may_manage(request.standing, key)),
    )
    if not scope.keys:
        messages.info(request, "Choose keys first that are still in use: tick the boxes in front of their rows.")
        return go_to(request, reverse("web:keys"))
    form = BulkRevokeForm(len(scope.keys), request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            ended = keys_revoke(
                keys=scope.keys,
                reason=form.cleaned_data["reason"],
                actor=actor(request),
                cut_streams=form.cleaned_data["cut_streams"],
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            told = "key is revoked" if len(ended) == 1 else "keys are revoked"
            messages.success(request, f"{len(ended)} {told}. Every pod refuses them within a second.")
            return go_to(request, reverse("web:keys"))
    context = {"form": form, "scope": scope, "ids": ",".join(key.id.hex for key in scope.keys), "shown": _shown(scope)}
    return render(request, "web/keys/bulk.html", context, status=form_status(form.errors))


def _filters(request: ConsoleRequest, parameters: QueryDict) -> list[Filter]:
    filters = [
        Filter("state", "State", STATES),
        Filter("team", "Team", team_options(request.standing, parameters.get("team", ""))),
        Filter("kind", "Kind", (("sypat", "Personal"), ("sysvc", "Service"))),
    ]
    owner = _owner_option(request, parameters.get("owner", ""))
    if owner is not None:
        filters.append(Filter("owner", "Owner", (owner,)))
    return filters


def _with_times(found: QuerySet[VirtualKey], sort: str) -> QuerySet[VirtualKey]:
    """Columns that a sort needs and that the others do without: the end, the last use."""
    match sort.removeprefix("-"):
        case "ends":
            return found.annotate(ends_at=Coalesce(F("expires_at"), Value(LAST_DAY), output_field=DateTimeField()))
        case "used":
            uses = KeyLastUse.objects.filter(organization_id=OuterRef("organization_id"), key_id=OuterRef("key_id"))
            return found.annotate(
                used_at=Coalesce(Subquery(uses.values("used_at")), Value(FIRST_DAY), output_field=DateTimeField())
            )
        case _:
            return found


def _matching(request: ConsoleRequest, listing: Listing[VirtualKey]) -> int:
    """How many keys the filters leave, counted no further than one beyond what can be ended at once. 0: this page."""
    if listing.is_first_page and not listing.next:
        return 0
    return _all_matching(request, request.GET)[: MOST_AT_ONCE + 1].count()


def _all_matching(request: ConsoleRequest, parameters: QueryDict) -> QuerySet[VirtualKey]:
    rows, _, _ = narrowed(
        keys_within(request.standing),
        parameters,
        searched=_searched,
        filters=_filters(request, parameters),
        filtered=FILTERED,
    )
    return rows


def _chosen(request: ConsoleRequest, given: QueryDict) -> list[VirtualKey]:
    """The keys that were ticked, or all that match; raises Http404 when one of the ticked is not within reach."""
    if "matching" in given:
        return list(_all_matching(request, QueryDict(given.get("matching")))[:MOST_AT_ONCE])
    # One field for all of them in the answer to the question: Django takes a thousand fields at most.
    texts = str(given.get("ids")).split(",") if "ids" in given else given.getlist("id")
    try:
        wanted = {UUID(text) for text in texts[:MOST_AT_ONCE]}
    except ValueError:
        raise Http404 from None
    found = list(keys_within(request.standing).filter(id__in=wanted))
    if len(found) != len(wanted):
        raise Http404
    return found


def _shown(scope: BulkScope) -> Sequence[VirtualKey]:
    return scope.keys[:20]


def _owner_option(request: ConsoleRequest, owner: str) -> tuple[str, str] | None:
    """The owner that the address names, if within reach."""
    kind, _, text = owner.partition(":")
    try:
        owner_id = UUID(text)
    except ValueError:
        return None
    if kind == "user":
        person = users_within(request.standing).filter(id=owner_id).first()
        return None if person is None else (owner, person.email)
    account = service_accounts_within(request.standing).filter(id=owner_id).first()
    return None if account is None else (owner, account.name)


def _owned(found: QuerySet[VirtualKey], owner: str) -> QuerySet[VirtualKey]:
    kind, _, text = owner.partition(":")
    return found.filter(**{"user_id" if kind == "user" else "service_account_id": UUID(text)})


def _searched(found: QuerySet[VirtualKey], text: str) -> QuerySet[VirtualKey]:
    return found.filter(
        Q(name__icontains=text)
        | Q(prefix__startswith=text[:10])
        | Q(user__email__icontains=text)
        | Q(service_account__name__icontains=text)
    )


def _in_state(found: QuerySet[VirtualKey], state: str) -> QuerySet[VirtualKey]:
    now = timezone.now()
    alive = Q(revoked_at__isnull=True) & (Q(expires_at__isnull=True) | Q(expires_at__gt=now))
    used = KeyLastUse.objects.filter(organization_id=OuterRef("organization_id"), key_id=OuterRef("key_id"))
    match state:
        case "revoked":
            return found.filter(revoked_at__isnull=False)
        case "expired":
            return found.filter(revoked_at__isnull=True, expires_at__lte=now)
        case "ending":
            soon = Q(expires_at__lte=now + ENDING) | Q(rotate_by__lte=now + ENDING)
            return found.filter(alive, soon)
        case "never-used":
            return found.filter(alive, ~Exists(used))
        case "unused":
            # One that was minted lately has had no time to be used.
            return found.filter(alive, ~Exists(used.filter(used_at__gt=now - UNUSED)), created_at__lte=now - UNUSED)
        case _:
            return found.filter(alive)


def _cells(row: KeyRow) -> tuple[object, ...]:
    key = row.key
    return (
        key.name,
        key.prefix,
        row.owner_name,
        key.team.name,
        row.state.word,
        key.created_at,
        key.expires_at,
        key.rotate_by,
        row.last_use.used_at if row.last_use else None,
        " ".join(key.allowed_models),
        " ".join(key.allowed_routes),
        " ".join(key.source_networks),
        row.spent_nano_usd,
    )


FILTERED: Mapping[str, Callable[[QuerySet[VirtualKey], str], QuerySet[VirtualKey]]] = {
    "state": _in_state,
    "team": lambda found, team: found.filter(team_id=UUID(team)),
    "kind": lambda found, kind: found.filter(kind=kind),
    "owner": _owned,
}
