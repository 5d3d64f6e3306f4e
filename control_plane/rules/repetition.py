"""Find repetitions of repetitions that give a text more than one reading, such as (a+)+ or (a|a)*. Pure.

RE2 is as fast on them as on anything. They are still refused: they say no more than the plain form, and whoever tries
the pattern in another engine, or takes the rules elsewhere, waits for ever.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Piece:
    """Something of a sequence, with how often it may stand."""

    text: str
    branches: "tuple[tuple[_Piece, ...], ...]"
    """Of a group; empty: a character or a class."""
    least: int = 1
    is_endless: bool = False

    @property
    def may_be_empty(self) -> bool:
        if self.least == 0:
            return True
        return bool(self.branches) and any(all(piece.may_be_empty for piece in branch) for branch in self.branches)


def ambiguous_repetition(pattern: str) -> str:
    """The first repetition that is ambiguous, as it stands in a pattern that RE2 takes; empty: there is none."""
    branches, _ = _branches(pattern, 0)
    return _ambiguous_in(branches)


def _ambiguous_in(branches: tuple[tuple[_Piece, ...], ...]) -> str:
    for branch in branches:
        for piece in branch:
            if piece.is_endless and piece.branches and _is_ambiguous(piece):
                return piece.text
            if inner := _ambiguous_in(piece.branches):
                return inner
    return ""


def _is_ambiguous(group: _Piece) -> bool:
    texts = ["".join(piece.text for piece in branch) for branch in group.branches]
    if len(set(texts)) < len(texts):
        return True
    return any(_is_one_endless(branch) for branch in group.branches)


def _is_one_endless(branch: tuple[_Piece, ...]) -> bool:
    """Whether a sequence may be nothing but one endless repetition, or a group that is so."""
    for position, piece in enumerate(branch):
        rest = branch[:position] + branch[position + 1 :]
        alone = all(other.may_be_empty for other in rest)
        if alone and (piece.is_endless or any(_is_one_endless(inner) for inner in piece.branches)):
            return True
    return False


def _branches(pattern: str, at: int) -> tuple[tuple[tuple[_Piece, ...], ...], int]:
    """Alternatives from a position to the end of their group, and where that is."""
    found: list[tuple[_Piece, ...]] = []
    pieces: list[_Piece] = []
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            found.append(tuple(pieces))
            pieces = []
            at += 1
            continue
        start = at
        inner: tuple[tuple[_Piece, ...], ...] = ()
        if pattern[at] == "(":
            inner, at = _branches(pattern, _behind_flags(pattern, at + 1))
            at += 1
        elif pattern[at] == "[":
            at = _behind_class(pattern, at)
        elif pattern[at] == "\\":
            at += 2
        else:
            at += 1
        least, is_endless, at = _repeat(pattern, at)
        pieces.append(_Piece(pattern[start:at], inner, least, is_endless))
    found.append(tuple(pieces))
    return tuple(found), at


def _behind_flags(pattern: str, at: int) -> int:
    """Behind `?:`, `?P<name>` and flags at the start of a group."""
    if at >= len(pattern) or pattern[at] != "?":
        return at
    while at < len(pattern) and pattern[at] not in ":>)":
        at += 1
    return at if at < len(pattern) and pattern[at] == ")" else at + 1


def _behind_class(pattern: str, at: int) -> int:
    at += 2 if pattern[at + 1 : at + 2] == "^" else 1
    if pattern[at : at + 1] == "]":
        at += 1
    while at < len(pattern) and pattern[at] != "]":
        if pattern.startswith("[:", at):
            at = pattern.find(":]", at) + 2
        else:
            at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _repeat(pattern: str, at: int) -> tuple[int, bool, int]:
    """How often the piece before may stand: at least, whether without end, and where that was read to."""
    sign = pattern[at : at + 1]
    if sign in ("*", "+", "?") and sign:
        least, is_endless, at = 0 if sign != "+" else 1, sign != "?", at + 1
    elif sign == "{" and (end := pattern.find("}", at)) > 0:
        low, comma, high = pattern[at + 1 : end].partition(",")
        if not low.isdigit() or (high and not high.isdigit()):
            return 1, False, at
        least, is_endless, at = int(low), bool(comma) and not high, end + 1
    else:
        return 1, False, at
    return least, is_endless, at + 1 if pattern[at : at + 1] == "?" else at
