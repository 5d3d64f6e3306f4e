"""Which of a key's models goes where: the newest of a family, the small one for small work. Pure."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+")
_DATE_DIGITS = 6  # 20251001 in a model's name is a date, not a version


@dataclass(frozen=True, slots=True)
class ClaudeSlots:
    """The three sizes Claude Code switches between; None where nothing fits."""

    opus: str | None
    sonnet: str | None
    haiku: str | None

    @property
    def main(self) -> str | None:
        return self.sonnet or self.opus or self.haiku


def claude_slots(names: tuple[str, ...]) -> ClaudeSlots:
    """Pick the newest name of each size. A size nobody offers stays empty rather than borrowing another's."""
    return ClaudeSlots(*(newest(tuple(n for n in names if size in n.lower())) for size in ("opus", "sonnet", "haiku")))


def newest(names: tuple[str, ...]) -> str | None:
    """The name with the highest version; among equals the shortest, then the first by alphabet. None of none."""
    return min(names, key=lambda name: (tuple(-part for part in _version(name)), len(name), name), default=None)


def preferred(names: tuple[str, ...], *, family: str) -> str | None:
    """The newest full-size model of a family ("gpt", "gemini"), else the newest at all, else the first."""
    of_family = tuple(name for name in names if family in name.lower())
    full_size = tuple(name for name in of_family if not is_small(name))
    return newest(full_size) or newest(of_family) or (names[0] if names else None)


def small(names: tuple[str, ...]) -> str | None:
    """A cheap model for titles and the like; None when none is recognizably small."""
    return newest(tuple(name for name in names if is_small(name)))


def is_small(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in ("mini", "nano", "haiku", "flash", "lite", "luna"))


def _version(name: str) -> tuple[int, int]:
    last_part = name.rsplit("/", 1)[-1]
    numbers = [int(digits) for digits in _NUMBER.findall(last_part) if len(digits) < _DATE_DIGITS]
    return (numbers[0] if numbers else 0, numbers[1] if len(numbers) > 1 else 0)
