"""Find rules of which more may match one exchange than the counters are asked for at once. Pure.

A sound over-approximation: rules that can match together are always found; some that never do may be found too. Exact:
who acts (each named person, service account, key and team, and everybody else by role), models, metadata, tools and
protocols by globs, what excludes by subject alone, groups (one rule of a group applies). Taken as possible: any team
for any person, any hours together, whatever excludes by more than subjects. Pairs are compared, not whole sets: three
rules of which each two can meet are taken to meet. docs/decisions/0116-too-many-rules-at-once.md
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from control_plane.rules.globs import fits, may_meet
from switchyard_contract.v1 import snapshot_pb2

STEPS = 50_000
"""So long a crowd is searched for; what is not told apart by then is taken to meet."""


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
    def place(self) -> tuple[str, str, bool]:
        """Rules of a group share one."""
        return ("group", self.group, self.is_shadow) if self.group else ("rule", self.name, self.is_shadow)


def crowd_of(
    contenders: Iterable[Contender], everybody: Everybody, most: int, *, including: str = ""
) -> tuple[str, ...]:
    """Names of more than `most` rules that may match one exchange; none: there is no such exchange.

    including: only look for crowds that this rule is part of.
    """
    rules = [rule for rule in contenders if not any(_is_empty(each) for each in rule.when_not)]
    if len({rule.place for rule in rules}) <= most:
        return ()
    for mask in _masks(rules, everybody):
        present = [rule for position, rule in enumerate(rules) if mask >> position & 1]
        if including:
            mine = next((rule for rule in present if rule.name == including), None)
            if mine is None:
                continue
            others = (rule for rule in present if rule.place != mine.place)
            present = [mine, *(rule for rule in others if _may_meet(mine, rule, everybody))]
        if len({rule.place for rule in present}) > most and (found := _clique(present, everybody, most, including)):
            return tuple(sorted(found))
    return ()


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


def _clique(rules: Sequence[Contender], everybody: Everybody, most: int, including: str) -> list[str]:
    """More than `most` rules of different places that can meet by twos."""
    steps = 0

    def grow(chosen: list[Contender], rest: list[Contender]) -> list[Contender]:
        nonlocal steps
        steps += 1
        if len(chosen) > most or steps > STEPS:
            return chosen if len(chosen) > most else chosen + _one_per_place(rest)[: most + 1 - len(chosen)]
        while len(chosen) + len({rule.place for rule in rest}) > most:
            first, *rest = rest
            inner = [rule for rule in rest if rule.place != first.place and _may_meet(first, rule, everybody)]
            if found := grow([*chosen, first], inner):
                return found
        return []

    if including:
        return [rule.name for rule in grow([rules[0]], list(rules[1:]))]
    return [rule.name for rule in grow([], list(rules))]


def _one_per_place(rules: Iterable[Contender]) -> list[Contender]:
    return list({rule.place: rule for rule in rules}.values())


def _may_meet(one: Contender, other: Contender, everybody: Everybody) -> bool:
    """Whether one exchange of one caller may fit both, as far as what is asked for goes."""
    a, b = one.when, other.when
    if a.protocols and b.protocols and set(a.protocols).isdisjoint(b.protocols):
        return False
    if a.clients and b.clients and not _globs_meet(tuple(a.clients), tuple(b.clients)):
        return False
    theirs = {match.key: tuple(match.values) for match in b.metadata}
    for match in a.metadata:
        if match.key in theirs and not _globs_meet(tuple(match.values), theirs[match.key]):
            return False
    return not a.models or not b.models or _models_meet(tuple(a.models), tuple(b.models), everybody)


def _models_meet(one: tuple[str, ...], other: tuple[str, ...], everybody: Everybody) -> bool:
    """Whether an exchange has a name for each: what was asked for, `<provider>/<model>`, or the model's own."""
    if _names_meet(one, other):
        return True
    return any(
        any(fits(one, name) for name in names) and any(fits(other, name) for name in names)
        for names in everybody.virtual_names
    )


@lru_cache(maxsize=65536)
def _names_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return any(may_meet(a, b) or may_meet(a, f"*/{b}") or may_meet(f"*/{a}", b) for a in one for b in other)


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
