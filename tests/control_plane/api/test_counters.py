"""How an organization's counters stand, over REST and on the fleet page."""

from datetime import timedelta

from django.utils import timezone

from control_plane.fleet.counter_losses import (
    Loss,
    generations_raise,
    loss_claim,
    loss_laid,
    loss_progress,
    losses_note,
)
from tests.control_plane.api.world import Tenant

URL = "/api/v1/counters"


def test_counters_that_were_never_lost_count(acme: Tenant) -> None:
    found = acme.as_admin.get(URL).json()

    assert (found["state"], found["text"], found["lost_at"]) == ("counting", "counting", None)


def test_a_recovery_is_told_from_the_loss_to_the_end(acme: Tenant, globex: Tenant) -> None:
    loss = Loss(acme.organization.id, 0)
    losses_note({loss.organization_id: 0})
    assert told(acme) == ("recovering", "recovering, the books are read")

    loss_claim(loss, floors=4000)
    loss_progress(loss, 1500)
    assert told(acme) == ("recovering", "recovering, floors applied 1,500 of 4,000")
    assert told(globex) == ("counting", "counting")

    loss_laid(loss, 4000)
    assert told(acme) == ("beginning", "recovering, all 4,000 floors applied")

    generations_raise(now=timezone.now() + timedelta(seconds=5))
    found = acme.as_admin.get(URL).json()
    assert (found["state"], found["generation"], found["floors_laid"]) == ("counting", 1, 4000)
    assert found["lost_at"] < found["laid_at"]


def told(tenant: Tenant) -> tuple[str, str]:
    found = tenant.as_admin.get(URL).json()
    return found["state"], found["text"]
