"""The golden price table, through the codecs, the shipped price book and the arithmetic of the pods."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.catalog.genai_import import read_genai_prices
from control_plane.catalog.price_file import read_price_lists
from control_plane.catalog.price_row import PriceDraft
from data_plane.conversation.tally import Tally
from data_plane.exchange.settlement import Charge, price_tally, without_parts
from data_plane.exchange.stages import Admission
from data_plane.policy.decision import Destination
from data_plane.policy.routing import resolve
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.codec import RequestFacts
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.contract.golden_prices import GEMINI_ROWS, NOW, ROWS, Golden
from tests.data_plane.policy.builders import a_policy_shard, policy_and_caller

Json = Mapping[str, Any]


def milliseconds(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1000)


def a_row(draft: PriceDraft) -> pb.PriceRow:
    return pb.PriceRow(
        id=draft.version(),
        vendor=draft.vendor,
        model=draft.model,
        valid_from_ms=milliseconds(draft.valid_from),
        valid_to_ms=milliseconds(draft.valid_to),
        rates=pb.Rates(**draft.rates),
        bands=[
            pb.PriceBand(from_prompt_tokens=band.from_prompt_tokens, rates=pb.Rates(**band.rates))
            for band in draft.bands
        ],
        tiers=[
            pb.TierMultiplier(
                tier=tier.tier, per_mille=tier.per_mille, rates=pb.Rates(**tier.rates) if tier.rates else None
            )
            for tier in draft.tiers
        ],
        per_web_search_nano_usd=draft.per_web_search_nano_usd,
        us_geo_per_mille=draft.us_geo_per_mille,
        unit_nano_usd=draft.unit_nano_usd,
    )


def shipped() -> list[pb.PriceRow]:
    own = read_price_lists().prices
    ours = {(price.vendor, price.model) for price in own}
    needed = {row.model for row in ROWS} | {"gpt-image-1.5"}
    imported = [
        price
        for price in read_genai_prices().prices
        if (price.vendor, price.model) not in ours and price.model in needed
    ]
    return [a_row(price) for price in (*own, *imported)]


OWN = [
    pb.PriceRow(
        id="own-1",
        model="house-deepseek",
        is_override=True,
        rates=pb.Rates(input=280_000_000, cache_read=28_000_000, output=420_000_000),
    ),
    pb.PriceRow(id="own-2", model="house-free", is_override=True, rates=pb.Rates(input=0, output=0)),
]
POLICY, CALLER = policy_and_caller(list_prices=shipped(), policy=a_policy_shard(prices=OWN))
SOMEWHERE = resolve(POLICY, CALLER, "gpt-5.1", "openai_chat")
assert isinstance(SOMEWHERE, Destination)


def cost_of_answer(row: Golden, tally: Tally) -> Charge:
    assert isinstance(SOMEWHERE, Destination)
    destination = replace(SOMEWHERE, vendor=row.vendor, model=row.model)
    # All of an admission that pricing looks at.
    admission = cast(Admission, SimpleNamespace(policy=POLICY, caller=CALLER, destination=destination))
    charge = price_tally(admission, tally, milliseconds(row.at))
    assert charge is not None
    return charge


def document(row: Golden) -> bytes:
    model = row.answered or row.model
    match row.protocol:
        case "anthropic_messages":
            answer: dict[str, Any] = {"id": "msg_1", "type": "message", "model": model, "usage": row.usage}
        case "openai_chat":
            choice = {"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}
            answer = {"id": "c_1", "model": model, "choices": [choice], "usage": row.usage}
        case "openai_responses":
            answer = {"id": "r_1", "object": "response", "status": "completed", "model": model, "usage": row.usage}
        case _:
            answer = gemini_chunk(row, row.usage)
            return json.dumps(answer).encode()
    return json.dumps({**answer, **row.answer}).encode()


def gemini_chunk(row: Golden, usage: Json, *, ends: bool = True) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [{"text": "hi"}]}, **(row.answer if ends else {})}
    if ends:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": row.answered or row.model}


def stream(row: Golden, repeats: Sequence[int] = (1, 1)) -> bytes:
    """The answer as a stream. repeats: how often the running sums and the last ones are told."""
    model = row.answered or row.model
    running, last = repeats
    match row.protocol:
        case "anthropic_messages":
            # The split of writes by lifetime is told at the beginning alone, passes at the end alone.
            first = row.first_usage or {**row.usage, "output_tokens": 1}
            first = {name: value for name, value in first.items() if name not in ("iterations", "server_tool_use")}
            end = {name: value for name, value in row.usage.items() if name != "cache_creation"}
            start: Json = {"type": "message_start", "message": {"id": "msg_1", "model": model, "usage": first}}
            delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
            stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end}
            events = [start] * running + [delta, *[stop] * last, {"type": "message_stop"}]
            return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)
        case "openai_chat":
            head = {"id": "c_1", "model": model, **row.answer}
            chunks: list[Json] = [{**head, "choices": [{"index": 0, "delta": {"content": "hi"}}], "usage": None}]
            chunks += [{**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}]
            chunks += [{**head, "choices": [], "usage": row.usage}] * last
            return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in chunks) + b"data: [DONE]\n\n"
        case "openai_responses":
            whole = json.loads(document(row))
            opening = {**whole, "status": "in_progress", "usage": None, "output": [], "tool_usage": None}
            told: list[Json] = [{"type": "response.created", "response": opening}] * running
            told += [{"type": "response.output_text.delta", "delta": "hi"}]
            told += [{"type": "response.completed", "response": whole}] * last
            return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in told)
        case _:
            part = {"promptTokenCount": row.usage.get("promptTokenCount", 0), "totalTokenCount": 1}
            parts = [gemini_chunk(row, part, ends=False)] * running + [gemini_chunk(row, row.usage)] * last
            return b"".join(f"data: {json.dumps(each)}\r\n\r\n".encode() for each in parts)


def listened(row: Golden, text: bytes, *, streamed: bool, chunk_bytes: int = 0) -> Tally:
    facts = RequestFacts(
        protocol=row.protocol,
        operation="generate",
        model=row.model,
        model_span=None,
        streamed=streamed,
        cache_write_default="cache_write_30m",
        body_bytes=100,
    )
    tap = CODECS[row.protocol].tap(facts, streamed=streamed)
    size = chunk_bytes or len(text)
    for at in range(0, len(text), size):
        tap.feed(text[at : at + size])
    tap.rest()
    return tap.finish()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_usage_object_costs_what_the_table_says_to_the_nano_dollar(row: Golden, streamed: bool) -> None:
    tally = listened(row, stream(row) if streamed else document(row), streamed=streamed)

    charge = cost_of_answer(row, tally)

    assert tally.is_reported
    assert not tally.is_inconsistent
    assert (charge.amount, charge.note) == (row.nano_usd, row.note)
    if row.saved is not None:
        assert charge.saved_by_cache == row.saved


@settings(max_examples=150, deadline=None)
@given(
    row=st.sampled_from(ROWS),
    repeats=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    chunk_bytes=st.sampled_from([0, 1, 7, 64, 1000]),
)
def test_how_often_usage_is_told_and_how_it_arrives_changes_nothing(
    row: Golden, repeats: tuple[int, int], chunk_bytes: int
) -> None:
    told = listened(row, stream(row, repeats), streamed=True, chunk_bytes=chunk_bytes)

    assert (told.tokens, told.units, told.parts) == (lambda once: (once.tokens, once.units, once.parts))(
        listened(row, document(row), streamed=False)
    )
    assert cost_of_answer(row, told).amount == row.nano_usd


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_token_is_counted_twice(row: Golden) -> None:
    tally = listened(row, document(row), streamed=False)
    usage, told = row.usage, 0
    match row.protocol:
        case "anthropic_messages":
            names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
            if usage.get("iterations"):
                kept = {"message", "fallback_message", "advisor_message", "compaction"}
                told = sum(each.get(name, 0) for each in usage["iterations"] if each["type"] in kept for name in names)
            else:
                told = sum(usage.get(name, 0) for name in names)
        case "gemini_content":
            names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
            told = usage.get("totalTokenCount") or sum(usage.get(name, 0) for name in names)
        case _:
            told = usage["total_tokens"]
            drawn = row.answer.get("tool_usage", {}).get("image_gen", {})
            told += drawn.get("total_tokens", 0)

    assert tally.tokens.total == told
    assert without_parts(tally).total + sum(part.tokens.total for part in tally.parts) == told
    counters = {"input_audio": "input_fresh", "input_image": "input_fresh", "cache_read_audio": "cache_read"}
    for kind, count in tally.units:
        if kind in counters or kind.startswith("output_"):
            assert count <= getattr(tally.tokens, counters.get(kind, "output"))


def test_the_table_is_about_every_vendor_and_every_protocol() -> None:
    assert {row.protocol for row in ROWS} == set(CODECS) - {"openai_embeddings"}
    assert {"anthropic", "openai", "gemini", "xai", "openai_compatible"} == {row.vendor for row in ROWS}
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.at.tzinfo is not None for row in ROWS)
    assert NOW in {row.at for row in GEMINI_ROWS}
