"""Keys of metadata: what may stand in them."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.audit.selectors import changes_of
from control_plane.organizations.roles import Permission, can
from control_plane.rules.metadata_keys import (
    metadata_key_create,
    metadata_key_delete,
    metadata_key_spec,
    metadata_key_update,
)
from control_plane.rules.models import MetadataKey
from control_plane.rules.selectors import metadata_keys_of
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.metadata_keys import MetadataKeyForm
from control_plane.web.listing import Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to


@require_GET
def metadata_keys(request: ConsoleRequest) -> HttpResponse:
    listing = list_rows(
        request,
        metadata_keys_of(request.organization.id),
        sorts=(Sort("name", "name"),),
        default="name",
        searched=lambda rows, text: rows.filter(name__icontains=text) | rows.filter(description__icontains=text),
    )
    context = {
        "listing": listing,
        "rows": listing.rows,
        "may_manage": can(request.standing, Permission.POLICY_MANAGE),
    }
    return render(request, "web/rules/metadata_keys.html", context)


@require_http_methods(["GET", "POST"])
def metadata_key_add(request: ConsoleRequest) -> HttpResponse:
    form = MetadataKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = metadata_key_create(
                organization=request.organization,
                name=form.cleaned_data["name"],
                spec=form.spec,
                actor=actor(request),
            )
        except ValidationError as failure:
            _show(form, failure)
        else:
            messages.success(request, f"{made.name} is saved. Pods check it within seconds.")
            return go_to(request, reverse("web:metadata-keys"))
    return render(request, "web/rules/metadata_key.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def metadata_key(request: ConsoleRequest, metadata_key_id: UUID) -> HttpResponse:
    found = _key(request, metadata_key_id)
    form = MetadataKeyForm.of(found.name, metadata_key_spec(found), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            metadata_key_update(metadata_key=found, changes=form.spec, replaces=True, actor=actor(request))
        except ValidationError as failure:
            _show(form, failure)
        else:
            messages.success(request, f"{found.name} is saved. Pods check it within seconds.")
            return go_to(request, reverse("web:metadata-keys"))
    context = {
        "form": form,
        "metadata_key": found,
        "history": changes_of(request.organization.id).filter(subject_kind="metadata_key", subject_id=found.id.hex)[
            :20
        ],
    }
    return render(request, "web/rules/metadata_key.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def metadata_key_remove(request: ConsoleRequest, metadata_key_id: UUID) -> HttpResponse:
    found = _key(request, metadata_key_id)
    form = ConfirmForm(found.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        metadata_key_delete(metadata_key=found, actor=actor(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"Anything may stand in {found.name} again.")
        return go_to(request, reverse("web:metadata-keys"))
    context = {"form": form, "metadata_key": found}
    return render(request, "web/rules/metadata_key_delete.html", context, status=form_status(form.errors))


def _key(request: ConsoleRequest, metadata_key_id: UUID) -> MetadataKey:
    found = metadata_keys_of(request.organization.id).select_related("organization").filter(id=metadata_key_id).first()
    if found is None:
        raise Http404
    return found


def _show(form: MetadataKeyForm, failure: ValidationError) -> None:
    """A value of a list is told with the list."""
    if not hasattr(failure, "error_dict"):
        show_failure(form, failure)
        return
    for field, told in failure.message_dict.items():
        name = field.partition("[")[0]
        for message in told:
            form.add_error(name if name in form.fields else None, message)
