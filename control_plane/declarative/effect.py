"""What a change means for people: which keys gain and lose which models, where names lead, what stops. Pure.

Two pictures of an organization, before and after, give the effect. A key's models follow the rule of the pods
(`data_plane/policy/access.py`): its globs look at the requested name; `*` is any text, `?` one character.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from control_plane.declarative.access_effect import AccessLine, Upstream, lets

Reach = tuple[tuple[str, ...], frozenset[str]]
"""Globs and subjects."""
MOST_NAMES = 20
MOST_SENTENCES = 12


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key that works, as far as its effect goes."""

    key_id: str
    globs: tuple[str, ...]
    owner: str
    team: str
    subjects: frozenset[str] = frozenset()
    """As conditions of rules write them: those of them that some rule names."""
    is_personal: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """An organization at one instant."""

    routes: Mapping[str, str]
    """Names that may be asked for, and where each leads: `<provider>/<model>`."""
    keys: Mapping[str, KeyFacts]
    """The keys that work, by id."""
    credentials: Mapping[str, bool]
    """Providers in use, and whether each has a credential to send."""
    providers: frozenset[str] = frozenset()
    access: tuple[AccessLine, ...] = ()
    """Rules of access that are enforced."""
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    """What those look at of each provider, by its name."""


@dataclass(frozen=True, slots=True)
class Uses:
    """Which keys asked for which names lately."""

    last_day: Mapping[str, frozenset[str]] = field(default_factory=dict)
    last_week: Mapping[str, frozenset[str]] = field(default_factory=dict)
    keys_last_day: frozenset[str] = frozenset()
    keys_last_week: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelShift:
    """Keys that gain or lose a name, and which of them used it."""

    model: str
    keys: int
    used_last_day: int
    used_last_week: int
    teams: tuple[str, ...]
    people: tuple[str, ...]
    people_count: int


@dataclass(frozen=True, slots=True)
class DestinationShift:
    """A name that leads elsewhere."""

    model: str
    before: str
    after: str
    used_last_day: int
    used_last_week: int


@dataclass(frozen=True, slots=True)
class KeyShift:
    """Keys that stop working, or work again."""

    keys: int
    used_last_day: int
    used_last_week: int
    owners: tuple[str, ...]
    owner_count: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What it all comes to."""

    lost: tuple[ModelShift, ...] = ()
    gained: tuple[ModelShift, ...] = ()
    moved: tuple[DestinationShift, ...] = ()
    ended: KeyShift | None = None
    revived: KeyShift | None = None
    without_credential: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """What budgets and limits that differ mean now, in sentences."""
    shards: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(_sentences(self))

    @property
    def is_loss(self) -> bool:
        """Whether somebody who worked yesterday is stopped."""
        return bool(self.without_credential or self.ended) or any(each.used_last_week for each in self.lost)


NO_EFFECT = Effect()


def names_of_interest(before: Picture, after: Picture) -> frozenset[str]:
    """The names whose use has to be looked up."""
    both = before.routes.keys() | after.routes.keys()
    return frozenset(name for name in both if before.routes.get(name) != after.routes.get(name)) | frozenset(
        _access_shifts(before, after)
    )


def compare(before: Picture, after: Picture, uses: Uses, shards: Sequence[str] = ()) -> Effect:
    """Say what differs for whom. Keys that end or begin are told as such, not model by model."""
    staying = before.keys.keys() & after.keys.keys()
    lost: dict[str, list[int]] = defaultdict(list)
    gained: dict[str, list[int]] = defaultdict(list)
    groups: dict[tuple[Reach, Reach], list[KeyFacts]] = defaultdict(list)
    for key_id in staying:
        groups[_reach(before.keys[key_id]), _reach(after.keys[key_id])].append(after.keys[key_id])
    for number, (old, new) in enumerate(groups):
        could, can = allowed(before, *old), allowed(after, *new)
        for name in could - can:
            lost[name].append(number)
        for name in can - could:
            gained[name].append(number)
    crowds = _Crowds(list(groups.values()))
    moved = tuple(
        DestinationShift(
            name,
            before.routes[name],
            after.routes[name],
            len(uses.last_day.get(name, frozenset())),
            len(uses.last_week.get(name, frozenset())),
        )
        for name in sorted(before.routes.keys() & after.routes.keys())
        if before.routes[name] != after.routes[name]
    )
    return Effect(
        lost=_shifts(lost, crowds, uses),
        gained=_shifts(gained, crowds, uses),
        moved=tuple(sorted(moved, key=lambda each: (-each.used_last_week, each.model))),
        ended=_key_shift((before.keys[key_id] for key_id in before.keys.keys() - after.keys.keys()), uses),
        revived=_key_shift((after.keys[key_id] for key_id in after.keys.keys() - before.keys.keys()), uses),
        without_credential=tuple(
            sorted(name for name, has in before.credentials.items() if has and after.credentials.get(name) is False)
        ),
        shards=tuple(shards),
    )


def allowed(picture: Picture, globs: tuple[str, ...], subjects: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names that a key with these globs may ask for, of somebody who is these subjects."""
    is_free = not globs or "*" in globs
    return frozenset(
        name
        for name, target in picture.routes.items()
        if (is_free or _may_use(picture, globs, name))
        and lets(picture.access, subjects, name, target, picture.upstreams)
    )


def _reach(key: KeyFacts) -> Reach:
    """All that decides what a key may ask for: those that are alike in it are looked at once."""
    return key.globs, key.subjects


def _access_shifts(before: Picture, after: Picture) -> Iterable[str]:
    staying = before.keys.keys() & after.keys.keys()
    for old, new in {(_reach(before.keys[key_id]), _reach(after.keys[key_id])) for key_id in staying}:
        yield from allowed(before, *old) ^ allowed(after, *new)


def _may_use(picture: Picture, globs: tuple[str, ...], name: str) -> bool:
    if _fits(globs, name):
        return True
    provider, slash, model = name.partition("/")
    return bool(slash) and provider in picture.providers and _fits(globs, model)


def _fits(globs: tuple[str, ...], name: str) -> bool:
    return any(glob == name or _pattern(glob).fullmatch(name) is not None for glob in globs)


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in glob)
    return re.compile("".join(parts), re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Keys that gain or lose a name together."""

    ids: frozenset[str]
    teams: tuple[str, ...]
    people: tuple[str, ...]
    people_count: int


class _Crowds:
    """Crowds by the groups that they are made of: many names are lost by the same tens of thousands of keys."""

    def __init__(self, groups: Sequence[Sequence[KeyFacts]]) -> None:
        self._groups = groups
        self._found: dict[tuple[int, ...], _Crowd] = {}

    def of(self, numbers: Sequence[int]) -> _Crowd:
        found = self._found.get(tuple(numbers))
        if found is None:
            keys = [key for number in numbers for key in self._groups[number]]
            people, teams = Counter(key.owner for key in keys), Counter(key.team for key in keys)
            found = _Crowd(frozenset(key.key_id for key in keys), _most(teams), _most(people), len(people))
            self._found[tuple(numbers)] = found
        return found


def _shifts(by_name: Mapping[str, Sequence[int]], crowds: _Crowds, uses: Uses) -> tuple[ModelShift, ...]:
    shifts = [_shift(name, crowds.of(numbers), uses) for name, numbers in by_name.items()]
    return tuple(sorted(shifts, key=lambda each: (-each.used_last_week, "/" in each.model, -each.keys, each.model)))


def _shift(name: str, crowd: _Crowd, uses: Uses) -> ModelShift:
    return ModelShift(
        name,
        len(crowd.ids),
        len(crowd.ids & uses.last_day.get(name, frozenset())),
        len(crowd.ids & uses.last_week.get(name, frozenset())),
        crowd.teams,
        crowd.people,
        crowd.people_count,
    )


def _key_shift(keys: Iterable[KeyFacts], uses: Uses) -> KeyShift | None:
    found = list(keys)
    if not found:
        return None
    ids = {each.key_id for each in found}
    owners = Counter(each.owner for each in found)
    return KeyShift(
        len(found), len(ids & uses.keys_last_day), len(ids & uses.keys_last_week), _most(owners), len(owners)
    )


def _most(counted: "Counter[str]") -> tuple[str, ...]:
    return tuple(name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMES])


def _sentences(effect: Effect) -> Iterable[str]:
    if effect.ended is not None:
        ended = effect.ended
        used = _used(ended.used_last_day, ended.used_last_week, "used the gateway")
        yield f"{_keys(ended.keys)} {_s('stop', ended.keys)} working{used}: {_names(ended.owners, ended.owner_count)}."
    for provider in effect.without_credential:
        yield f"{provider} loses its credential: pods send none."
    yield from _told(effect.lost, "lose")
    for shift in effect.moved[:MOST_SENTENCES]:
        used = _used(shift.used_last_day, shift.used_last_week, "used it", whose="key")
        yield f"{shift.model} leads to {shift.after} instead of {shift.before}{used}."
    if len(effect.moved) > MOST_SENTENCES:
        yield f"{len(effect.moved) - MOST_SENTENCES} more names lead elsewhere."
    yield from _told(effect.gained, "gain")
    yield from effect.rules[:MOST_SENTENCES]
    if len(effect.rules) > MOST_SENTENCES:
        yield f"{len(effect.rules) - MOST_SENTENCES} more budgets and limits differ."
    if effect.revived is not None:
        back = effect.revived
        yield f"{_keys(back.keys)} {_s('work', back.keys)} again: {_names(back.owners, back.owner_count)}."


def _told(shifts: Sequence[ModelShift], verb: str) -> Iterable[str]:
    for shift in shifts[:MOST_SENTENCES]:
        used = _used(shift.used_last_day, shift.used_last_week, "used it") if verb == "lose" else ""
        yield f"{_keys(shift.keys)} {_s(verb, shift.keys)} {shift.model}{used}."
    if len(shifts) > MOST_SENTENCES:
        rest = shifts[MOST_SENTENCES:]
        count = sum(1 for each in rest if each.used_last_week)
        tail = f", {count} of them used in the last 7 days" if verb == "lose" and count else ""
        yield f"The same goes for {len(rest)} more names{tail}."


def _used(last_day: int, last_week: int, what: str, *, whose: str = "of them") -> str:
    number, span = (last_day, "24 hours") if last_day else (last_week, "7 days")
    who = _keys(number) if whose == "key" else f"{number:,} {whose}"
    return f"; {who} {what} in the last {span}" if number else ""


def _keys(number: int) -> str:
    return "1 key" if number == 1 else f"{number:,} keys"


def _s(verb: str, number: int) -> str:
    return f"{verb}s" if number == 1 else verb


def _names(names: Collection[str], total: int) -> str:
    shown = list(names)[:5]
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
