"""MetadataKey: what may stand in a key of metadata."""

from collections.abc import Sequence
from typing import Any

from control_plane.declarative.kinds.kind import Key, Kind, PolicyObject, Present, Spec, Wanted, World
from control_plane.declarative.kinds.rows import locked_rows
from control_plane.declarative.nodes import Findings, path_of
from control_plane.declarative.shapes import INVALID, TAG_NAME, Choice, Field, Flag, ListOf, Record, Text, short_spec
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rules.metadata_keys import (
    metadata_key_create,
    metadata_key_delete,
    metadata_key_problems,
    metadata_key_spec,
    metadata_key_update,
)
from control_plane.rules.models import MetadataKey, UnknownValue
from control_plane.rules.patterns import LONGEST_PATTERN


class MetadataKeyKind(Kind):
    name = "MetadataKey"
    title = "What may stand in a key of metadata, so that no value is made up that has a budget of its own."
    order = 65
    name_shape = TAG_NAME
    read_right = Permission.POLICY_READ
    manage_right = Permission.POLICY_MANAGE
    subject_kinds = frozenset({"metadata_key"})
    spec = Record(
        (
            Field("description", Text(500), "What it is for.", ""),
            Field("is_required", Flag(), "true: a request without it is refused.", False),
            Field("values", ListOf(Text(256, "a value", may_be_empty=False), most=200), "Values that are allowed.", []),
            Field(
                "pattern", Text(LONGEST_PATTERN, "RE2, over the whole value"), "Values that are allowed besides.", ""
            ),
            Field(
                "unknown",
                Choice(tuple(UnknownValue.values)),
                "other: a value that is not allowed counts as `other`.",
                str(UnknownValue.REFUSE),
            ),
        )
    )
    example = """\
kind: MetadataKey
metadata: {name: environment}
spec:
  values: [dev, staging, production]
  unknown: other
"""

    def checked(self, spec: Spec, findings: Findings) -> Any:
        problems = metadata_key_problems(short_spec(self.spec, spec))
        for field, messages in problems.items():
            for message in messages:
                findings.add(("spec", *path_of(field)), message)
        return INVALID if problems else spec

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(MetadataKey.objects.filter(organization=organization), locks=locks)
        for row in rows:
            row.organization = organization
        return [Present(PolicyObject(Key(self.name, row.name), metadata_key_spec(row)), row) for row in rows]

    def create(self, world: World, wanted: Wanted) -> None:
        metadata_key_create(
            organization=world.organization,
            name=wanted.object.key.name,
            spec=short_spec(self.spec, wanted.spec),
            actor=world.actor,
        )

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        metadata_key_update(
            metadata_key=present.row,
            changes=short_spec(self.spec, wanted.spec),
            replaces=True,
            actor=world.actor,
            reason=world.reason,
        )

    def delete(self, world: World, present: Present) -> None:
        metadata_key_delete(metadata_key=present.row, actor=world.actor, reason=world.reason)


KIND = MetadataKeyKind()
