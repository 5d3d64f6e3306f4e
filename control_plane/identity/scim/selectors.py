"""What others ask of provisioning: is somebody shut out, who came how, which tokens there are."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from control_plane.accounts.models import User
from control_plane.identity.scim.models import ScimGroup, ScimToken, ScimUser
from control_plane.identity.scim.queries import groups_of, people_of
from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import membership_of


@dataclass(frozen=True, slots=True)
class Provisioned:
    """How many people and groups providers keep in an organization."""

    active: int
    deactivated: int
    groups: int


def scim_tokens_of(organization: Organization) -> QuerySet[ScimToken]:
    return ScimToken.objects.filter(organization=organization).order_by("-created_at")


def is_shut_out(organization: Organization, user: User) -> bool:
    """Whether a provider brought this person and they are no member now: signing in must not bring them back."""
    is_known = ScimUser.objects.filter(organization=organization, user=user).exists()
    return is_known and membership_of(user, organization) is None


def provisioned_of(organization: Organization) -> Provisioned:
    people = people_of(organization)
    return Provisioned(
        active=people.filter(is_member=True).count(),
        deactivated=people.filter(is_member=False).count(),
        groups=groups_of(organization).count(),
    )


def deactivated_people(organization: Organization) -> QuerySet[Any]:
    """Those the provider took out, newest first."""
    return people_of(organization).filter(is_member=False).order_by("-updated_at", "id")


def provisioned_groups(organization: Organization) -> QuerySet[ScimGroup]:
    return groups_of(organization).order_by("display_name", "id")
