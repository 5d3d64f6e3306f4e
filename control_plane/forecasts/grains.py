"""Finds the grains that a budget is about without looking at all of them for each. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from control_plane.forecasts.matching import About, Grain
from control_plane.rules.conditions import Subject

Index = Mapping[str, Mapping[object, list[Grain]]]
"""A subject's kind and value to the grains of it."""


def indexed(grains: Iterable[Grain]) -> Index:
    """By team, by person or service account, and by key."""
    found: dict[str, dict[object, list[Grain]]] = {"team": {}, "principal": {}, "key": {}}
    for grain in grains:
        if grain.team_id is not None:
            found["team"].setdefault(grain.team_id.hex, []).append(grain)
        if grain.principal_id is not None:
            found["principal"].setdefault(grain.principal_id.hex, []).append(grain)
        if grain.key_id:
            found["key"].setdefault(grain.key_id, []).append(grain)
    return found


def candidates(about: About, index: Index, grains: Iterable[Grain]) -> Collection[Grain] | Iterable[Grain]:
    """Grains that a budget may be about: by its subjects where these can be looked up, else all."""
    if about.when.is_about_everybody:
        return grains
    found: dict[Grain, None] = {}
    for subject in about.when.subjects:
        named = _named(subject, about)
        if named is None:
            return grains
        for kind, value in named:
            found.update(dict.fromkeys(index[kind].get(value, ())))
    return found


def by_counter(about: About, grains: Iterable[Grain]) -> dict[str, list[Grain]]:
    """Those that the budget takes, by the counter that they count in."""
    found: dict[str, list[Grain]] = defaultdict(list)
    for grain in grains:
        if about.takes(grain) and (counter := about.counter(grain)) is not None:
            found[counter].append(grain)
    return found


def _named(subject: Subject, about: About) -> list[tuple[str, str]] | None:
    match subject.kind:
        case "team":
            return [("team", subject.value)]
        case "user" | "service_account":
            return [("principal", subject.value)]
        case "key":
            return [("key", key_id) for key_id in (subject.value, *about.successors.get(subject.value, ()))]
        case "role":
            return [("principal", person.hex) for person in about.roles.get(subject.value, ())]
        case _:
            return None
