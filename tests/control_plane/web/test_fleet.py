"""The fleet page says when counters are being brought back."""

import pytest
from django.test import Client

from control_plane.fleet.counter_losses import Loss, loss_claim, loss_progress, losses_note
from tests.builders.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_counters_that_are_brought_back_are_told_with_how_far_it_is(admin_client: Client, tenant: Tenant) -> None:
    organization = tenant.organization
    assert "Counters of" not in admin_client.get("/fleet").text
    loss = Loss(organization.id, 0)
    losses_note({organization.id: 0})
    loss_claim(loss, floors=4000)
    loss_progress(loss, 1500)

    page = admin_client.get("/fleet").text

    assert f"Counters of {organization.name}: recovering, floors applied 1,500 of 4,000." in page
