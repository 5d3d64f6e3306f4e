"""The time and the day inside an exchange's id.

An exchange id is a ULID: 26 characters of Crockford's base 32, the first ten of which are Unix milliseconds. The
ledger's partition is a function of the id, so that an event finds the same row however late or often it comes.
"""

from datetime import UTC, date, datetime

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
TIME_LENGTH = 10
_VALUE = {letter: number for number, letter in enumerate(ALPHABET)}
# 48 bits of milliseconds in ten characters of five bits: the first character carries three.
_HIGHEST_FIRST = 7


class NotAUlid(ValueError):
    """The text is no ULID."""


def time_ms(text: str) -> int:
    """Read the Unix milliseconds of an exchange id; raises NotAUlid."""
    if len(text) != LENGTH:
        raise NotAUlid(f"a ULID has {LENGTH} characters, this has {len(text)}")
    try:
        numbers = [_VALUE[letter] for letter in text]
    except KeyError as failure:
        raise NotAUlid("a character outside Crockford's alphabet") from failure
    if numbers[0] > _HIGHEST_FIRST:
        raise NotAUlid("the time does not fit 48 bits")
    milliseconds = 0
    for number in numbers[:TIME_LENGTH]:
        milliseconds = milliseconds * 32 + number
    return milliseconds


def day_of(text: str) -> date:
    """Say in which UTC day the exchange was admitted; raises NotAUlid."""
    try:
        return datetime.fromtimestamp(time_ms(text) / 1000, UTC).date()
    except (OverflowError, ValueError) as failure:
        raise NotAUlid("the time is outside the calendar") from failure


def lowest_at(at: datetime) -> str:
    """Write the smallest ULID of an instant: a bound for ranges over exchange ids."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    letters = []
    for _ in range(TIME_LENGTH):
        milliseconds, digit = divmod(milliseconds, 32)
        letters.append(ALPHABET[digit])
    return "".join(reversed(letters)) + "0" * (LENGTH - TIME_LENGTH)
