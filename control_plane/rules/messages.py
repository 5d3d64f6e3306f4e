"""Conditions as pods are told them. Pure: who there is, keys' successors, and the time are arguments.

A subject that is gone is left out. Where nobody else was named, NOBODY stands in: a condition without subjects would be
about everybody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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

NOBODY = "key:gone"
"""A subject that no exchange has: ids of keys are longer."""


@dataclass(frozen=True, slots=True)
class Present:
    """Who there is. ids: 32 hex digits of teams, users and service accounts; None: not looked at.

    successors: public id of a key to those of the keys that took its place by rotation: a rule about a key is about its
    line.
    """

    ids: frozenset[str] | None = None
    successors: Mapping[str, Sequence[str]] = field(default_factory=dict)


EVERYBODY = Present()


def condition_message(condition: Condition, now: datetime, present: Present = EVERYBODY) -> snapshot_pb2.Condition:
    """A condition as pods know it."""
    told = snapshot_pb2.Condition(
        subjects=_subjects(condition, present),
        models=condition.models,
        metadata=[snapshot_pb2.MetadataMatch(key=key, values=values) for key, values in condition.metadata],
        clients=condition.clients,
        protocols=condition.protocols,
    )
    if condition.hours is not None:
        told.hours.CopyFrom(hours_of(condition.hours, now))
    return told


def head_of(row: Any, now: datetime, present: Present = EVERYBODY) -> dict[str, Any]:
    """The fields that all kinds of rules share; row: a RuleFields."""
    return {
        "id": row.id.hex,
        "name": row.name,
        "mode": MODES[Mode(row.mode)],
        "when": condition_message(loaded(row.when), now, present),
        "when_not": [condition_message(each, now, present) for each in loaded_all(row.when_not)],
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


def _subjects(condition: Condition, present: Present) -> list[str]:
    if condition.is_about_everybody:
        return []
    found: dict[Subject, None] = {}
    for subject in condition.subjects:
        if subject.kind in ("team", "user", "service_account") and present.ids is not None:
            if subject.value in present.ids:
                found[subject] = None
            continue
        found[subject] = None
        if subject.kind == "key":
            found |= dict.fromkeys(Subject("key", each) for each in present.successors.get(subject.value, ()))
    return [str(subject) for subject in found] or [NOBODY]
