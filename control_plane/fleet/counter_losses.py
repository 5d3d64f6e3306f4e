"""What is to be done after counters were lost: rows, and the raise of the generation. Blocking."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from control_plane.audit.services import Actor
from control_plane.fleet.models import CounterLoss
from control_plane.organizations.models import FIRST_COUNTER_GENERATION, Organization
from control_plane.organizations.services.tenants import counter_generation_raise
from control_plane.usage.models import BudgetSpend

REGISTERING = timedelta(seconds=2)
"""After the books were laid into the store, pods have so long to hold again what runs."""
SILENT = timedelta(seconds=10)
"""After so long without a word the process that had the books laid in is taken for gone."""
ACTOR = Actor.system("counters")
_NOTHING_LAID = {"told_at": None, "laying_at": None, "floors_of": 0, "floors_laid": 0}


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
            defaults={"generation": max(lost, at), "reported_at": now, **_NOTHING_LAID},
        )


@dataclass(frozen=True, slots=True)
class Loss:
    """Whose books are to be laid in, and which generation was lost."""

    organization_id: UUID
    generation: int

    @property
    def rows(self) -> QuerySet[CounterLoss]:
        """The loss, while it is this one and its books are not laid in."""
        return CounterLoss.objects.filter(pk=self.organization_id, generation=self.generation, told_at__isnull=True)


def losses_unlaid(*, now: datetime | None = None) -> list[Loss]:
    """Losses whose books nobody has laid in, and nobody is laying in."""
    rows = CounterLoss.objects.filter(told_at__isnull=True).filter(_unclaimed(now or timezone.now()))
    return [Loss(*row) for row in rows.values_list("organization_id", "generation")]


def loss_claim(loss: Loss, *, floors: int, now: datetime | None = None) -> bool:
    """Take it on to have so many floors laid in; one process at a time does."""
    now = now or timezone.now()
    return loss.rows.filter(_unclaimed(now)).update(laying_at=now, floors_of=floors, floors_laid=0) > 0


def loss_progress(loss: Loss, floors_laid: int, *, now: datetime | None = None) -> bool:
    """Note how far it is. False: it is another loss by now."""
    return loss.rows.update(laying_at=now or timezone.now(), floors_laid=floors_laid) > 0


def loss_give_up(loss: Loss) -> None:
    """Leave it to the next who looks."""
    loss.rows.update(laying_at=None)


def loss_laid(loss: Loss, floors_laid: int, *, now: datetime | None = None) -> bool:
    """Note that the store has all floors of an organization. False: it is another loss by now."""
    now = now or timezone.now()
    return loss.rows.update(told_at=now, laying_at=None, floors_of=floors_laid, floors_laid=floors_laid) > 0


def _unclaimed(now: datetime) -> Q:
    return Q(laying_at__isnull=True) | Q(laying_at__lt=now - SILENT)


def generations_raise(*, now: datetime | None = None) -> int:
    """Name a new generation where the books are laid in, after a moment; says for how many organizations."""
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
