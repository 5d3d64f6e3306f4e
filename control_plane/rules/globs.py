"""Globs with * and ?, and whether two of them have a text in common. Pure."""

from collections.abc import Iterable
from functools import lru_cache

LONGEST_GLOB = 200
WILD = frozenset("*?")


def is_glob(text: str) -> bool:
    """Whether it stands for more than itself."""
    return not WILD.isdisjoint(text)


def fits(globs: Iterable[str], text: str) -> bool:
    """Whether any of the globs takes the text in."""
    return any(glob == text or (is_glob(glob) and _matches(glob, text)) for glob in globs)


def _matches(glob: str, text: str) -> bool:
    """Match without backtracking over more than the last star, so that no glob is slow."""
    at_glob = at_text = 0
    star, retry = -1, 0
    while at_text < len(text):
        sign = glob[at_glob] if at_glob < len(glob) else ""
        if sign != "*" and sign in ("?", text[at_text]):
            at_glob, at_text = at_glob + 1, at_text + 1
        elif sign == "*":
            star, retry = at_glob, at_text
            at_glob += 1
        elif star >= 0:
            retry += 1
            at_glob, at_text = star + 1, retry
        else:
            return False
    return all(char == "*" for char in glob[at_glob:])


@lru_cache(maxsize=65536)
def may_meet(one: str, other: str) -> bool:
    """Whether some text fits both globs."""
    if not is_glob(one):
        return fits((other,), one)
    if not is_glob(other):
        return fits((one,), other)
    # Positions in the two globs that can be reached with the same text.
    reached = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        left, right = waiting.pop()
        if left == len(one) and right == len(other):
            return True
        for step in _steps(one, other, left, right):
            if step not in reached:
                reached.add(step)
                waiting.append(step)
    return False


def _steps(one: str, other: str, left: int, right: int) -> Iterable[tuple[int, int]]:
    a = one[left] if left < len(one) else ""
    b = other[right] if right < len(other) else ""
    if a == "*":
        yield left + 1, right
        if b and b != "*":
            yield left, right + 1
    if b == "*":
        yield left, right + 1
        if a and a != "*":
            yield left + 1, right
    if a and b and a != "*" and b != "*" and (a == b or "?" in (a, b)):
        yield left + 1, right + 1
