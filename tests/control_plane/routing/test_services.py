"""Names that clients may use."""

import functools

import pytest
from django.core.exceptions import ValidationError

from control_plane.audit.selectors import changes_of
from control_plane.catalog.models import KnownModel
from control_plane.credentials.services import provider_update
from control_plane.routing.models import VirtualModel
from control_plane.routing.selectors import (
    routes_for_pods,
    short_names_offered,
    virtual_model_by_name,
    virtual_models_of,
)
from control_plane.routing.services import virtual_model_delete, virtual_model_set, virtual_models_offer
from tests.builders.tenants import a_provider, a_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def known() -> None:
    for model, is_offered in (("claude-a", True), ("claude-b", True), ("claude-old", False)):
        KnownModel.objects.create(vendor="anthropic", model=model, is_offered=is_offered)
    KnownModel.objects.create(vendor="openai", model="gpt-a", is_offered=True)


def test_a_provider_offers_short_names_for_the_models_it_serves() -> None:
    tenant = a_tenant()
    provider = a_provider(tenant, models=("claude-a", "gpt-*"))
    assert [(offer.name, offer.is_free) for offer in short_names_offered(provider)] == [("claude-a", True)]


def test_offered_names_lead_to_the_provider_and_taken_ones_stay() -> None:
    tenant = a_tenant()
    first, second = a_provider(tenant, "first", models=("claude-a",)), a_provider(tenant, "second")
    virtual_models_offer(provider=first, actor=tenant.actor)
    assert [row.name for row in virtual_models_offer(provider=second, actor=tenant.actor)] == ["claude-b"]
    routes = {row.name: row.target.provider.name for row in virtual_models_of(tenant.organization)}
    assert routes == {"claude-a": "first", "claude-b": "second"}


def test_only_the_named_ones_are_made() -> None:
    tenant = a_tenant()
    made = virtual_models_offer(provider=a_provider(tenant), names=["claude-b", "claude-zzz"], actor=tenant.actor)
    assert [row.name for row in made] == ["claude-b"]


def test_a_name_is_led_elsewhere_with_one_change() -> None:
    tenant = a_tenant()
    provider = a_provider(tenant)
    lead_to = functools.partial(
        virtual_model_set,
        organization=tenant.organization,
        name="team/fast.1",
        provider=provider,
        actor=tenant.actor,
    )
    made = lead_to(model="claude-a")
    moved = lead_to(model="claude-b")
    lead_to(model="claude-b")
    assert moved.id == made.id
    actions = [row.action for row in changes_of(tenant.organization.id)[:2]]
    assert actions == ["virtual_model.updated", "virtual_model.created"]


def test_a_name_may_not_lead_to_what_is_not_served_or_not_ours() -> None:
    one, other = a_tenant(), a_tenant()
    provider = a_provider(one, models=("claude-a",))
    for organization, name, model in (
        (one.organization, "x", "claude-b"),
        (one.organization, "spaces are bad", "claude-a"),
        (other.organization, "x", "claude-a"),
    ):
        with pytest.raises(ValidationError):
            virtual_model_set(organization=organization, name=name, provider=provider, model=model, actor=one.actor)
    assert not VirtualModel.objects.exists()


def test_names_of_a_provider_that_is_switched_off_do_not_reach_pods() -> None:
    tenant = a_tenant()
    provider = a_provider(tenant)
    virtual_models_offer(provider=provider, actor=tenant.actor)
    assert routes_for_pods(tenant.organization.id).count() == 2
    provider_update(provider=provider, is_active=False, actor=tenant.actor)
    assert not routes_for_pods(tenant.organization.id).exists()


def test_a_deleted_name_is_gone_and_remembered() -> None:
    tenant = a_tenant()
    virtual_models_offer(provider=a_provider(tenant), actor=tenant.actor)
    row = virtual_model_by_name(tenant.organization, "claude-a")
    assert row is not None
    virtual_model_delete(virtual_model=row, actor=tenant.actor, reason="unused")
    assert virtual_model_by_name(tenant.organization, "claude-a") is None
    assert changes_of(tenant.organization.id)[0].before == {"provider": "anthropic-main", "model": "claude-a"}
