"""Read the fields of a rule from what a form, a REST body or a policy file brings, with every problem at once.

A spec is a mapping of plain JSON values. Amounts and whole numbers may come as text, so that a form and a policy file
say the same as a REST body.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from control_plane.rules.problems import Problems, did_you_mean, shown
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd, nano_usd, usd_text

Spec = Mapping[str, Any]
HIGHEST_WHOLE = 10**15
HIGHEST_USD = 100_000_000
LEAST_NANO_USD = 1000
"""A millionth of a dollar: counters know nothing finer."""
MOST_ITEMS = 200
_WHOLE = re.compile(r"-?[0-9]{1,20}")


class SpecReader:
    """One mapping of fields. What is not read is unknown: `refuse_unknown` says so."""

    def __init__(self, spec: object, problems: Problems, path: str = "") -> None:
        self.problems, self.path = problems, path
        self._known: dict[str, None] = {}
        self._spec: Spec = {}
        if isinstance(spec, Mapping):
            self._spec = spec
        else:
            problems.add(path, f"{shown(spec)} is no object with fields.")

    def field(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, message: str) -> None:
        self.problems.add(self.field(name), message)

    def given(self, name: str) -> Any:
        """The value as it came; None: it is left out."""
        self._known[name] = None
        return self._spec.get(name)

    def has(self, name: str) -> bool:
        return self._spec.get(name) is not None

    def refuse_unknown(self, later: Mapping[str, str] | None = None) -> None:
        for name in self._spec:
            if name not in self._known:
                hint = did_you_mean(str(name), self._known)
                right = "" if hint else f" There are {', '.join(sorted(self._known))}."
                self.wrong(str(name)[:60], f"There is no such field.{hint}{right}")

    def text(self, name: str, *, most: int = 500, default: str = "") -> str:
        value = self.given(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(name, f"{shown(value)} is no text.")
            return default
        if len(value.strip()) > most or not is_plain_text(value):
            self.wrong(name, f"Text of at most {most} characters on one line.")
            return default
        return value.strip()

    def choice(self, name: str, choices: Collection[str], default: str = "") -> str:
        """One of the choices. default empty: it must be given."""
        value = self.given(name)
        if value is None:
            if not default:
                self.wrong(name, f"One of {', '.join(choices)} is needed.")
            return default
        if not isinstance(value, str) or value not in choices:
            hint = did_you_mean(str(value), choices)
            self.wrong(name, f"{shown(value)} is none of {', '.join(choices)}.{hint}")
            return default
        return value

    def claim(self, name: str, *, default: bool) -> bool:
        value = self.given(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, f"{shown(value)} is neither true nor false.")
            return default
        return value

    def whole(self, name: str, *, least: int, most: int = HIGHEST_WHOLE, unit: str = "") -> int | None:
        """A whole number; None: left out, or wrong."""
        value = self.given(name)
        return None if value is None else whole_number(value, self.problems, self.field(name), least, most, unit)

    def money(self, name: str, *, least: int = LEAST_NANO_USD, most_usd: int = HIGHEST_USD) -> NanoUsd | None:
        """Dollars, in nano-USD; None: left out, or wrong."""
        value = self.given(name)
        if value is None:
            return None
        amount = _amount(value)
        if amount is None:
            self.wrong(name, f"{shown(value)} is no amount in US dollars. Right: 10 or 12.50.")
        elif amount < 0:
            self.wrong(name, f"{shown(value)} is negative. Right: an amount above 0.")
        elif amount < least:
            self.wrong(name, f"{shown(value)} is too little. Right: at least {usd(NanoUsd(least))} dollars.")
        elif amount > most_usd * NANO_PER_USD:
            self.wrong(name, f"{shown(value)} is too much. Right: at most {most_usd:,} dollars.")
        else:
            return amount
        return None

    def items(self, name: str, *, what: str, most: int = MOST_ITEMS, may_be_empty: bool = False) -> tuple[Any, ...]:
        """A list; a single text is a list of one. Where it lists alternatives, it has something in it."""
        value = self.given(name)
        if value is None or (may_be_empty and value in ([], ())):
            return ()
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple):
            self.wrong(name, f"{shown(value)} is no list. Right: a list of {what}.")
            return ()
        if not value:
            self.wrong(name, f"An empty list fits nothing. Name {what}, or leave the field out.")
            return ()
        if len(value) > most:
            self.wrong(name, f"At most {most} {what}; these are {len(value)}.")
            return ()
        return tuple(value)

    def texts(
        self,
        name: str,
        *,
        what: str,
        check: Callable[[str], str] | None = None,
        longest: int = 200,
        may_be_empty: bool = False,
    ) -> tuple[str, ...]:
        """A list of texts without repetitions. check: says what is wrong with one, or nothing."""
        found: list[str] = []
        for position, item in enumerate(self.items(name, what=what, may_be_empty=may_be_empty)):
            where = f"{name}[{position}]"
            if not isinstance(item, str) or not 0 < len(item.strip()) <= longest or not is_plain_text(item):
                self.wrong(where, f"{shown(item)} is no text of 1 to {longest} characters.")
            elif check is not None and (why := check(item.strip())):
                self.wrong(where, why)
            elif item.strip() not in found:
                found.append(item.strip())
        return tuple(found)

    def inner(self, name: str) -> "SpecReader | None":
        """The fields of a field; None: left out."""
        value = self.given(name)
        return None if value is None else SpecReader(value, self.problems, self.field(name))


def whole_number(value: object, problems: Problems, field: str, least: int, most: int, unit: str = "") -> int | None:
    """Read a whole number within limits; None where a problem was added."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and math.isfinite(value) and value.is_integer():
        number = int(value)
    elif isinstance(value, str):
        number = int(value) if _WHOLE.fullmatch(value.strip()) else None
    right = f"Right: a whole number from {least:,} to {most:,}{f' {unit}' if unit else ''}."
    if number is None:
        problems.add(field, f"{shown(value)} is no whole number. {right}")
    elif not least <= number <= most:
        why = "negative" if number < 0 <= least else "too small" if number < least else "too large"
        problems.add(field, f"{number} is {why}. {right}")
    else:
        return number
    return None


def is_plain_text(text: str) -> bool:
    """Whether it can be stored and shown on one line."""
    return text.isprintable() and not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def usd(amount: NanoUsd) -> str:
    """Dollars as people write them: two decimals, more only where there is more: 10.00, 0.000001."""
    whole, _, rest = usd_text(amount).partition(".")
    return f"{whole}.{rest[:2]}{rest[2:].rstrip('0')}"


def _amount(value: object) -> NanoUsd | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = value.strip() if isinstance(value, str) else repr(value)
    # Decimal would take 1_000, exotic digits and a million zeros as well.
    if len(text) > 30 or not text.isascii() or "_" in text:
        return None
    try:
        return nano_usd(text)
    except ValueError:
        return None
