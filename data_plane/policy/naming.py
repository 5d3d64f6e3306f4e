"""Names of models: what one is also called, how people are told them, and the closest ones to one that is not there."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from heapq import nlargest

from switchyard_contract.price_choice import known_names

__all__ = ["LONGEST_ECHO", "SUGGESTIONS", "clip", "closest", "known_names"]

SUGGESTIONS = 3
LONGEST_ECHO = 120


def clip(name: str) -> str:
    """A name that came from outside, short enough to be shown."""
    return name if len(name) <= LONGEST_ECHO else name[:LONGEST_ECHO] + "…"


def closest(requested: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names most like the one asked for, best first."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(requested.lower()[:LONGEST_ECHO])

    def likeness(name: str) -> float:
        matcher.set_seq1(name.lower())
        return matcher.ratio()

    return tuple(nlargest(SUGGESTIONS, names, key=likeness))
