"""Find downgrades that lead back: from a cheaper model to one that was left for it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from control_plane.rules.globs import fits, is_glob


@dataclass(frozen=True, slots=True)
class Cascade:
    """A budget that downgrades. models: the globs it is about; empty: all models."""

    budget: str
    models: tuple[str, ...]
    to: tuple[str, ...]


def way_back(cascades: Iterable[Cascade], names_of: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """A round of models that downgrades lead through, beginning and ending with the same one; none: there is none.

    names_of: all names of what a name leads to. The first usable model of a list wins, so whoever asks for a model of
    the list is only led to those before it; budgets about all models are no step of a round.
    """
    found = [each for each in cascades if each.to]
    for each in found:
        if each.models and set(each.models) <= set(each.to[:1]):
            return each.to[0], each.to[0]
    starts = sorted({name for each in found for name in each.to})
    steps = {name: _steps_from(name, found, names_of) for name in starts}
    for start in starts:
        if around := _round(start, steps):
            return around
    return ()


def _steps_from(name: str, cascades: Iterable[Cascade], names_of: Callable[[str], Sequence[str]]) -> list[str]:
    names = tuple(names_of(name))
    steps: list[str] = []
    for each in cascades:
        narrow = [glob for glob in each.models if not is_glob(glob) or glob.strip("*?")]
        if narrow and any(fits(narrow, one) for one in names):
            before = each.to[: each.to.index(name)] if name in each.to else each.to
            steps += [target for target in before if target not in steps]
    return steps


def _round(start: str, steps: dict[str, list[str]]) -> tuple[str, ...]:
    waiting: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        for target in steps.get(path[-1], ()):
            if target == start:
                return (*path, target)
            if target not in seen:
                seen.add(target)
                waiting.append((*path, target))
    return ()
