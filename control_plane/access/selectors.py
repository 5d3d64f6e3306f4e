"""Find access rules."""

from uuid import UUID

from django.db.models import QuerySet

from control_plane.access.models import AccessRule
from control_plane.organizations.models import Organization
from control_plane.rules.models import Mode


def access_rules_of(organization: Organization) -> QuerySet[AccessRule]:
    return AccessRule.objects.filter(organization=organization).select_related("organization").order_by("name")


def access_rule_by_name(organization: Organization, name: str) -> AccessRule | None:
    return access_rules_of(organization).filter(name=name).first()


def access_rules_for_pods(organization_id: UUID) -> QuerySet[AccessRule]:
    """Those that pods must know, in a stable order."""
    return AccessRule.objects.filter(organization_id=organization_id).exclude(mode=Mode.OFF).order_by("id")
