"""Numbers that are missing in what a pod reported. Pure; the intake asks once per batch.

A pod numbers its events without holes as long as its spool lives, so a number that later ones overtook is an event that
is on its way or lost. Batches may come in any order and more than once: what is missing depends only on what came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Numbers from first to last, both included."""

    first: int
    last: int

    def without(self, other: "Range") -> tuple["Range", ...]:
        """What is left when others are taken out: nothing, one range, or two."""
        if other.last < self.first or self.last < other.first:
            return (self,)
        left = Range(self.first, other.first - 1)
        right = Range(other.last + 1, self.last)
        return tuple(one for one in (left, right) if one.first <= one.last)


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch changes. closed: missing ranges of which something came, with what is missing of them still."""

    highest: int
    opened: tuple[Range, ...] = ()
    closed: dict[Range, tuple[Range, ...]] = field(default_factory=dict)


def ranges_of(sequences: Sequence[int]) -> tuple[Range, ...]:
    """Runs of ascending numbers without a hole."""
    if not sequences:
        return ()
    if sequences[-1] - sequences[0] + 1 == len(sequences):
        return (Range(sequences[0], sequences[-1]),)
    ends = [before for before, after in pairwise(sequences) if after != before + 1]
    starts = [after for before, after in pairwise(sequences) if after != before + 1]
    return tuple(Range(*ends) for ends in zip((sequences[0], *starts), (*ends, sequences[-1]), strict=True))


def follow(highest: int, missing: Iterable[Range], arrived: Iterable[Range]) -> Found:
    """Say what is missing after these have arrived.

    highest: the highest number that came before. missing: what was missing below it. arrived: ascending.
    """
    opened: list[Range] = []
    still: dict[Range, tuple[Range, ...]] = {one: (one,) for one in missing}
    for one in arrived:
        if one.first > highest + 1:
            opened.append(Range(highest + 1, one.first - 1))
        for known, rest in still.items():
            still[known] = tuple(piece for part in rest for piece in part.without(one))
        highest = max(highest, one.last)
    return Found(highest, tuple(opened), {known: rest for known, rest in still.items() if rest != (known,)})
