"""Find providers."""

from fnmatch import fnmatchcase
from uuid import UUID

from django.db.models import QuerySet

from control_plane.credentials.models import Provider
from control_plane.organizations.models import Organization


def providers_of(organization: Organization) -> QuerySet[Provider]:
    return Provider.objects.filter(organization=organization).order_by("name")


def provider_by_name(organization: Organization, name: str) -> Provider | None:
    return providers_of(organization).filter(name=name).first()


def provider_by_id(organization: Organization, provider_id: UUID) -> Provider | None:
    return providers_of(organization).filter(id=provider_id).first()


def active_providers(organization_id: UUID) -> QuerySet[Provider]:
    """Those that pods may use, in a stable order."""
    return Provider.objects.filter(organization_id=organization_id, is_active=True).order_by("id")


def is_served_by(provider: Provider, model: str) -> bool:
    """Whether the account serves a model, as far as its list says."""
    return any(fnmatchcase(model, glob) for glob in provider.served_models)
