"""Parts written straight as bytes say what messages would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.usage.event_bytes import (
    answer_part,
    answered_part,
    bill_part,
    closing_part,
    opening_part,
    plain_bill_part,
    varint,
)
from switchyard_contract.usage import KINDS, TokenCounts
from switchyard_contract.v1 import usage_pb2

COUNTS = st.integers(0, 2**63 - 1) | st.integers(0, 2**15)
SMALL = st.integers(0, 2**32 - 1) | st.sampled_from([0, 127, 128, 200, 16383, 16384])
TEXTS = st.text(max_size=200) | st.just("é" * 9000)
PAGE = usage_pb2.UsageEvent(
    requested_model="asked", model="asked", organization_id="0" * 32, tags={"a": "b"}, streamed=True
)


def read(*parts: bytes) -> usage_pb2.UsageEvent:
    return usage_pb2.UsageEvent.FromString(b"".join((PAGE.SerializeToString(), *parts)))


def on_page(**fields: object) -> usage_pb2.UsageEvent:
    event = usage_pb2.UsageEvent()
    event.CopyFrom(PAGE)
    event.MergeFrom(usage_pb2.UsageEvent(**fields))  # type: ignore[arg-type]  # names and values are the tests' own
    return event


@given(st.integers(0, 2**64 - 1) | st.sampled_from([0, 127, 128, 16383, 16384, 2**21, 2**28 - 1, 2**28, 2**64 - 1]))
def test_a_number_is_spelled_as_protobuf_does(number: int) -> None:
    assert usage_pb2.UsageReceipt(stored_through=number).SerializeToString()[1:] == (varint(number) if number else b"")


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_that_no_field_holds_is_an_error(number: int) -> None:
    with pytest.raises(ValueError, match="not between"):
        varint(number)


@given(whose=TEXTS, attempt=SMALL, at=COUNTS, trace=TEXTS, session=TEXTS, derived=st.booleans(), size=COUNTS, us=COUNTS)
def test_an_opening(
    whose: str, attempt: int, at: int, trace: str, session: str, derived: bool, size: int, us: int
) -> None:
    part = opening_part(
        whose,
        attempt,
        started_at_ms=at,
        traceparent=trace,
        session_id=session,
        session_is_derived=derived,
        request_bytes=size,
        gateway_us=us,
    )
    assert read(part) == on_page(
        exchange_id=whose,
        attempt=attempt,
        started_at_ms=at,
        traceparent=trace,
        session_id=session,
        session_is_derived=derived,
        request_bytes=size,
        gateway_us=us,
    )


@given(counts=st.lists(COUNTS, min_size=len(KINDS), max_size=len(KINDS)), cost=COUNTS, price=TEXTS)
def test_a_bill(counts: list[int], cost: int, price: str) -> None:
    named = dict(zip(KINDS, counts, strict=True))
    assert read(bill_part(TokenCounts(**named), cost, price)) == on_page(
        tokens=usage_pb2.Tokens(**named), cost_nano_usd=cost, price_version=price
    )


@given(input_fresh=COUNTS, output=COUNTS, cost=COUNTS, price=TEXTS)
def test_a_plain_bill_is_a_bill(input_fresh: int, output: int, cost: int, price: str) -> None:
    expected = on_page(
        tokens=usage_pb2.Tokens(input_fresh=input_fresh, output=output), cost_nano_usd=cost, price_version=price
    )
    assert read(plain_bill_part(input_fresh, output, cost, price)) == expected
    assert read(bill_part(TokenCounts(input_fresh=input_fresh, output=output), cost, price)) == expected


@given(
    status=SMALL,
    request_id=TEXTS,
    times=st.tuples(COUNTS, COUNTS),
    size=COUNTS,
    chunks=SMALL,
    model=TEXTS,
    stop_reason=TEXTS,
    tier=TEXTS,
    client_status=SMALL,
    duration_us=COUNTS,
)
def test_an_end(
    status: int,
    request_id: str,
    times: tuple[int, int],
    size: int,
    chunks: int,
    model: str,
    stop_reason: str,
    tier: str,
    client_status: int,
    duration_us: int,
) -> None:
    kind, outcome = usage_pb2.USAGE_KIND_COUNTED, usage_pb2.OUTCOME_CANCELLED
    event = read(
        answer_part(
            upstream_status=status,
            upstream_request_id=request_id,
            first_byte_us=times[0],
            first_token_us=times[1],
            bytes_out=size,
            chunks=chunks,
        ),
        answered_part(model, stop_reason, tier),
        closing_part(kind, outcome, client_status=client_status, duration_us=duration_us),
    )
    assert event == on_page(
        kind=kind,
        outcome=outcome,
        model=model or "asked",
        stop_reason=stop_reason,
        service_tier=tier,
        upstream_status=status,
        upstream_request_id=request_id,
        first_byte_us=times[0],
        first_token_us=times[1],
        response_bytes=size,
        chunks=chunks,
        client_status=client_status,
        duration_us=duration_us,
    )
