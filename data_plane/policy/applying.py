"""Which rules of a kind apply to an exchange, and by which counters to which candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from data_plane.policy.claims import FIRST
from data_plane.policy.conditions import GroupedRule, Scene, choose, why_not
from data_plane.policy.counting import Candidate, Counter, NoCounter

_R = TypeVar("_R", bound=GroupedRule)


@dataclass(frozen=True, slots=True)
class Applying(Generic[_R]):
    """A rule that applies."""

    rule: _R
    counters: tuple[tuple[Counter, int], ...]
    """Each with the candidates that count there, as bits."""


def find_applying(
    rules: Sequence[_R],
    scene: Scene,
    candidates: Sequence[Candidate],
    *,
    names_of: Callable[[_R, Candidate], tuple[str, ...]],
    counter_of: Callable[[_R, Candidate], Counter | NoCounter],
    amount_of: Callable[[_R], int],
    missed: Callable[[_R, str], None],
) -> list[Applying[_R]]:
    """Match rules against each candidate, choose in groups, and join the candidates that count in the same counter.

    missed: told of each rule that applies to no candidate, and why not to the first.
    """
    whys: dict[str, str] = {}
    found: dict[str, dict[str, tuple[Counter, int]]] = {}
    for candidate in candidates:
        matching: list[tuple[_R, Counter]] = []
        for rule in rules:
            why = why_not(rule, scene, names_of(rule, candidate))
            if not why:
                counter = counter_of(rule, candidate)
                if isinstance(counter, Counter):
                    matching.append((rule, counter))
                    continue
                why = counter.why
            if candidate.bit == FIRST:
                whys[rule.id] = why
        choice = choose([rule for rule, _ in matching], scene, amount_of)
        for rule, counter in matching:
            if rule.id in choice.applying:
                counters = found.setdefault(rule.id, {})
                bits = counters[counter.text][1] if counter.text in counters else 0
                counters[counter.text] = (counter, bits | candidate.bit)
            elif candidate.bit == FIRST:
                whys[rule.id] = f"group: {choice.instead[rule.id]}"
    applying = []
    for rule in rules:
        if rule.id in found:
            applying.append(Applying(rule, tuple(found[rule.id].values())))
        else:
            missed(rule, whys[rule.id])
    return applying
