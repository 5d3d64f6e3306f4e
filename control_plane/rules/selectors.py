"""Find keys of metadata, and what rules must know of keys."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization
from control_plane.rules.models import MetadataKey


def metadata_keys_of(organization_id: UUID) -> QuerySet[MetadataKey]:
    return MetadataKey.objects.filter(organization_id=organization_id).order_by("name")


def metadata_key_by_name(organization: Organization, name: str) -> MetadataKey | None:
    return metadata_keys_of(organization.id).filter(name=name).first()


def successors_of(organization_id: UUID, key_ids: Collection[str]) -> dict[str, list[str]]:
    """The keys that took the place of each of these, and of those, by rotation."""
    lines = {key_id: [key_id] for key_id in key_ids}
    waiting = set(key_ids)
    while waiting:
        born = VirtualKey.objects.filter(organization_id=organization_id, rotated_from__key_id__in=waiting).values_list(
            "rotated_from__key_id", "key_id"
        )
        waiting = set()
        for before, after in sorted(born):
            for line in lines.values():
                if before in line and after not in line:
                    line.append(after)
                    waiting.add(after)
    return {key_id: line[1:] for key_id, line in lines.items() if line[1:]}
