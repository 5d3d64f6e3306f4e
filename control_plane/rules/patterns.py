"""Regular expressions of rules: RE2 and nothing else, which takes linear time whatever people write."""

import re2

from control_plane.rules.repetition import ambiguous_repetition

LONGEST_PATTERN = 500
HIGHEST_REPEAT = 1000

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20

_SENTENCES = {
    "invalid perl operator": "it looks ahead or behind, or names a group as Perl does, which RE2 does not have",
    "invalid escape sequence": "it has an escape that RE2 does not know; backreferences such as \\1 are not offered",
    "missing )": "a ( is not closed",
    "unexpected )": "a ) was never opened",
    "missing ]": "a [ is not closed",
    "missing argument to repetition operator": "a *, + or ? has nothing to repeat",
    "no argument for repetition operator": "a *, + or ? has nothing to repeat",
    "bad repetition operator": "two repetitions stand together, such as ** or a possessive ++",
    "invalid repetition size": f"a repetition is above {HIGHEST_REPEAT:,}",
    "repetition size": f"a repetition is above {HIGHEST_REPEAT:,}",
    "pattern too large": "it is too large to be compiled; repetitions inside repetitions multiply",
    "trailing \\": "it ends in a single backslash",
    "invalid UTF-8": "it has characters that are no text",
    "invalid character class range": "a range such as z-a goes backwards",
}


def wrong_with(pattern: str) -> str:
    """Say in words what is wrong with a pattern; empty: nothing is."""
    if len(pattern) > LONGEST_PATTERN:
        return f"At most {LONGEST_PATTERN} characters; this has {len(pattern)}."
    try:
        re2.compile(pattern, _OPTIONS)
    except re2.error as failure:
        said = str(failure.args[0].decode() if isinstance(failure.args[0], bytes) else failure.args[0])
        why = next((sentence for start, sentence in _SENTENCES.items() if start in said), said)
        return f"No pattern of RE2: {why}."
    except UnicodeEncodeError:
        return "No pattern of RE2: it has characters that are no text."
    if twice := ambiguous_repetition(pattern):
        return f"{twice} repeats what repeats already, which other engines choke on. Write it with one repetition."
    return ""


def takes(pattern: str, value: str) -> bool:
    """Whether the whole value fits a pattern that was found right."""
    return re2.compile(pattern, _OPTIONS).fullmatch(value) is not None
