"""Where alerts go: mailing lists and webhooks by name, a test of each, and what was sent."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.alerts.channels.catalog import all_channels
from control_plane.alerts.models import AlertChannel, DeliveryState
from control_plane.alerts.selectors import channels_of, deliveries_of
from control_plane.alerts.services import channel_create, channel_delete, channel_test, channel_update
from control_plane.audit.selectors import changes_of
from control_plane.budgets.selectors import budgets_of
from control_plane.organizations.roles import Permission, can
from control_plane.web.forms.alert_channels import ChannelForm
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to, whole_page

DELIVERY_TONES = {
    DeliveryState.WAITING: "look",
    DeliveryState.DELIVERED: "works",
    DeliveryState.GIVEN_UP: "stopped",
}
MOST_DELIVERIES = 15


@require_GET
def channels(request: ConsoleRequest) -> HttpResponse:
    labels = {one.type: one.label for one in all_channels().values()}
    listing = list_rows(
        request,
        channels_of(request.organization.id),
        sorts=(Sort("name", "name"),),
        default="name",
        searched=lambda rows, text: rows.filter(name__icontains=text) | rows.filter(description__icontains=text),
        filters=(Filter("type", "Type", tuple(labels.items())),),
        filtered={"type": lambda rows, value: rows.filter(type=value)},
    )
    context = {
        "listing": listing,
        "rows": [(row, labels.get(row.type, row.type)) for row in listing.rows],
        "deliveries": _deliveries(request, None),
        "may_manage": can(request.standing, Permission.BUDGETS_MANAGE),
    }
    return render(request, "web/rules/channels.html", context)


@require_http_methods(["GET", "POST"])
def channel_add(request: ConsoleRequest) -> HttpResponse:
    form = ChannelForm(None, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = channel_create(
                organization=request.organization, type=form.chosen_type, facts=form.facts, actor=actor(request)
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            if made.secret:
                return _shown_once(request, made.channel, made.secret)
            messages.success(request, f"{made.channel.name} is added. Send a test to see that it works.")
            return go_to(request, reverse("web:alert-channel", args=[made.channel.id]))
    return render(request, "web/rules/channel_form.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def channel_edit(request: ConsoleRequest, channel_id: UUID) -> HttpResponse:
    found = _channel(request, channel_id)
    form = ChannelForm(found, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = channel_update(channel=found, facts=form.facts, actor=actor(request))
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            if made.secret:
                return _shown_once(request, made.channel, made.secret)
            messages.success(request, f"{made.channel.name} is saved.")
            return go_to(request, reverse("web:alert-channel", args=[found.id]))
    context = {
        "form": form,
        "channel": found,
        "type_label": all_channels()[found.type].label,
        "may_manage": can(request.standing, Permission.BUDGETS_MANAGE),
        "deliveries": _deliveries(request, found),
        "history": changes_of(request.organization.id).filter(subject_kind="alert_channel", subject_id=found.id.hex)[
            :20
        ],
    }
    return render(request, "web/rules/channel.html", context, status=form_status(form.errors))


@require_POST
def channel_try(request: ConsoleRequest, channel_id: UUID) -> HttpResponse:
    found = _channel(request, channel_id)
    channel_test(channel=found, actor=actor(request))
    messages.success(request, "A test is on its way. What comes of it shows below within seconds.")
    return go_to(request, reverse("web:alert-channel", args=[found.id]))


@require_http_methods(["GET", "POST"])
def channel_remove(request: ConsoleRequest, channel_id: UUID) -> HttpResponse:
    found = _channel(request, channel_id)
    form = ConfirmForm(found.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            channel_delete(channel=found, actor=actor(request))
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{found.name} is deleted. Nothing is sent there any more.")
            return go_to(request, reverse("web:alert-channels"))
    context = {"form": form, "channel": found}
    return render(request, "web/rules/channel_delete.html", context, status=form_status(form.errors))


def _channel(request: ConsoleRequest, channel_id: UUID) -> AlertChannel:
    found = channels_of(request.organization.id).filter(id=channel_id).first()
    if found is None:
        raise Http404
    return found


def _shown_once(request: ConsoleRequest, channel: AlertChannel, secret: str) -> HttpResponse:
    address = reverse("web:alert-channel", args=[channel.id])
    return whole_page(request, "web/rules/channel_secret.html", {"channel": channel, "secret": secret}, address=address)


def _deliveries(request: ConsoleRequest, channel: AlertChannel | None) -> list[tuple[object, str, bool]]:
    """(delivery, tone, whether its budget still has a page)."""
    rows = deliveries_of(request.organization.id).order_by("-created_at", "id")
    if channel is not None:
        rows = rows.filter(channel=channel)
    found = list(rows[:MOST_DELIVERIES])
    named = {row.crossing.budget_id for row in found if row.crossing is not None}
    there = set(budgets_of(request.organization).filter(id__in=named).values_list("id", flat=True)) if named else set()
    return [
        (row, DELIVERY_TONES[DeliveryState(row.state)], row.crossing is not None and row.crossing.budget_id in there)
        for row in found
    ]
