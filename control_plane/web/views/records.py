"""What is kept and for how long; how many values of metadata have sums; who stands in the books under another name."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.usage.pseudonyms import (
    NothingToRename,
    PersonStillHere,
    leavers_of,
    person_pseudonymise,
    pseudonyms_of,
)
from control_plane.usage.selectors.tags import tag_bounds
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

MOST_PEOPLE = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of record. days None: for ever."""

    what: str
    days: int | None
    setting: str = ""


def kept() -> tuple[Kept, ...]:
    given = settings.SWITCHYARD
    return (
        Kept("Attempts one by one, with what was decided", given.ledger_days, "SWITCHYARD_LEDGER_DAYS"),
        Kept("Sums by the minute", given.minutes_days, "SWITCHYARD_MINUTES_DAYS"),
        Kept("Sums by hour and day, sessions, statements", None),
        Kept("Events that were not believed", given.quarantine_days, "SWITCHYARD_QUARANTINE_DAYS"),
        Kept(
            "Counts of failed sign-ins of tools",
            given.failed_authentication_days,
            "SWITCHYARD_FAILED_AUTHENTICATION_DAYS",
        ),
        Kept("The audit", None),
    )


@require_GET
def records(request: ConsoleRequest) -> HttpResponse:
    context = {
        "kept": kept(),
        "bounds": tag_bounds(request.organization.id),
        "most_keys": settings.SWITCHYARD.metadata_keys,
        "leavers": leavers_of(request.organization)[:MOST_PEOPLE],
        "renamed": pseudonyms_of(request.organization.id)[:MOST_PEOPLE],
    }
    return render(request, "web/operate/records.html", context)


@require_http_methods(["GET", "POST"])
def rename(request: ConsoleRequest, user_id: UUID) -> HttpResponse:
    """Rename a person who has left, once the e-mail was typed."""
    person = leavers_of(request.organization).filter(id=user_id).first()
    if person is None:
        raise Http404
    form = ConfirmForm(person.email, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = person_pseudonymise(
                organization=request.organization,
                user=person,
                actor=actor(request),
                reason=form.cleaned_data["reason"],
            )
        except PersonStillHere:
            form.add_error(None, "This person is a member again, or has a key that works.")
        except NothingToRename:
            form.add_error(None, "Nothing in the books names this person any more.")
        else:
            messages.success(request, f"Done: these records now speak of {made.name}.")
            return go_to(request, reverse("web:records"))
    context = {"form": form, "person": person}
    return render(request, "web/operate/person_rename.html", context, status=form_status(form.errors))
