"""Names of exchanges: ULIDs and W3C trace contexts. Chance comes in as bytes."""

import re
from functools import lru_cache

CHANCE_BYTES = 16
"""Of each byte five bits count, so that a character is one look-up: a ULID's 80 bits of chance."""
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SIGN_OF_BYTE = (_CROCKFORD * 8).encode()
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def make_exchange_id(at_ms: int, chance: bytes) -> str:
    """Make a ULID from the arrival's time and CHANCE_BYTES of chance: sorts by time, 26 characters."""
    return _encode(at_ms) + chance[:CHANCE_BYTES].translate(_SIGN_OF_BYTE).decode("ascii")


@lru_cache(maxsize=2)
def _encode(at_ms: int) -> str:
    """A time in Crockford's base 32, ten characters. A busy pod names several exchanges in a millisecond."""
    return "".join([_CROCKFORD[at_ms >> shift & 31] for shift in range(45, -1, -5)])


def continue_trace(offered: bytes | None, chance: bytes) -> str:
    """Answer a traceparent: the caller's trace with a span of ours, or a trace of our own when it offered none."""
    span = chance[:8].hex()
    if offered is not None:
        match = _TRACEPARENT.fullmatch(offered)
        if match is not None and match[1] != b"0" * 32:
            return f"00-{match[1].decode()}-{span}-{match[3].decode()}"
    return f"00-{chance[:16].hex()}-{span}-01"
