"""Names of exchanges: ULIDs and W3C trace contexts. Chance comes in as bytes."""

import re

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def make_exchange_id(at_ms: int, chance: bytes) -> str:
    """Make a ULID from the arrival's time and 10 random bytes: sorts by time, 26 characters."""
    return _encode(at_ms, 50) + _encode(int.from_bytes(chance[:5]), 40) + _encode(int.from_bytes(chance[5:10]), 40)


def _encode(number: int, bits: int) -> str:
    """Crockford's base 32, two characters at a time; numbers of one machine word, since longer ones are slow."""
    pairs = _PAIRS
    low = pairs[number >> 30 & 1023] + pairs[number >> 20 & 1023] + pairs[number >> 10 & 1023] + pairs[number & 1023]
    return low if bits <= 40 else pairs[number >> 40] + low


def continue_trace(offered: bytes | None, chance: bytes) -> str:
    """Answer a traceparent: the caller's trace with a span of ours, or a trace of our own when it offered none."""
    span = chance[:8].hex()
    if offered is not None:
        match = _TRACEPARENT.fullmatch(offered)
        if match is not None and match[1] != b"0" * 32:
            return f"00-{match[1].decode()}-{span}-{match[3].decode()}"
    return f"00-{chance[:16].hex()}-{span}-01"
