"""Names with wild cards: `*` any text, `?` one character, everything else is itself; case counts.

Matched by RE2, in time linear in the name: globs are written by people, and names come from callers.
"""

from functools import lru_cache

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_LONGEST = 100_000
"""Characters of all globs of a list together; RE2 would refuse to compile much more."""


class Globs:
    """Alternatives, compiled together. Equal when their texts are."""

    __slots__ = ("_pattern", "_plain", "has_all", "texts")

    def __init__(self, texts: tuple[str, ...]) -> None:
        """Raises ValueError when the list is too long to be compiled."""
        self.texts = texts
        self.has_all = "*" in texts
        self._plain = frozenset(text for text in texts if "*" not in text and "?" not in text)
        wild = [text for text in texts if text not in self._plain]
        if sum(map(len, wild)) > _LONGEST:
            raise ValueError("is too long")
        self._pattern = None
        if wild and not self.has_all:
            try:
                self._pattern = re2.compile("(?s)" + "|".join(_translate(text) for text in wild), _OPTIONS)
            except re2.error as failure:
                raise ValueError("is too long") from failure

    def fits(self, name: str) -> bool:
        """Whether any of the globs takes the name."""
        if self.has_all or name in self._plain:
            return True
        return self._pattern is not None and self._pattern.fullmatch(_text(name)) is not None

    def fits_any(self, names: tuple[str, ...]) -> bool:
        """Whether any of the names is taken."""
        return any(self.fits(name) for name in names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Globs) and self.texts == other.texts

    def __hash__(self) -> int:
        return hash(self.texts)

    def __repr__(self) -> str:
        return f"Globs({', '.join(self.texts)})"


@lru_cache(maxsize=4096)
def globs_of(texts: tuple[str, ...]) -> Globs:
    """Compile a list, once as long as it is remembered."""
    return Globs(texts)


def _translate(glob: str) -> str:
    return "".join(".*" if sign == "*" else "." if sign == "?" else re2.escape(sign) for sign in _text(glob))


def _text(name: str) -> str:
    # RE2 reads UTF-8, which has no lone surrogates; headers and JSON can bring them.
    return name if name.isascii() else name.encode("utf-8", "replace").decode()
