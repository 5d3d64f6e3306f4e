"""Find rules of which more may match one exchange than the counters are asked for at once. Pure.

A sound over-approximation: rules that can match together are always found; some that never do may be found too. Exact:
who acts (each named person, service account, key and team, and everybody else by role), models, metadata, tools and
protocols by globs, what excludes by subject alone, groups (one rule of a group applies). Taken as possible: any team
for any person, any hours together, whatever excludes by more than subjects. Pairs are compared, not whole sets: three
rules of which each two can meet are taken to meet. docs/decisions/0116-too-many-rules-at-once.md
"""

import functools
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from control_plane.rules.globs import fits, is_glob, may_meet
from switchyard_contract.v1 import snapshot_pb2

STEPS = 100_000
"""So long a crowd is searched for; what is not told apart by then is taken to meet."""

_DATED = re.compile(r"(?P<undated>.+?)(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2})")
_DATES = ("-????????", "@????????", "-????-??-??")


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Whose a key is. principal: `user:<id>` or `service_account:<id>`."""

    principal: str
    team: str


@dataclass(frozen=True, slots=True)
class Everybody:
    """Who is in an organization, as far as its rules ask."""

    roles: Mapping[str, str] = field(default_factory=dict)
    """User id: role."""
    keys: Mapping[str, KeyFacts] = field(default_factory=dict)
    """Of the keys that rules name."""
    virtual_names: Sequence[tuple[str, ...]] = ()
    """For each virtual model all names that globs are compared with."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A rule that takes a place when it matches."""

    name: str
    group: str
    is_shadow: bool
    when: snapshot_pb2.Condition
    when_not: Sequence[snapshot_pb2.Condition]
    per: Sequence[str] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Enforced rules of a group share one. A shadow displaces nobody, so each takes a place of its own."""
        return ("group", self.group) if self.group and not self.is_shadow else ("rule", self.name)


def crowd_of(
    contenders: Iterable[Contender], everybody: Everybody, most: int, *, including: str = ""
) -> tuple[str, ...]:
    """Names of more than `most` rules that may match one exchange; none: there is no such exchange.

    including: only look for crowds that this rule is part of.
    """
    rules = [rule for rule in contenders if not any(_is_empty(each) for each in rule.when_not)]
    if len({rule.place for rule in rules}) <= most:
        return ()
    search = _Search(rules, everybody, most)
    masks = _masks(rules, everybody)
    wanted = 0
    if including:
        wanted = sum(1 << position for position, rule in enumerate(rules) if rule.name == including)
        masks = {mask & search.meeting(wanted) for mask in masks if mask & wanted}
    # Most rules are about everybody: how many of those can meet is found once, not for every person and team.
    base = functools.reduce(operator.and_, masks, search.everything) & ~wanted
    in_base = search.largest(base)
    if len(in_base) > most:
        return search.names(in_base)
    # The largest first: who fits no more rules than somebody else did cannot be in a larger crowd.
    for mask in sorted(masks, key=int.bit_count, reverse=True):
        if len(in_base) + (mask & ~base).bit_count() > most and len(found := search.largest(mask, wanted)) > most:
            return search.names(found)
    return ()


class _Search:
    """Looks for rules of different places that can meet by twos. Sets of rules are bits."""

    def __init__(self, rules: Sequence[Contender], everybody: Everybody, most: int) -> None:
        self._rules, self._everybody, self._most = rules, everybody, most
        self._asks = [_Ask.of(rule.when) for rule in rules]
        self._meets: dict[int, int] = {}
        self._steps = 0
        self.everything = (1 << len(rules)) - 1

    def names(self, positions: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(self._rules[position].name for position in positions))

    def meeting(self, mask: int) -> int:
        """Those rules and whatever can meet one of them."""
        found = mask
        for position in _positions(mask):
            found |= self._meeting(position)
        return found

    def largest(self, mask: int, wanted: int = 0) -> list[int]:
        """Some rules that can meet, as many as there are, and no more than one above `most`.

        wanted: one of these must be among them.
        """
        best: list[int] = []

        def grow(chosen: list[int], rest: int) -> bool:
            nonlocal best
            self._steps += 1
            if len(chosen) > len(best):
                best = chosen
            if len(best) > self._most:
                return True
            if self._steps > STEPS:
                best = (chosen + list(_positions(rest)))[: self._most + 1]
                return True
            while len(chosen) + rest.bit_count() > len(best):
                position = (rest & -rest).bit_length() - 1
                rest &= rest - 1
                if grow([*chosen, position], rest & self._meeting(position)):
                    return True
            return False

        if not wanted:
            grow([], mask)
            return best
        for position in _positions(mask & wanted):
            if grow([position], mask & self._meeting(position)):
                break
        return best

    def _meeting(self, position: int) -> int:
        """The rules of other places that can meet one."""
        if position not in self._meets:
            place, ask = self._rules[position].place, self._asks[position]
            self._meets[position] = sum(
                1 << other
                for other, rule in enumerate(self._rules)
                if rule.place != place and ask.may_meet(self._asks[other], self._everybody)
            )
        return self._meets[position]


def _positions(mask: int) -> Iterator[int]:
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1


def _masks(rules: Sequence[Contender], everybody: Everybody) -> set[int]:
    """Which rules fit each possible caller, as bits."""
    anybody = 0
    takes: dict[str, int] = {}
    excludes: dict[str, int] = {}
    only: dict[str, int] = {"user": 0, "service_account": 0}
    for position, rule in enumerate(rules):
        bit = 1 << position
        if not rule.when.subjects:
            anybody |= bit
        for subject in rule.when.subjects:
            takes[subject] = takes.get(subject, 0) | bit
        for condition in rule.when_not:
            if _is_about_subjects_alone(condition):
                for subject in condition.subjects:
                    excludes[subject] = excludes.get(subject, 0) | bit
        for kind in only:
            if kind in rule.per:
                only[kind] |= bit
    found = set()
    for identity in _identities({*takes, *excludes}, everybody):
        mask, without = anybody, 0
        for subject in identity:
            mask |= takes.get(subject, 0)
            without |= excludes.get(subject, 0)
        other = only["service_account"] if "kind:user" in identity else only["user"]
        found.add(mask & ~without & ~other)
    return found


def _identities(named: Iterable[str], everybody: Everybody) -> Iterator[tuple[str, ...]]:
    """Every caller that the named subjects can tell apart: the subjects it is."""
    by_kind: dict[str, list[str]] = {}
    for subject in named:
        by_kind.setdefault(subject.partition(":")[0], []).append(subject)
    teams: list[tuple[str, ...]] = [(), *((team,) for team in by_kind.get("team", ()))]
    people: list[tuple[str, ...]] = [("kind:user",), *(("kind:user", role) for role in by_kind.get("role", ()))]
    people += [_person(user, everybody) for user in by_kind.get("user", ())]
    accounts: list[tuple[str, ...]] = [("kind:service_account",)]
    accounts += [("kind:service_account", account) for account in by_kind.get("service_account", ())]
    for principal, team in product([*people, *accounts], teams):
        yield (*principal, *team)
    for key in by_kind.get("key", ()):
        facts = everybody.keys.get(key.partition(":")[2])
        if facts is not None:
            is_user = facts.principal.startswith("user:")
            owner = _person(facts.principal, everybody) if is_user else ("kind:service_account", facts.principal)
            yield (*owner, f"team:{facts.team}", key)


def _person(user: str, everybody: Everybody) -> tuple[str, ...]:
    role = everybody.roles.get(user.partition(":")[2])
    return ("kind:user", user, *((f"role:{role}",) if role else ()))


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a condition says of what is asked for."""

    models: tuple[str, ...]
    metadata: Mapping[str, tuple[str, ...]]
    clients: tuple[str, ...]
    protocols: frozenset[str]

    @classmethod
    def of(cls, when: snapshot_pb2.Condition) -> "_Ask":
        return cls(
            tuple(when.models),
            {match.key: tuple(match.values) for match in when.metadata},
            tuple(when.clients),
            frozenset(when.protocols),
        )

    def may_meet(self, other: "_Ask", everybody: Everybody) -> bool:
        """Whether one exchange may fit both."""
        if self.protocols and other.protocols and self.protocols.isdisjoint(other.protocols):
            return False
        if self.clients and other.clients and not _globs_meet(self.clients, other.clients):
            return False
        for key, values in self.metadata.items():
            if key in other.metadata and not _globs_meet(values, other.metadata[key]):
                return False
        return not self.models or not other.models or _models_meet(self.models, other.models, everybody)


def _models_meet(one: tuple[str, ...], other: tuple[str, ...], everybody: Everybody) -> bool:
    """Whether an exchange has a name for each: what was asked for, `<provider>/<model>`, or the model's own; with and
    without a date or an aggregator's name (docs/reference/rules.md)."""
    if _names_meet(one, other):
        return True
    return any(
        any(fits(one, name) for name in all_names(names)) and any(fits(other, name) for name in all_names(names))
        for names in everybody.virtual_names
    )


def all_names(names: Iterable[str]) -> list[str]:
    """Names with those that a pod compares besides: without the date, and behind the last slash."""
    found = list(names)
    for name in found:
        plainer = (undated(name), name.rpartition("/")[2])
        found += [each for each in plainer if each not in found]
    return found


def undated(name: str) -> str:
    """A model's name without the date that its vendor writes behind it."""
    dated = _DATED.fullmatch(name)
    return name if dated is None else dated["undated"]


@lru_cache(maxsize=65536)
def _names_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return any(_one_has_both(a, b) or _one_has_both(b, a) for a in one for b in other)


def _one_has_both(glob: str, plainer: str) -> bool:
    """Whether a text fits a glob, and the same text, or a plainer name of it, fits another."""
    if may_meet(glob, plainer):
        return True
    prefixes = ("", "*/") if "*" in glob or "/" in glob else ("",)
    suffixes = ("", *_DATES) if is_glob(glob) or _DATED.fullmatch(glob) else ("",)
    return any(may_meet(glob, f"{prefix}{plainer}{suffix}") for prefix in prefixes for suffix in suffixes)


@lru_cache(maxsize=65536)
def _globs_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return any(may_meet(a, b) for a in one for b in other)


def _is_about_subjects_alone(condition: snapshot_pb2.Condition) -> bool:
    return bool(condition.subjects) and not (
        condition.models
        or condition.metadata
        or condition.clients
        or condition.protocols
        or condition.HasField("hours")
    )


def _is_empty(condition: snapshot_pb2.Condition) -> bool:
    """Whether it fits every exchange."""
    return condition.ByteSize() == 0
