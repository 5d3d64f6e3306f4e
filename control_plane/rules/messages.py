"""Conditions as pods are told them. Pure: names of keys' successors, and the time, are arguments."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from control_plane.rules.conditions import Condition, Subject, loaded, loaded_all
from control_plane.rules.models import Mode
from control_plane.rules.periods import hours_of
from switchyard_contract.v1 import snapshot_pb2

MODES = {
    Mode.ENFORCE: snapshot_pb2.RULE_MODE_ENFORCE,
    Mode.SHADOW: snapshot_pb2.RULE_MODE_SHADOW,
}

Successors = Mapping[str, Sequence[str]]
"""Public id of a key: those of the keys that took its place by rotation. A rule about a key is about its line."""


def condition_message(condition: Condition, now: datetime, successors: Successors) -> snapshot_pb2.Condition:
    """A condition as pods know it."""
    told = snapshot_pb2.Condition(
        subjects=_subjects(condition, successors),
        models=condition.models,
        metadata=[snapshot_pb2.MetadataMatch(key=key, values=values) for key, values in condition.metadata],
        clients=condition.clients,
        protocols=condition.protocols,
    )
    if condition.hours is not None:
        told.hours.CopyFrom(hours_of(condition.hours, now))
    return told


def head_of(row: Any, now: datetime, successors: Successors) -> dict[str, Any]:
    """The fields that all kinds of rules share; row: a RuleFields."""
    return {
        "id": row.id.hex,
        "name": row.name,
        "mode": MODES[Mode(row.mode)],
        "when": condition_message(loaded(row.when), now, successors),
        "when_not": [condition_message(each, now, successors) for each in loaded_all(row.when_not)],
    }


def keys_named(rows: Iterable[Any]) -> set[str]:
    """The public ids of keys that rules name."""
    return {
        subject.value
        for row in rows
        for condition in loaded_all([row.when, *row.when_not])
        for subject in condition.subjects
        if subject.kind == "key"
    }


def _subjects(condition: Condition, successors: Successors) -> list[str]:
    if condition.is_about_everybody:
        return []
    found: dict[Subject, None] = {}
    for subject in condition.subjects:
        found[subject] = None
        if subject.kind == "key":
            found |= dict.fromkeys(Subject("key", each) for each in successors.get(subject.value, ()))
    return [str(subject) for subject in found]
