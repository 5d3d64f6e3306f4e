"""A usage event as it stands in the books, put together from parts without a message being made for it.

In protobuf's wire format, messages that stand behind one another are one message: of a field that comes twice the last
counts. So an event is its page (what all requests of one way have in common, encoded once) with some small parts behind
it. Making, filling and encoding a message for every exchange cost more than all the rest of accounting for it.
What is rare is still said by a message: `UsageEvent(...).SerializeToString()` is a part like any other.
"""

from functools import lru_cache

from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import usage_pb2

_VARINT, _BYTES = 0, 2
_KEPT = 1 << 14
"""What fits into two bytes is kept spelled."""
_BEYOND = 1 << 64


def _spell(number: int) -> bytes:
    """A varint: seven bits a byte, the lowest first; a set top bit says that more follow."""
    spelled = bytearray()
    while number >= 0x80:
        spelled.append(number & 0x7F | 0x80)
        number >>= 7
    spelled.append(number)
    return bytes(spelled)


class _Varints(dict[int, bytes]):
    """A number as protobuf writes it. Small ones are found, which is quicker than any call; others are spelled."""

    def __missing__(self, number: int) -> bytes:
        """Raises ValueError for one that a uint64 does not hold."""
        if not 0 <= number < _BEYOND:
            raise ValueError(f"{number} is not between 0 and 2**64")
        return _LOWEST[number & _KEPT - 1] + self[number >> 14]


_VARINTS = _Varints((number, _spell(number)) for number in range(_KEPT))
_LOWEST = [bytes((number & 0x7F | 0x80, number >> 7 | 0x80)) for number in range(_KEPT)]
"""The lowest fourteen bits of a number that has more."""


def varint(number: int) -> bytes:
    """Write a number as protobuf does. Raises ValueError for one that a uint64 does not hold."""
    return _VARINTS[number]


def _field(name: str, wire: int, of: str = "UsageEvent") -> bytes:
    """What stands before a field's value."""
    return _spell(usage_pb2.DESCRIPTOR.message_types_by_name[of].fields_by_name[name].number << 3 | wire)


_EXCHANGE_ID = _field("exchange_id", _BYTES)
_ATTEMPT = _field("attempt", _VARINT)
_KIND = _field("kind", _VARINT)
_OUTCOME = _field("outcome", _VARINT)
_SESSION_ID = _field("session_id", _BYTES)
_SESSION_IS_DERIVED = _field("session_is_derived", _VARINT)
_STARTED_AT_MS = _field("started_at_ms", _VARINT)
_GATEWAY_US = _field("gateway_us", _VARINT)
_FIRST_BYTE_US = _field("first_byte_us", _VARINT)
_FIRST_TOKEN_US = _field("first_token_us", _VARINT)
_DURATION_US = _field("duration_us", _VARINT)
_CLIENT_STATUS = _field("client_status", _VARINT)
_UPSTREAM_STATUS = _field("upstream_status", _VARINT)
_REQUEST_BYTES = _field("request_bytes", _VARINT)
_RESPONSE_BYTES = _field("response_bytes", _VARINT)
_MODEL = _field("model", _BYTES)
_STOP_REASON = _field("stop_reason", _BYTES)
_SERVICE_TIER = _field("service_tier", _BYTES)
_UPSTREAM_REQUEST_ID = _field("upstream_request_id", _BYTES)
_CHUNKS = _field("chunks", _VARINT)
_TOKENS = _field("tokens", _BYTES)
_INPUT_FRESH = _field("input_fresh", _VARINT, "Tokens")
_OUTPUT = _field("output", _VARINT, "Tokens")
_COST_NANO_USD = _field("cost_nano_usd", _VARINT)
_PRICE_VERSION = _field("price_version", _BYTES)
_TRACEPARENT = _field("traceparent", _BYTES)
_COUNTERS_ANSWER = _field("counters_answer", _BYTES)
_DEGRADED = _field("degraded", _BYTES)
_SAVED_BY_CACHE = _field("saved_cache_nano_usd", _VARINT)
_PRICE_NOTE = _field("price_note", _BYTES)


def text(field: bytes, value: str) -> bytes:
    """A field of text; nothing where it is empty."""
    if not value:
        return b""
    encoded = value.encode()
    return field + _VARINTS[len(encoded)] + encoded


# The same for all exchanges that begin in one millisecond.
_started_at = lru_cache(maxsize=2)(varint)
# A price row's id, the way an answer ended: few, and always the same.
_known_text = lru_cache(maxsize=1024)(text)


def opening_part(
    exchange_id: str,
    attempt: int,
    *,
    started_at_ms: int,
    traceparent: str,
    session_id: str,
    session_is_derived: bool,
    request_bytes: int,
    gateway_us: int,
) -> bytes:
    """What is known when an attempt begins."""
    whose, trace, session = exchange_id.encode(), traceparent.encode(), session_id.encode()
    return b"".join(
        (
            _EXCHANGE_ID,
            _VARINTS[len(whose)],
            whose,
            _ATTEMPT,
            _VARINTS[attempt],
            _STARTED_AT_MS,
            _started_at(started_at_ms),
            _TRACEPARENT,
            _VARINTS[len(trace)],
            trace,
            _SESSION_ID,
            _VARINTS[len(session)],
            session,
            _SESSION_IS_DERIVED,
            b"\1" if session_is_derived else b"\0",
            _REQUEST_BYTES,
            _VARINTS[request_bytes],
            _GATEWAY_US,
            _VARINTS[gateway_us],
        )
    )


def decision_part(decided: bytes, counters_answer: bytes, degraded: str, more: bytes = b"") -> bytes:
    """What was decided without the counters, what they said, and which rule of an outage spoke for them. more: other
    parts."""
    if degraded:
        more += text(_DEGRADED, degraded)
    return b"".join((decided, _COUNTERS_ANSWER, _VARINTS[len(counters_answer)], counters_answer, more))


def bill_part(tokens: TokenCounts, cost_nano_usd: int, price_version: str) -> bytes:
    """What was used, and what it costs. At most one of these goes into an event: two would be one message of both."""
    if tokens.is_plain:
        return plain_bill_part(tokens.input_fresh, tokens.output, cost_nano_usd, price_version)
    return usage_pb2.UsageEvent(
        tokens=usage_pb2.Tokens(
            input_fresh=tokens.input_fresh,
            input_tool=tokens.input_tool,
            cache_read=tokens.cache_read,
            cache_write_5m=tokens.cache_write_5m,
            cache_write_1h=tokens.cache_write_1h,
            cache_write_30m=tokens.cache_write_30m,
            cache_write_12h=tokens.cache_write_12h,
            cache_write_other=tokens.cache_write_other,
            output=tokens.output,
            reasoning=tokens.reasoning,
        ),
        cost_nano_usd=cost_nano_usd,
        price_version=price_version,
    ).SerializeToString()


def plain_bill_part(input_fresh: int, output: int, cost_nano_usd: int, price_version: str) -> bytes:
    """The same for fresh input and visible output alone."""
    read, written = _VARINTS[input_fresh], _VARINTS[output]
    return b"".join(
        (
            _TOKENS,
            _VARINTS[len(_INPUT_FRESH) + len(read) + len(_OUTPUT) + len(written)],
            _INPUT_FRESH,
            read,
            _OUTPUT,
            written,
            _COST_NANO_USD,
            _VARINTS[cost_nano_usd],
            _known_text(_PRICE_VERSION, price_version),
        )
    )


def saved_part(saved_by_cache_nano_usd: int, price_note: str) -> bytes:
    """What caches saved, and whether the price is another model's; nothing where there is nothing to say."""
    if not saved_by_cache_nano_usd:
        return text(_PRICE_NOTE, price_note)
    number = saved_by_cache_nano_usd
    # A signed number is written as twice what it is, a negative one as what lies between.
    return _SAVED_BY_CACHE + _VARINTS[2 * number if number > 0 else -2 * number - 1] + text(_PRICE_NOTE, price_note)


def answer_part(
    *,
    upstream_status: int,
    upstream_request_id: str,
    first_byte_us: int,
    first_token_us: int,
    bytes_out: int,
    chunks: int,
) -> bytes:
    """How far a provider's answer came."""
    return b"".join(
        (
            _UPSTREAM_STATUS,
            _VARINTS[upstream_status],
            text(_UPSTREAM_REQUEST_ID, upstream_request_id),
            _FIRST_BYTE_US,
            _VARINTS[first_byte_us],
            _FIRST_TOKEN_US,
            _VARINTS[first_token_us],
            _RESPONSE_BYTES,
            _VARINTS[bytes_out],
            _CHUNKS,
            _VARINTS[chunks],
        )
    )


@lru_cache(maxsize=1024)
def answered_part(model: str, stop_reason: str, service_tier: str) -> bytes:
    """What an answer said of itself: the same few things again and again."""
    return text(_MODEL, model) + text(_STOP_REASON, stop_reason) + text(_SERVICE_TIER, service_tier)


def closing_part(
    kind: usage_pb2.UsageKind, outcome: usage_pb2.Outcome, *, client_status: int, duration_us: int
) -> bytes:
    """How it ended."""
    return b"".join(
        (
            _KIND,
            _VARINTS[kind],
            _OUTCOME,
            _VARINTS[outcome],
            _CLIENT_STATUS,
            _VARINTS[client_status],
            _DURATION_US,
            _VARINTS[duration_us],
        )
    )
