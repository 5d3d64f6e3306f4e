"""From crossings and findings to deliveries, and from deliveries to the wire.

A delivery is tried while its row is locked, in a transaction of its own: no two workers try one at the same time, and
the row of a worker that dies is free at once. That it went out is written before it does, and the receiver's yes only
has to be followed by the commit. So only a process that is killed between these two sends twice, under the same id.
Source: docs/decisions/0120-stage-alerts.md
"""

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from control_plane.alerts.channels.catalog import all_channels
from control_plane.alerts.channels.channel import Destination, Message, NotDelivered, Parting
from control_plane.alerts.crossings import wake_sender
from control_plane.alerts.finding_words import finding_message
from control_plane.alerts.models import Delivery, DeliveryState, Finding, StageCrossing
from control_plane.alerts.recipients import Recipient, recipients_of, recipients_of_finding
from control_plane.alerts.sealing import secret_of
from control_plane.alerts.wording import crossing_message, trial_message
from control_plane.budgets.models import Budget
from control_plane.usage.selectors.counter_words import counter_words
from switchyard_contract.envelope import EnvelopeFailure

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)
TRIED_FOR = timedelta(days=2)
KEPT_FOR = timedelta(days=400)
MOST_SECONDS_PER_RUN = 60.0

log = structlog.get_logger()
T = TypeVar("T", StageCrossing, Finding)


def crossings_dispatch(*, now: datetime | None = None) -> int:
    """Make the deliveries of crossings that have none yet; says of how many crossings."""
    return _dispatch_all(StageCrossing.objects.order_by("crossed_at", "id"), _dispatch_crossing, now)


def findings_dispatch(*, now: datetime | None = None) -> int:
    """Make the deliveries of findings that have none yet; says of how many findings."""
    return _dispatch_all(Finding.objects.order_by("found_at", "id"), _dispatch_finding, now)


def _dispatch_all(rows: QuerySet[T], dispatch: Callable[[T, datetime], None], now: datetime | None) -> int:
    """Each in a transaction of its own, the oldest first; says how many."""
    count = 0
    while True:
        with transaction.atomic():
            row = rows.select_for_update(skip_locked=True).filter(dispatched_at__isnull=True).first()
            if row is None:
                return count
            dispatch(row, now or timezone.now())
        count += 1


def _dispatch_crossing(crossing: StageCrossing, now: datetime) -> None:
    budget = Budget.objects.filter(organization_id=crossing.organization_id, id=crossing.budget_id).first()
    of = (tuple(crossing.per), crossing.counter)
    crossing.counter_text = counter_words(crossing.organization_id, [of])[of][:1000]
    crossing.dispatched_at = now
    _deliveries_make(crossing.organization_id, recipients_of(crossing, budget), now, crossing=crossing)
    crossing.save(update_fields=["counter_text", "dispatched_at"])


def _dispatch_finding(finding: Finding, now: datetime) -> None:
    finding.dispatched_at = now
    _deliveries_make(finding.organization_id, recipients_of_finding(finding), now, finding=finding)
    finding.save(update_fields=["dispatched_at"])


def _deliveries_make(
    organization_id: UUID,
    recipients: Iterable[Recipient],
    now: datetime,
    *,
    crossing: StageCrossing | None = None,
    finding: Finding | None = None,
) -> None:
    Delivery.objects.bulk_create(
        [
            Delivery(
                organization_id=organization_id,
                crossing=crossing,
                finding=finding,
                type=recipient.type,
                recipient=recipient.key,
                channel=recipient.channel,
                recipient_name=recipient.name[:300],
                due_at=now,
                give_up_at=now + TRIED_FOR,
            )
            for recipient in recipients
        ],
        ignore_conflicts=True,
    )


def deliveries_send(*, now: datetime | None = None) -> int:
    """Try every delivery that is due, the oldest first; says how many went out.

    A recipient that fails is left alone for the rest of the run: a receiver that is down costs one time-out and not
    one for each message.
    """
    sent, failing = 0, set[str]()
    until_s = time.monotonic() + MOST_SECONDS_PER_RUN
    while time.monotonic() < until_s:
        with transaction.atomic():
            at = now or timezone.now()
            delivery = (
                Delivery.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(state=DeliveryState.WAITING, due_at__lte=at)
                .exclude(recipient__in=failing)
                .select_related("crossing", "finding", "channel", "organization")
                .order_by("due_at", "id")
                .first()
            )
            if delivery is None:
                return sent
            parting = _try(delivery, at)
        if parting is None:
            failing.add(delivery.recipient)
        else:
            parting()
            sent += 1
    return sent


def delivery_retry(*, delivery: Delivery, now: datetime | None = None) -> Delivery:
    """Try a delivery again, that was given up or waits for its next try. Raises ValidationError once it went out."""
    if delivery.state == DeliveryState.DELIVERED:
        raise ValidationError("It was delivered.")
    at = now or timezone.now()
    delivery.state, delivery.due_at, delivery.give_up_at, delivery.attempts = (
        DeliveryState.WAITING,
        at,
        at + TRIED_FOR,
        0,
    )
    delivery.save(update_fields=["state", "due_at", "give_up_at", "attempts", "updated_at"])
    transaction.on_commit(wake_sender, robust=True)
    return delivery


def deliveries_forget(*, now: datetime | None = None) -> int:
    """Forget what was said long ago."""
    limit = (now or timezone.now()) - KEPT_FOR
    gone, _ = Delivery.objects.filter(created_at__lt=limit).delete()
    crossings, _ = StageCrossing.objects.filter(crossed_at__lt=limit, period_ms__gt=0).delete()
    findings, _ = Finding.objects.filter(found_at__lt=limit).delete()
    return gone + crossings + findings


def _try(delivery: Delivery, now: datetime) -> Parting | None:
    """Send one delivery and write down what came of it; None: it did not go out. What is returned is for afterwards."""
    delivery.attempts += 1
    delivery.state, delivery.delivered_at, delivery.failure = DeliveryState.DELIVERED, now, ""
    # Seen by nobody before the commit, which is all that is left to do then.
    delivery.save(update_fields=["state", "delivered_at", "failure", "attempts", "updated_at"])
    try:
        channel = all_channels().get(delivery.type)
        if channel is None:
            raise NotDelivered(f"There is no channel of the type {delivery.type}.", is_final=True)
        return channel.deliver(message_of(delivery), _destination(delivery))
    except NotDelivered as failure:
        _postpone(delivery, failure, now)
        return None


def _postpone(delivery: Delivery, failure: NotDelivered, now: datetime) -> None:
    delivery.state, delivery.delivered_at = DeliveryState.WAITING, None
    pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 20), LONGEST_PAUSE)
    delivery.failure, delivery.due_at = failure.why[:300], now + pause
    if failure.is_final or delivery.due_at > delivery.give_up_at:
        delivery.state = DeliveryState.GIVEN_UP
    delivery.save(update_fields=["state", "failure", "due_at", "delivered_at", "updated_at"])
    log.warning(
        "an alert was not delivered",
        delivery_id=delivery.id.hex,
        type=delivery.type,
        attempts=delivery.attempts,
        is_given_up=delivery.state == DeliveryState.GIVEN_UP,
        why=failure.why,
    )


def message_of(delivery: Delivery) -> Message:
    """What a delivery says; the same at every try."""
    if delivery.crossing is not None:
        return crossing_message(delivery.id, delivery.crossing, organization=delivery.organization.name)
    if delivery.finding is not None:
        return finding_message(delivery.id, delivery.finding, organization=delivery.organization.name)
    return trial_message(
        delivery.id,
        channel=delivery.recipient_name,
        organization=delivery.organization.name,
        at=delivery.created_at,
    )


def _destination(delivery: Delivery) -> Destination:
    channel = delivery.channel
    if delivery.recipient.startswith("channel:"):
        if channel is None:
            raise NotDelivered("The channel was deleted.", is_final=True)
        try:
            secret = secret_of(channel)
        except EnvelopeFailure as failure:
            raise NotDelivered("The channel's secret cannot be opened; give it a new one.", is_final=True) from failure
        return Destination(tuple(channel.addresses), channel.url, secret)
    return Destination(addresses=(delivery.recipient,))
