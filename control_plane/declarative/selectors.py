"""Read an organization's policy, its revisions, and how it differs from its code."""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.kinds.kind import PolicyObject
from control_plane.declarative.models import PolicyCode, PolicyRevision
from control_plane.declarative.versions import etag_of_policy, policy_version
from control_plane.declarative.writing import write_policy
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission, Standing

__all__ = [
    "etag_of_policy",
    "missing_reading_rights",
    "newest_revision",
    "objects_of",
    "policy_code_of",
    "policy_text",
    "policy_version",
    "revision_by_number",
    "revisions_of",
    "schema_url",
]

SCHEMA_PATH = "/api/v1/schema/policy.json"


def objects_of(organization: Organization) -> list[PolicyObject]:
    """Everything that a file can hold of an organization."""
    return [each for kind in kinds().values() for each in kind.objects(organization)]


def policy_text(organization: Organization) -> str:
    """The whole policy as YAML; secrets are gaps that say so."""
    return write_policy(objects_of(organization), schema_url=schema_url())


def schema_url() -> str:
    """Where editors find the schema of a policy file."""
    return f"{settings.SWITCHYARD.console_public_url}{SCHEMA_PATH}"


def revisions_of(organization: Organization) -> QuerySet[PolicyRevision]:
    """All that are kept, newest first, without their texts."""
    return PolicyRevision.objects.filter(organization=organization).defer("text").order_by("-number")


def revision_by_number(organization: Organization, number: int) -> PolicyRevision | None:
    return PolicyRevision.objects.filter(organization=organization, number=number).first()


def newest_revision(organization_id: UUID) -> PolicyRevision | None:
    return PolicyRevision.objects.filter(organization_id=organization_id).order_by("-number").first()


def policy_code_of(organization: Organization) -> PolicyCode | None:
    """What the organization's code says, if its policy comes from code."""
    return PolicyCode.objects.filter(organization=organization).first()


def missing_reading_rights(standing: Standing) -> Sequence[Permission]:
    """The rights that are wanting to see a whole policy: it holds people, accounts and addresses."""
    needed = dict.fromkeys((Permission.POLICY_READ, *(kind.read_right for kind in kinds().values())))
    return [right for right in needed if not standing.can(right)]
