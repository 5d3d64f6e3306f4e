"""What is to be done after counters were lost: rows, and the raise of the generation. Blocking."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from control_plane.audit.services import Actor
from control_plane.fleet.models import CounterLoss
from control_plane.organizations.models import FIRST_COUNTER_GENERATION, Organization
from control_plane.organizations.services.tenants import counter_generation_raise
from control_plane.usage.models import BudgetSpend

REGISTERING = timedelta(seconds=2)
"""After the floors were told, pods have so long to lay them into the store and to hold again what runs."""
ACTOR = Actor.system("counters")


@transaction.atomic
def losses_note(losses: Mapping[UUID, int | None], *, now: datetime | None = None) -> None:
    """Write down what pods say: organization to the generation that they lost; None: they did not say which.

    A pod says it until its next admission, so what is said of a generation that is over is no news.
    """
    now = now or timezone.now()
    present = dict(Organization.objects.filter(id__in=losses).values_list("id", "counter_generation"))
    known = {row.organization_id: row for row in CounterLoss.objects.select_for_update().filter(pk__in=present)}
    for organization_id in sorted(present):
        at = present[organization_id]
        said = losses[organization_id]
        lost = at if said is None else said
        row = known.get(organization_id)
        if row is not None and row.generation >= lost:
            continue
        # A loss while a new generation was on its way: pods took that one for the sign that the books were read in.
        # They were not, so it takes one more.
        CounterLoss.objects.update_or_create(
            organization_id=organization_id,
            defaults={"generation": max(lost, at), "reported_at": now, "told_at": None},
        )


def losses_untold() -> list[UUID]:
    """Organizations whose floors are still to be told."""
    return list(CounterLoss.objects.filter(told_at__isnull=True).values_list("organization_id", flat=True))


def loss_told(organization_id: UUID, *, now: datetime | None = None) -> None:
    """Note that all floors of an organization were told."""
    rows = CounterLoss.objects.filter(organization_id=organization_id, told_at__isnull=True)
    rows.update(told_at=now or timezone.now())


def generations_raise(*, now: datetime | None = None) -> int:
    """Name a new generation where the floors have had their time; says for how many organizations."""
    limit = (now or timezone.now()) - REGISTERING
    losses = dict(CounterLoss.objects.filter(told_at__lte=limit).values_list("organization_id", "generation"))
    waiting = Organization.objects.filter(
        Exists(
            CounterLoss.objects.filter(
                organization_id=OuterRef("id"), told_at__lte=limit, generation__gte=OuterRef("counter_generation")
            )
        )
    )
    return _raise(waiting, losses, "The counter store had lost its contents or gone back in time; begun anew.")


def first_generations_raise() -> int:
    """Leave generation 0 where books exist: from then on a store that knows nothing is one that has lost it all."""
    booked = Exists(BudgetSpend.objects.filter(organization_id=OuterRef("id")))
    unbegun = Organization.objects.filter(booked, counter_generation=FIRST_COUNTER_GENERATION)
    return _raise(unbegun, {}, "The first spending was booked.")


def _raise(organizations: Iterable[Organization], lost: Mapping[UUID, int], reason: str) -> int:
    count = 0
    for organization in organizations:
        above = lost.get(organization.id, FIRST_COUNTER_GENERATION)
        before = organization.counter_generation
        new = counter_generation_raise(organization=organization, actor=ACTOR, reason=reason, above=above)
        count += new > before
    return count
