"""Change what may stand in keys of metadata."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import Organization
from control_plane.rules.models import MetadataKey, UnknownValue
from control_plane.rules.patterns import LONGEST_PATTERN, wrong_with
from control_plane.rules.problems import Problems
from control_plane.rules.reading import Spec, SpecReader
from control_plane.rules.reading_conditions import METADATA_KEY
from control_plane.rules.services import NameTaken, lock_rules

MOST_KEYS = 100


@transaction.atomic
def metadata_key_create(*, organization: Organization, name: str, spec: Spec, actor: Actor) -> MetadataKey:
    """Say what may stand in a key. spec: is_required, values, pattern, unknown, description. Raises ValidationError."""
    lock_rules(organization)
    name = name.strip() if isinstance(name, str) else ""
    problems = Problems()
    columns = _columns(spec, problems)
    present = MetadataKey.objects.filter(organization=organization)
    if not METADATA_KEY.fullmatch(name):
        problems.add("name", "No key of metadata. Right: letters, digits, dots, dashes and underscores; at most 64.")
    elif present.filter(name=name).exists():
        problems.add("name", f"The key {name!r} has its rules already.")
        if set(problems.fields) == {"name"}:
            raise NameTaken(problems.by_field)
    if present.count() >= MOST_KEYS:
        problems.add("name", f"There are {MOST_KEYS} keys already, and more are not held.")
    problems.raise_any()
    row = MetadataKey(organization=organization, name=name, **columns)
    row.save(force_insert=True)
    _record(row, actor, "created", before=None)
    return row


@transaction.atomic
def metadata_key_update(
    *, metadata_key: MetadataKey, actor: Actor, changes: Spec, replaces: bool = False, reason: str = ""
) -> MetadataKey:
    """Change what may stand in a key; its name stays. replaces: changes are the whole spec. Raises ValidationError."""
    lock_rules(metadata_key.organization)
    row = MetadataKey.objects.select_related("organization").get(
        organization_id=metadata_key.organization_id, id=metadata_key.id
    )
    before, problems = metadata_key_spec(row), Problems()
    spec = changes if replaces or not isinstance(changes, Mapping) else {**before, **changes}
    columns = _columns(spec, problems)
    problems.raise_any()
    for field, value in columns.items():
        setattr(row, field, value)
    if metadata_key_spec(row) == before:
        return row
    row.save()
    _record(row, actor, "updated", before=before, reason=reason)
    return row


@transaction.atomic
def metadata_key_delete(*, metadata_key: MetadataKey, actor: Actor, reason: str = "") -> None:
    """Let anything stand in a key again."""
    record_change(
        organization_id=metadata_key.organization_id,
        actor=actor,
        action="metadata_key.deleted",
        subject=Subject("metadata_key", metadata_key.id.hex, metadata_key.name),
        before=metadata_key_spec(metadata_key),
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
    metadata_key.delete()


def metadata_key_problems(spec: Spec) -> dict[str, list[str]]:
    """What is wrong with a spec, by field; nothing is looked up for that."""
    problems = Problems()
    _columns(spec, problems)
    return problems.by_field


def metadata_key_spec(row: MetadataKey) -> dict[str, Any]:
    """What REST shows and a policy file holds."""
    return {
        "description": row.description,
        "is_required": row.is_required,
        "values": list(row.values),
        "pattern": row.pattern,
        "unknown": str(row.unknown),
    }


def _columns(spec: Spec, problems: Problems) -> dict[str, Any]:
    reader = SpecReader(spec, problems)
    values = reader.texts("values", what="values", longest=256, may_be_empty=True)
    pattern = reader.given("pattern") or ""
    if not isinstance(pattern, str):
        reader.wrong("pattern", "A pattern is text.")
        pattern = ""
    if pattern and (why := wrong_with(pattern)):
        reader.wrong("pattern", why)
    found = {
        "description": reader.text("description"),
        "is_required": reader.claim("is_required", default=False),
        "values": list(values),
        "pattern": pattern[:LONGEST_PATTERN],
        "unknown": reader.choice("unknown", UnknownValue.values, UnknownValue.REFUSE),
    }
    reader.refuse_unknown()
    return found


def _record(row: MetadataKey, actor: Actor, verb: str, *, before: dict[str, Any] | None, reason: str = "") -> None:
    record_change(
        organization_id=row.organization_id,
        actor=actor,
        action=f"metadata_key.{verb}",
        subject=Subject("metadata_key", row.id.hex, row.name),
        before=before,
        after=metadata_key_spec(row),
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
