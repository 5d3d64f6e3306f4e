"""Names of exchanges: ULIDs and W3C trace contexts. Chance comes in as bytes."""

import re

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def make_exchange_id(at_ms: int, chance: bytes) -> str:
    """Make a ULID from the arrival's time and 10 random bytes: sorts by time, 26 characters."""
    number = (at_ms << 80) | int.from_bytes(chance[:10])
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -10, -10)])


def continue_trace(offered: bytes | None, chance: bytes) -> str:
    """Answer a traceparent: the caller's trace with a span of ours, or a trace of our own when it offered none."""
    span = chance[:8].hex()
    if offered is not None:
        match = _TRACEPARENT.fullmatch(offered)
        if match is not None and match[1] != b"0" * 32:
            return f"00-{match[1].decode()}-{span}-{match[3].decode()}"
    return f"00-{chance[:16].hex()}-{span}-01"
