"""All kinds: one file each in this folder, found at start; and the names of those that a later version brings."""

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path

from control_plane.declarative.kinds.kind import Kind

NO_KINDS = {"__init__", "kind", "catalog", "rows", "rule"}

LATER: Mapping[str, str] = {
    "Guardrail": "what may be said and answered",
    "ToolRule": "which tools a model may call",
    "LoggingRule": "what is kept of an exchange",
    "AlertRule": "what is worth an alert",
    "McpServer": "tools behind the gateway",
}
"""Kinds of the format that this version does not do yet, and what they are about."""


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """All kinds by name, in the order in which they are made. Raises ValueError on a gap or a duplicate."""
    found: dict[str, Kind] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem in NO_KINDS:
            continue
        kind = getattr(importlib.import_module(f"{__package__}.{path.stem}"), "KIND", None)
        if not isinstance(kind, Kind):
            raise ValueError(f"{path.name} exports no KIND")
        if kind.name in found or kind.name in LATER:
            raise ValueError(f"{path.name}: there is a kind {kind.name} already")
        found[kind.name] = kind
    return {kind.name: kind for kind in sorted(found.values(), key=lambda kind: (kind.order, kind.name))}


@functools.cache
def tracked_subjects() -> frozenset[str]:
    """Subjects of the audit whose changes are changes of policy."""
    return frozenset().union(*(kind.subject_kinds for kind in kinds().values()))
