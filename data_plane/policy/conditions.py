"""Does a rule match an exchange; if not, which part of it does not; and of several, which is the most specific."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from data_plane.policy.decision import Caller
from data_plane.policy.rules import Condition

NEVER_MS = 2**62
"""Later than any instant there is."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Who asks, with what and when. None: not known, as when models are listed for nobody's request in particular."""

    caller: Caller
    protocol: str | None
    client: str | None
    tags: Mapping[str, str]
    """What rules see: the caller's own, and what the request says of keys that those leave open (metadata.py)."""
    at_ms: int | None
    has_session: bool = True
    subjects: frozenset[str] = field(default=frozenset(), compare=False)


def scene_of(
    caller: Caller,
    tags: Mapping[str, str],
    *,
    protocol: str | None = None,
    client: str | None = None,
    at_ms: int | None = None,
    has_session: bool = True,
) -> Scene:
    """Look at an exchange as rules do."""
    return Scene(caller, protocol, client, tags, at_ms, has_session, subjects_of(caller))


def subjects_of(caller: Caller) -> frozenset[str]:
    """Everything that a rule may call this caller."""
    subjects = {
        "organization",
        f"kind:{caller.principal_kind}",
        f"{caller.principal_kind}:{caller.principal_id}",
        f"team:{caller.team_id}",
        f"key:{caller.key_id}",
    }
    if caller.role:
        subjects.add(f"role:{caller.role}")
    return frozenset(subjects)


class Rule(Protocol):
    """What is asked of a rule to see whether it matches."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def is_shadow(self) -> bool: ...
    @property
    def when(self) -> Condition: ...
    @property
    def when_not(self) -> tuple[Condition, ...]: ...


class GroupedRule(Rule, Protocol):
    """One of which only the most specific of its group applies."""

    @property
    def group(self) -> str: ...


_G = TypeVar("_G", bound=GroupedRule)


def why_not(rule: Rule, scene: Scene, names: tuple[str, ...], *, unknown_fits: bool = True) -> str:
    """Say which part of a rule does not fit; "": it matches.

    names: all that the model is called by. unknown_fits: what to make of parts that the scene does not know.
    """
    missing = _missing(rule.when, scene, names, unknown_fits=unknown_fits)
    if missing:
        return missing
    for place, condition in enumerate(rule.when_not):
        if not _missing(condition, scene, names, unknown_fits=not unknown_fits):
            return "when_not" if len(rule.when_not) == 1 else f"when_not[{place}]"
    return ""


def may_match(rule: Rule, scene: Scene, *, unknown_fits: bool = True) -> bool:
    """Whether a rule could match for some model: all of `when` but the models."""
    return not _missing(rule.when, scene, None, unknown_fits=unknown_fits)


def _missing(condition: Condition, scene: Scene, names: tuple[str, ...] | None, *, unknown_fits: bool) -> str:
    """The first part that does not fit. names: None where models are not asked about."""
    if condition.subjects and condition.subjects.isdisjoint(scene.subjects):
        return "subjects"
    if names is not None and condition.models is not None and not condition.models.fits_any(names):
        return "models"
    for key, globs in condition.metadata:
        value = scene.tags.get(key)
        if value is None or not globs.fits(value):
            return f"metadata.{key}"
    if condition.clients is not None and not (
        unknown_fits if scene.client is None else condition.clients.fits(scene.client)
    ):
        return "clients"
    if condition.protocols and not (unknown_fits if scene.protocol is None else scene.protocol in condition.protocols):
        return "protocols"
    if condition.hours is not None and not (
        unknown_fits if scene.at_ms is None else is_inside(condition.hours, scene.at_ms)
    ):
        return "hours"
    return ""


def is_inside(hours: Sequence[tuple[int, int]], at_ms: int) -> bool:
    """Whether an instant is in one of the spans; what lies beyond those that are known is outside."""
    place = bisect_right(hours, (at_ms, NEVER_MS)) - 1
    return place >= 0 and at_ms < hours[place][1]


def next_edge_ms(rules: Iterable[Rule], at_ms: int) -> int:
    """When hours of any of the rules begin or end next."""
    edge_ms = NEVER_MS
    for rule in rules:
        for condition in (rule.when, *rule.when_not):
            if condition.hours:
                place = bisect_right(condition.hours, (at_ms, NEVER_MS))
                if place and condition.hours[place - 1][1] > at_ms:
                    edge_ms = min(edge_ms, condition.hours[place - 1][1])
                elif place < len(condition.hours):
                    edge_ms = min(edge_ms, condition.hours[place][0])
    return edge_ms


_RANKS = {"organization": 0, "kind": 1, "role": 2, "team": 3, "user": 4, "service_account": 4, "key": 5}


def specificity(rule: Rule, scene: Scene) -> tuple[int, int]:
    """How closely a matching rule is about this exchange: by whom it names, then by how many parts it gives."""
    named = rule.when.subjects & scene.subjects
    rank = max((_RANKS[subject.partition(":")[0]] for subject in named), default=0)
    return rank, rule.when.parts


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the rules that match apply."""

    applying: frozenset[str]
    """Ids."""
    instead: Mapping[str, str]
    """Id of a rule that does not, to the name of the rule of its group that does."""


def choose(rules: Sequence[_G], scene: Scene, amount_of: Callable[[_G], int]) -> Choice:
    """Of the matching rules of a group only the most specific one applies; one without a group always does.

    Equally specific ones: the higher amount, then the name. What is enforced is chosen among enforced rules alone. A
    shadow applies where it would be the one, were it enforced: so it shows what enforcing it does, and displaces no
    rule that is.
    """
    groups: dict[str, list[_G]] = {}
    applying: set[str] = set()
    for rule in rules:
        if rule.group:
            groups.setdefault(rule.group, []).append(rule)
        else:
            applying.add(rule.id)
    instead: dict[str, str] = {}
    for members in groups.values():
        if len(members) == 1:
            applying.add(members[0].id)
            continue
        ranked = sorted(members, key=lambda rule: _order(rule, scene, amount_of(rule)))
        first = ranked[0]
        enforced = next((rule for rule in ranked if not rule.is_shadow), None)
        for rule in ranked:
            winner = first if rule.is_shadow or enforced is None else enforced
            if rule is winner:
                applying.add(rule.id)
            else:
                instead[rule.id] = winner.name
    return Choice(frozenset(applying), instead)


def _order(rule: Rule, scene: Scene, amount: int) -> tuple[int, int, int, str, str]:
    rank, parts = specificity(rule, scene)
    return -rank, -parts, -amount, rule.name, rule.id
