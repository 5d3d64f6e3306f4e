"""What differs between two specs, and between two sets of objects. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.kinds.kind import Key, PolicyObject, Spec
from control_plane.declarative.writing import WRITE_ONLY_FIELDS, flow_text

A_NEW_VALUE = "a new value (write-only)"


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    KEEP = "keep"
    """It was to be taken away and cannot be."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, as JSON holds its values. None: not given."""

    field: str
    before: Any
    after: Any

    @property
    def before_text(self) -> str:
        return shown(self.before)

    @property
    def after_text(self) -> str:
        return shown(self.after)


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What becomes of one object. document, line: of the file that asks for it; 0: none does."""

    key: Key
    action: Action
    fields: tuple[FieldChange, ...] = ()
    document: int = 0
    line: int = 0
    why: str = ""
    """Of an object that is kept."""


def shown(value: Any) -> str:
    """A value on one line, for people."""
    return "–" if value is None or value == "" or value == [] or value == {} else flow_text(value)


def spec_changes(before: Spec | None, after: Spec | None, *, has_new_secret: bool = False) -> tuple[FieldChange, ...]:
    """The fields in which two specs differ; maps name by name. None: there is no such object."""
    return tuple(_changes(before or {}, after or {}, has_new_secret))


def object_changes(before: Mapping[Key, PolicyObject], after: Mapping[Key, PolicyObject]) -> list[ObjectChange]:
    """What leads from one set of objects to another, kinds in their order."""
    found = []
    for key in in_order(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            found.append(ObjectChange(key, Action.CREATE, said_fields(new)))
        elif new is None and old is not None:
            gone = tuple(FieldChange(each.field, each.after, None) for each in said_fields(old))
            found.append(ObjectChange(key, Action.DELETE, gone))
        elif old is not None and new is not None and old.spec != new.spec:
            found.append(ObjectChange(key, Action.CHANGE, spec_changes(old.spec, new.spec)))
    return found


def said_fields(each: PolicyObject, *, has_new_secret: bool = False) -> tuple[FieldChange, ...]:
    """What a new object says beyond the defaults."""
    defaults = {field.name: field.default for field in kinds()[each.key.kind].spec.fields}
    said = {name: value for name, value in each.spec.items() if value != defaults[name]}
    return spec_changes(None, said, has_new_secret=has_new_secret)


def in_order(keys: Iterable[Key]) -> list[Key]:
    order = {name: position for position, name in enumerate(kinds())}
    return sorted(keys, key=lambda key: (order.get(key.kind, len(order)), key.name))


def _changes(before: Spec, after: Spec, has_new_secret: bool) -> Iterator[FieldChange]:
    for name in dict.fromkeys((*after, *before)):
        old, new = before.get(name), after.get(name)
        if name in WRITE_ONLY_FIELDS and has_new_secret:
            yield FieldChange(name, old, A_NEW_VALUE)
        elif old == new:
            continue
        elif name == "tags":
            old_tags, new_tags = old or {}, new or {}
            for tag in sorted(old_tags.keys() | new_tags.keys()):
                if old_tags.get(tag) != new_tags.get(tag):
                    yield FieldChange(f"tags.{tag}", old_tags.get(tag), new_tags.get(tag))
        else:
            yield FieldChange(name, old, new)
