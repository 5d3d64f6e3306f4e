"""Find the names that clients may use, and those a provider would offer."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from control_plane.catalog.selectors import models_offered_by
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import is_served_by
from control_plane.organizations.models import Organization
from control_plane.routing.models import VirtualModel


@dataclass(frozen=True, slots=True)
class ShortName:
    """A name that clients could use for a provider's model."""

    name: str
    model: str
    display_name: str
    is_free: bool
    """Whether no virtual model has the name yet."""


def virtual_models_of(organization: Organization) -> QuerySet[VirtualModel]:
    return VirtualModel.objects.filter(organization=organization).select_related("target__provider").order_by("name")


def virtual_model_by_name(organization: Organization, name: str) -> VirtualModel | None:
    return virtual_models_of(organization).filter(name=name).first()


def routes_for_pods(organization_id: UUID) -> QuerySet[VirtualModel]:
    """What pods must know, in a stable order: names whose provider is in use."""
    return (
        VirtualModel.objects.filter(organization_id=organization_id, target__provider__is_active=True)
        .select_related("target")
        .order_by("name")
    )


def short_names_offered(provider: Provider) -> list[ShortName]:
    """The known models of a provider's vendor that it serves, by the name clients already use for them."""
    taken = set(VirtualModel.objects.filter(organization_id=provider.organization_id).values_list("name", flat=True))
    return [
        ShortName(known.model, known.model, known.display_name, known.model not in taken)
        for known in models_offered_by(provider.vendor)
        if is_served_by(provider, known.model)
    ]
