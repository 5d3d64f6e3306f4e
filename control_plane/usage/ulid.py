"""The time and the day inside an exchange's id.

An exchange id is a ULID: 26 characters of Crockford's base 32, the first ten of which are Unix milliseconds. The
ledger's partition is a function of the id, so that an event finds the same row however late or often it comes.
"""

import re
from datetime import UTC, date, datetime
from functools import lru_cache

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
TIME_LENGTH = 10
DAY_MS = 86_400_000
# 48 bits of milliseconds in ten characters of five bits: the first character carries three.
_SHAPE = re.compile(rf"[0-7][{ALPHABET}]{{{LENGTH - 1}}}")
_TO_PYTHON = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")


class NotAUlid(ValueError):
    """The text is no ULID."""


def time_ms(text: str) -> int:
    """Read the Unix milliseconds of an exchange id; raises NotAUlid."""
    if _SHAPE.fullmatch(text) is None:
        raise NotAUlid(f"not {LENGTH} characters of Crockford's base 32 with a time of 48 bits")
    return int(text[:TIME_LENGTH].translate(_TO_PYTHON), 32)


def day_of(text: str) -> date:
    """Say in which UTC day the exchange was admitted; raises NotAUlid."""
    return day_at(time_ms(text))


def day_at(unix_ms: int) -> date:
    """The UTC day of an id's time; raises NotAUlid."""
    return _day(unix_ms // DAY_MS)


@lru_cache(maxsize=1024)
def _day(number: int) -> date:
    try:
        return datetime.fromtimestamp(number * (DAY_MS // 1000), UTC).date()
    except (OverflowError, ValueError) as failure:
        raise NotAUlid("the time is outside the calendar") from failure


def lowest_at(at: datetime) -> str:
    """Write the smallest ULID of an instant: a bound for ranges over exchange ids."""
    return ulid_of(at, 0)


def ulid_of(at: datetime, number: int) -> str:
    """Write the ULID of an instant and a number of 80 bits, drawn by the caller."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return _letters(milliseconds, TIME_LENGTH) + _letters(number, LENGTH - TIME_LENGTH)


def _letters(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        letters.append(ALPHABET[digit])
    return "".join(reversed(letters))
