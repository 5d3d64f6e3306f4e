"""How many values of metadata have sums of their own, and what found no place: the bound is shown, never silent."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Count

from control_plane.usage.labels import METADATA, OTHER
from control_plane.usage.models import LabelOverflow, LabelValue

BEYOND = METADATA + OTHER
"""Stands for all keys of metadata that have no sums at all."""


@dataclass(frozen=True, slots=True)
class TagBound:
    """One key of metadata. values: of it that have sums of their own; rows_in_other: rows of the ledger counted
    as `(other)`, from first_at on; None: none were."""

    label: str
    values: int
    most_values: int
    rows_in_other: int
    first_at: datetime | None
    last_at: datetime | None

    @property
    def key(self) -> str:
        return self.label.removeprefix(METADATA)

    @property
    def is_reached(self) -> bool:
        return self.rows_in_other > 0


def tag_bounds(organization_id: UUID, *, labels: Collection[str] | None = None) -> list[TagBound]:
    """Each key of metadata that has sums, the ones with most values first; last, what is beyond all keys, if any is.

    labels: only these; None: all.
    """
    if labels is not None and not labels:
        return []
    known = LabelValue.objects.filter(organization_id=organization_id, label__startswith=METADATA)
    beyond = LabelOverflow.objects.filter(organization_id=organization_id, label__startswith=METADATA)
    if labels is not None:
        known = known.filter(label__in=labels)
        beyond = beyond.filter(label__in=[*labels, BEYOND])
    overflow = {row.label: row for row in beyond}
    counts = dict(known.values_list("label").annotate(count=Count("value")).order_by("-count", "label"))
    if BEYOND in overflow:
        counts.setdefault(BEYOND, 0)
    found = []
    for label, count in counts.items():
        row = overflow.get(label)
        found.append(
            TagBound(
                label,
                count,
                0 if label == BEYOND else settings.SWITCHYARD.metadata_values,
                row.rows if row else 0,
                row.first_at if row else None,
                row.last_at if row else None,
            )
        )
    return found


def tag_keys(organization_id: UUID) -> list[str]:
    """Keys of metadata that usage can be grouped by over any range, in their order."""
    rows = LabelValue.objects.filter(organization_id=organization_id, label__startswith=METADATA)
    return sorted(label.removeprefix(METADATA) for label in rows.values_list("label", flat=True).distinct())


def tag_values(organization_id: UUID, key: str, *, most: int = 200) -> list[str]:
    """Values of one key that have sums of their own, in their order."""
    rows = LabelValue.objects.filter(organization_id=organization_id, label=METADATA + key).order_by("value")
    return list(rows.values_list("value", flat=True)[:most])
