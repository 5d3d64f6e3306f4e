"""Which of an organization's usage a budget is about, as far as roll-ups tell. Pure.

Roll-ups know who spent, with which key, on which model of which provider, through which tool. They do not know hours of
a rule, nor what a rule said last week. Tags of metadata have sums of their own, which know nothing else but the team.
So a counter's series stands for its spend, and is scaled by what was really posted to the counter (`services.making`).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import UUID

from control_plane.rules.conditions import Condition
from control_plane.rules.globs import fits
from switchyard_contract.counters import PER_METADATA, counter_of

_DATE = re.compile(r"(?:-\d{8}|-\d{4}-\d{2}-\d{2}|@\d{8}|-latest)$")


class Grain(NamedTuple):
    """What a sum of usage is about. What a question does not need is left empty, so that its sums are few."""

    team_id: UUID | None = None
    principal_id: UUID | None = None
    principal_kind: str = ""
    key_id: str = ""
    provider_id: UUID | None = None
    provider_name: str = ""
    model: str = ""
    requested_model: str = ""
    client: str = ""
    protocol: str = ""
    tag: str = ""
    """The value of the one key of metadata that is asked about."""

    def value(self, kind: str) -> str | None:
        """Its value as counters write it; None: it is of nobody of that kind, or not known by day."""
        match kind:
            case "organization":
                return ""
            case "team":
                return self.team_id.hex if self.team_id else ""
            case "principal":
                return self.principal_id.hex if self.principal_id else None
            case "user" | "service_account":
                return self.principal_id.hex if self.principal_id and self.principal_kind == kind else None
            case "key":
                return self.key_id or None
            case "model":
                return plain_model(self.model)
            case "provider":
                return self.provider_id.hex if self.provider_id else None
            case _:
                # What has no such tag is in no sum by it.
                return self.tag or None if kind.startswith(PER_METADATA) else None


_OF_PER: Mapping[str, tuple[str, ...]] = {
    "organization": (),
    "team": ("team_id",),
    "principal": ("principal_id", "principal_kind"),
    "user": ("principal_id", "principal_kind"),
    "service_account": ("principal_id", "principal_kind"),
    "key": ("key_id",),
    "model": ("model",),
    "provider": ("provider_id",),
}
_BESIDES_TAGS = frozenset({"organization", "team"})
_OF_SUBJECT: Mapping[str, tuple[str, ...]] = {
    "team": ("team_id",),
    "role": ("principal_id",),
    "user": ("principal_id",),
    "service_account": ("principal_id",),
    "key": ("key_id",),
    "kind": ("principal_kind",),
}


@dataclass(frozen=True, slots=True)
class About:
    """What a budget is about, and what it counts by. successors: keys that took a key's place."""

    per: tuple[str, ...]
    when: Condition
    when_not: tuple[Condition, ...] = ()
    roles: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    """Who has a role today."""
    successors: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The label whose sums its counters are read from: it counts by one key of metadata, and by nothing else but
        the team. Empty: there is none."""
        tags = [kind for kind in self.per if kind.startswith(PER_METADATA)]
        rest = set(self.per) - set(tags)
        return tags[0] if len(tags) == 1 and rest <= _BESIDES_TAGS else ""

    @property
    def is_by_day(self) -> bool:
        """Whether what it counts by is kept by day at all."""
        return bool(self.tag) or all(kind in _OF_PER for kind in self.per)

    def known_by_tag(self) -> "About":
        """The same as far as sums by tag know it: teams. What else it asks for is made good by the scale."""
        nots = tuple(each for each in self.when_not if each.is_about_subjects_alone and _is_of_teams(each))
        subjects = self.when.subjects if _is_of_teams(self.when) else ()
        return replace(self, when=Condition(subjects=subjects), when_not=nots)

    @property
    def needs(self) -> frozenset[str]:
        """The fields of a grain that it must know."""
        found = {name for kind in self.per for name in _OF_PER.get(kind, ())} | ({"tag"} if self.tag else set())
        for each in (self.when, *self.when_not):
            found |= {name for subject in each.subjects for name in _OF_SUBJECT.get(subject.kind, ())}
            found |= {"model", "requested_model", "provider_name"} if each.models else set()
            found |= {"client"} if each.clients else set()
            found |= {"protocol"} if each.protocols else set()
        return frozenset(found)

    def takes(self, grain: Grain) -> bool:
        return self._fits(self.when, grain) and not any(
            self._fits(each, grain) for each in self.when_not if not (each.metadata or each.hours)
        )

    def counter(self, grain: Grain) -> str | None:
        """The counter that such usage counts in; None: in none."""
        values = [grain.value(kind) for kind in self.per]
        found = [value for value in values if value is not None]
        return counter_of(found) if len(found) == len(values) else None

    def _fits(self, condition: Condition, grain: Grain) -> bool:
        if not condition.is_about_everybody and not any(
            self._is_of(subject.kind, subject.value, grain) for subject in condition.subjects
        ):
            return False
        if condition.models and not any(fits(condition.models, name) for name in model_names(grain)):
            return False
        if condition.clients and not fits(condition.clients, grain.client):
            return False
        return not condition.protocols or grain.protocol in condition.protocols

    def _is_of(self, kind: str, value: str, grain: Grain) -> bool:
        match kind:
            case "organization":
                return True
            case "team":
                return grain.team_id is not None and grain.team_id.hex == value
            case "user" | "service_account":
                return grain.principal_id is not None and grain.principal_id.hex == value
            case "role":
                return grain.principal_id in self.roles.get(value, frozenset())
            case "key":
                return grain.key_id == value or grain.key_id in self.successors.get(value, ())
            case "kind":
                return grain.principal_kind == value
            case _:
                return False


def _is_of_teams(condition: Condition) -> bool:
    return all(subject.kind == "team" for subject in condition.subjects)


def plain_model(model: str) -> str:
    """A model's name without the date that a vendor writes behind it."""
    return _DATE.sub("", model)


def model_names(grain: Grain) -> set[str]:
    """All names that a condition's globs may mean it by."""
    own = {grain.model, plain_model(grain.model)}
    return {*own, grain.requested_model, *(f"{grain.provider_name}/{name}" for name in own)} - {""}


def fields_of(needs: Iterable[str]) -> tuple[str, ...]:
    """Those fields in the order that a grain has them."""
    wanted: Collection[str] = set(needs)
    return tuple(name for name in Grain._fields if name in wanted)
