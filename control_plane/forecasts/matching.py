"""Which of an organization's usage a budget is about, as far as roll-ups tell. Pure.

Roll-ups know who spent, with which key, on which model of which provider, through which tool. They do not know tags of
metadata or hours of a rule, nor what a rule said last week. So a counter's series stands for its spend, and is scaled
by what was really posted to the counter (`services.making`).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from control_plane.rules.conditions import Condition
from control_plane.rules.globs import fits
from switchyard_contract.counters import counter_of

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
                return None


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
    def is_by_day(self) -> bool:
        """Whether what it counts by is kept by day at all."""
        return all(kind in _OF_PER for kind in self.per)

    @property
    def is_exact(self) -> bool:
        """Whether roll-ups know all that its condition asks for."""
        return not any(each.metadata or each.hours for each in (self.when, *self.when_not))

    @property
    def needs(self) -> frozenset[str]:
        """The fields of a grain that it must know."""
        found = {name for kind in self.per for name in _OF_PER.get(kind, ())}
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
