"""A rule as a policy file has it, to be copied into one."""

from typing import Any

from control_plane.declarative.kinds.kind import Key
from control_plane.declarative.writing import flow_text, head_lines
from control_plane.rules.models import RuleFields
from control_plane.rules.subjects import Directory
from control_plane.web.rule_catalog import RuleType

SAYS_SOMETHING_EMPTY = ("allow",)
"""Fields of which nothing inside means everything."""


def rule_yaml(rule_type: RuleType, row: RuleFields, directory: Directory) -> str:
    """One document. What is empty is left out: that is what its absence means."""
    spec = {
        name: value
        for name, value in rule_type.kind.spec(row, directory).items()
        if value not in (None, "", [], {}) or (name in SAYS_SOMETHING_EMPTY and value is not None)
    }
    lines = [*head_lines(Key(rule_type.yaml_kind, row.name)), "spec:"]
    for name, value in spec.items():
        lines += _field(name, value, "  ")
    return "\n".join(lines) + "\n"


def _field(name: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values()):
        return [f"{indent}{name}:", *(line for key, each in value.items() for line in _field(key, each, f"{indent}  "))]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [f"{indent}{name}:", *(f"{indent}  - {flow_text(each)}" for each in value)]
    return [f"{indent}{name}: {flow_text(value)}"]
