"""Names of models: what one is also called, how people are told them, and the closest ones to one that is not there."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from heapq import nlargest

SUGGESTIONS = 3
LONGEST_ECHO = 120
_DATED = re.compile(r"(?P<undated>.+?)(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2})")


def known_names(model: str) -> list[str]:
    """What a model is called in lists, its own name first and the plainest last.

    A dated id (claude-haiku-4-5-20251001, gpt-5.1-2025-11-13) is the model without the date; "vendor/model", as
    aggregators write it, is what comes after the slash.
    """
    names = [model]
    dated = _DATED.fullmatch(model)
    if dated is not None:
        names.append(dated["undated"])
    if model.startswith("models/"):
        names += known_names(model.removeprefix("models/"))
    elif "/" in model:
        names += known_names(model.rpartition("/")[2])
    return names


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
