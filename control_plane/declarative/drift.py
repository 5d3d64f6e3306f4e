"""How an organization differs from what its code said: edits that the next apply would take back."""

from dataclasses import dataclass

from control_plane.declarative.differences import Action, ObjectChange, in_order, object_changes, said_fields
from control_plane.declarative.kinds.kind import Key
from control_plane.declarative.models import PolicyCode
from control_plane.declarative.selectors import objects_of, policy_code_of
from control_plane.declarative.texts import documents_of, objects_of_documents
from control_plane.declarative.writing import head_lines, write_object
from control_plane.organizations.models import Organization


@dataclass(frozen=True, slots=True)
class Drift:
    """code: what was applied last. changes: from the code to what is there now."""

    code: PolicyCode
    changes: tuple[ObjectChange, ...]
    text: str
    """The edits as YAML, to be put back into the code; what was taken away as comments."""

    @property
    def is_none(self) -> bool:
        return not self.changes


def drift_of(organization: Organization) -> Drift | None:
    """None: the policy does not come from code."""
    code = policy_code_of(organization)
    if code is None:
        return None
    now = {each.key: each for each in objects_of(organization)}
    said = documents_of(code.text)
    named = [Key(kind, name) for kind, name in code.objects_named]
    # Equal objects are equal texts: only those that differ are read, of thousands that are as they were.
    differing = {
        key: head_lines(key)
        for key in named
        if said.get(head_lines(key), "") != (write_object(now[key]) if key in now else "")
    }
    before = objects_of_documents(said, differing.values())
    changes = object_changes(
        {key: before[key] for key in differing if key in before}, {key: now[key] for key in differing if key in now}
    )
    if code.is_complete:
        known = {Key(kind, name) for kind, name in code.all_keys}
        added = in_order(key for key in now if key not in known)
        changes += [ObjectChange(key, Action.CREATE, said_fields(now[key])) for key in added]
    parts = []
    for change in changes:
        if change.action is Action.DELETE:
            parts.append(f"# {change.key} was taken away: take it out of the file, or apply it again.\n")
        else:
            parts.append(write_object(now[change.key]))
    return Drift(code, tuple(changes), "---\n".join(parts))
