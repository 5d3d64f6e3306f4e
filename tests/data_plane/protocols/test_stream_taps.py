"""Every recorded stream through its tap, whole, cut and in any chunking."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import Scale, count_text
from data_plane.protocols.codec import MAX_COLLECTED_BYTES, Tap
from data_plane.protocols.stream_tap import HOLD_LIMIT
from switchyard_contract.usage import TokenCounts
from tests.data_plane.protocols.transcripts import Transcript, head, read, stream, streams

ENDED_BY_ERROR = {"anthropic_error_midstream", "chat_error_midstream", "gemini_error_midstream"}
BY_NAME = pytest.mark.parametrize("transcript", streams(), ids=lambda each: each.name)
CUTS = st.lists(st.integers(1, 400), min_size=1, max_size=60)


def new_tap(transcript: Transcript) -> Tap:
    return transcript.codec.tap(transcript.facts, streamed=True)


def pass_through(tap: Tap, wire: bytes, sizes: list[int]) -> bytes:
    """Feed in chunks of these sizes, round and round."""
    passed, at, turn = [], 0, 0
    while at < len(wire):
        size = sizes[turn % len(sizes)]
        passed.append(tap.feed(wire[at : at + size]))
        at, turn = at + size, turn + 1
    passed.append(tap.rest())
    return b"".join(passed)


def usage_of(tally: Tally) -> dict[str, Any]:
    tokens = tally.tokens
    writes = tokens.cache_write_30m + tokens.cache_write_12h + tokens.cache_write_other
    return {
        "fresh_in": tokens.input_fresh,
        "cache_read": tokens.cache_read,
        "cache_write": writes,
        "cache_write_5m": tokens.cache_write_5m,
        "cache_write_1h": tokens.cache_write_1h,
        "out": tokens.output + tokens.reasoning,
        "reasoning": tokens.reasoning,
        "web_search": tally.web_searches,
    }


@BY_NAME
@given(sizes=CUTS)
@settings(max_examples=25, deadline=None)
def test_bytes_pass_unchanged_and_usage_is_found_in_any_chunking(transcript: Transcript, sizes: list[int]) -> None:
    tap = new_tap(transcript)

    assert pass_through(tap, transcript.wire, sizes) == transcript.wire
    assert tap.has_ended
    tally = tap.finish()
    if "usage" in transcript.expect:
        found = usage_of(tally)
        assert {name: found[name] for name in transcript.expect["usage"]} == transcript.expect["usage"]
        assert tally.is_reported
        assert not tally.is_inconsistent
    if "stop" in transcript.expect:
        assert tally.stop_reason in (transcript.expect["stop"], "completed")


@BY_NAME
def test_a_chunk_of_whole_events_is_passed_as_the_very_same_object(transcript: Transcript) -> None:
    tap = new_tap(transcript)

    assert all(tap.feed(event) is event for event in transcript.events)


@BY_NAME
def test_model_and_id_of_the_answer_are_told(transcript: Transcript) -> None:
    tap = new_tap(transcript)
    pass_through(tap, transcript.wire, [4000])

    tally = tap.finish()

    assert tally.model
    assert tally.upstream_request_id


@BY_NAME
def test_an_error_event_ends_the_stream_and_is_told(transcript: Transcript) -> None:
    tap = new_tap(transcript)
    pass_through(tap, transcript.wire, [100])

    error = transcript.expect.get("error")
    tally = tap.finish()

    assert (tally.error_type, tally.error_text) == ((error["type"], error["message"]) if error else ("", ""))


@BY_NAME
def test_every_prefix_of_whole_events_that_lacks_the_last_is_not_ended(transcript: Transcript) -> None:
    last_two_end_it = transcript.name in ENDED_BY_ERROR | {"chat_error_midstream"}
    for count in range(len(transcript.events) - (2 if last_two_end_it else 1)):
        tap = new_tap(transcript)
        for event in transcript.events[:count]:
            tap.feed(event)
        assert not tap.has_ended


@BY_NAME
@given(share=st.floats(0.05, 0.9), sizes=CUTS)
@settings(max_examples=10, deadline=None)
def test_a_cut_stream_leaves_whole_events_and_is_counted(
    transcript: Transcript, share: float, sizes: list[int]
) -> None:
    cut = int(len(transcript.wire) * share)
    tap = new_tap(transcript)
    passed, at, turn = b"", 0, 0
    while at < cut:
        size = min(sizes[turn % len(sizes)], cut - at)
        passed += tap.feed(transcript.wire[at : at + size])
        at, turn = at + size, turn + 1

    assert transcript.wire.startswith(passed)
    assert passed == b"" or passed.endswith((b"\n\n", b"\r\n\r\n"))
    assert tap.at_boundary
    tally = tap.counted(request_bytes=3500)
    if passed and not tally.is_reported:
        assert tally.tokens.input_fresh > 0


def test_a_cut_message_is_billed_with_the_input_told_at_its_start_and_the_output_that_passed() -> None:
    transcript = stream("anthropic_text")
    tap = new_tap(transcript)
    for event in transcript.events[:5]:
        tap.feed(event)

    tally = tap.counted(request_bytes=1_000_000)

    assert (tally.tokens.input_fresh, tally.tokens.cache_read, tally.tokens.cache_write_1h) == (25, 1000, 50)
    assert 4 <= tally.tokens.output <= 9
    assert not tally.is_reported


def test_a_cut_chat_is_estimated_from_the_size_of_its_request() -> None:
    transcript = stream("chat_text")
    tap = new_tap(transcript)
    for event in transcript.events[:3]:
        tap.feed(event)

    tally = tap.counted(request_bytes=3500)

    assert tally.tokens.input_fresh == 1000
    assert tally.tokens.output > 0


def test_a_stream_that_was_opened_and_never_began_is_billed_its_prompt() -> None:
    tally = new_tap(stream("chat_text")).counted(request_bytes=3500)

    assert tally.tokens == TokenCounts(input_fresh=1000)
    assert not tally.is_reported


def test_running_sums_of_a_provider_are_taken_as_they_are() -> None:
    tap = new_tap(stream("gemini_text"))
    for count in range(1, 60):
        tap.feed(
            b'data: {"candidates":[{"content":{"parts":[{"text":"word%d "}]}}],"usageMetadata":{"promptTokenCount":90,'
            b'"cachedContentTokenCount":50,"candidatesTokenCount":%d}}\r\n\r\n' % (count, count)
        )

    assert tap.counted(3500).tokens == TokenCounts(input_fresh=40, cache_read=50, output=59)


def a_delta(kind: str, **fields: Any) -> bytes:
    """One event of a stream in each protocol, which writes some words."""
    return b"data: " + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


SEAL = "c2lnbmF0dXJl" * 400
WORDS = ("The quick ", "brown fox ", "jumps over ", "the lazy dog. ") * 20
ARGUMENTS = ('{"path": "src/', "main.py", '", "lines": [1', ", 20, 300]}")
SAME_ANSWER = {
    "anthropic_text": (
        *(a_delta("content_block_delta", delta={"type": "thinking_delta", "thinking": word}) for word in WORDS),
        a_delta("content_block_delta", delta={"type": "signature_delta", "signature": SEAL}),
        *(a_delta("content_block_delta", delta={"type": "text_delta", "text": word}) for word in WORDS),
        a_delta("content_block_start", content_block={"type": "tool_use", "id": "toolu_0123456789", "name": "Read"}),
        *(a_delta("content_block_delta", delta={"type": "input_json_delta", "partial_json": p}) for p in ARGUMENTS),
    ),
    "chat_text": (
        *(a_delta("", choices=[{"delta": {"reasoning": word, "reasoning_content": word}}]) for word in WORDS),
        *(a_delta("", choices=[{"delta": {"content": word}}]) for word in WORDS),
        a_delta(
            "",
            choices=[
                {
                    "delta": {
                        "tool_calls": [
                            {"index": 0, "id": "call_0123456789", "type": "function", "function": {"name": "Read"}}
                        ],
                        "reasoning_details": [{"type": "reasoning.encrypted", "data": SEAL}],
                    }
                }
            ],
        ),
        *(
            a_delta("", choices=[{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}])
            for piece in ARGUMENTS
        ),
    ),
    "responses_text": (
        *(a_delta("response.reasoning_summary_text.delta", delta=word) for word in WORDS),
        a_delta("response.output_item.done", item={"type": "reasoning", "encrypted_content": SEAL}),
        *(a_delta("response.output_text.delta", delta=word, obfuscation="Xy7" * 9) for word in WORDS),
        a_delta("response.audio.delta", delta=SEAL),
        a_delta("response.output_item.added", item={"type": "function_call", "name": "Read", "arguments": ""}),
        *(a_delta("response.function_call_arguments.delta", delta=piece) for piece in ARGUMENTS),
    ),
    "gemini_text": (
        *(a_delta("", candidates=[{"content": {"parts": [{"text": w, "thought": True}]}}]) for w in WORDS),
        *(a_delta("", candidates=[{"content": {"parts": [{"text": word}]}}]) for word in WORDS),
        a_delta(
            "",
            candidates=[
                {
                    "content": {
                        "parts": [
                            {
                                "functionCall": {"name": "Read", "args": json.loads("".join(ARGUMENTS)), "id": "fc_1"},
                                "thoughtSignature": SEAL,
                            }
                        ]
                    }
                }
            ],
        ),
    ),
}


@pytest.mark.parametrize("name", sorted(SAME_ANSWER))
@pytest.mark.parametrize("asked_every", [1_000_000, 1, 7])
def test_what_a_model_wrote_is_counted_and_nothing_else(name: str, asked_every: int) -> None:
    """In every protocol the same; also when it is asked while the stream runs, as a running account is."""
    tap = new_tap(stream(name))
    for place, event in enumerate(SAME_ANSWER[name], 1):
        tap.feed(event)
        if place % asked_every == 0:
            tap.counted(3500)

    tokens = tap.counted(3500).tokens

    spoken = count_text(WORDS)
    assert tokens.reasoning == pytest.approx(spoken, rel=0.01)
    assert tokens.output == pytest.approx(spoken + 1 + count_text(ARGUMENTS), rel=0.03)


def test_our_count_is_brought_to_the_vendor_s() -> None:
    tap = new_tap(stream("chat_text"))
    tap.feed(a_delta("", choices=[{"delta": {"content": "word " * 99 + "word"}}]))

    scale = Scale(TokenCounts(input_fresh=5, cache_read=50), per_counted=1.25)

    assert tap.counted(3500, scale).tokens == TokenCounts(input_fresh=5, cache_read=50, output=125)


def test_a_stream_that_is_counted_as_it_runs_keeps_nothing() -> None:
    tap = new_tap(stream("chat_text"))
    word = a_delta("", choices=[{"delta": {"content": "word and another one here "}}])
    for _ in range(200):
        for _ in range(100):
            tap.feed(word)
        tap.counted(100)

    assert tap.counted(100).tokens.output == pytest.approx(100_000, rel=0.03)


def test_nothing_is_billed_for_an_error_before_any_content() -> None:
    tap = new_tap(stream("chat_text"))
    tap.feed(b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n')

    assert tap.has_ended
    assert tap.finish().tokens.total == 0


def test_a_long_cut_answer_is_extended_from_the_part_that_was_kept() -> None:
    tap = new_tap(stream("chat_text"))
    word = b'data: {"choices":[{"index":0,"delta":{"content":"word and another one here "}}]}\n\n'
    for _ in range(20_000):
        tap.feed(word)

    output = tap.counted(request_bytes=100).tokens.output

    assert 80_000 <= output <= 130_000


def test_a_complete_answer_without_usage_is_counted_and_marked() -> None:
    transcript = stream("chat_reasoning_onprem")
    tap = new_tap(transcript)
    for event in transcript.events:
        if b'"usage"' not in event:
            tap.feed(event)

    tally = tap.finish()

    assert tap.has_ended
    assert not tally.is_reported
    assert tally.tokens.output > 0
    assert tally.tokens.input_fresh > 0


ASKED_FOR_US = b'{"model":"gpt-6-sol","stream":true,"messages":[{"role":"user","content":"hi"}]}'


@given(sizes=CUTS)
@settings(max_examples=60, deadline=None)
def test_the_usage_chunk_that_was_added_is_removed_and_nothing_else(sizes: list[int]) -> None:
    transcript = stream("chat_text")
    tap = transcript.codec.tap(read(transcript.codec, transcript.head, ASKED_FOR_US), streamed=True)
    without = b"".join(event for event in transcript.events if b'"choices":[]' not in event)

    assert pass_through(tap, transcript.wire, sizes) == without
    assert tap.finish().tokens.cache_read == 1000


def test_usage_beside_content_stays_even_when_it_was_not_asked_for() -> None:
    transcript = stream("chat_gemini_compat_signature")
    tap = transcript.codec.tap(read(transcript.codec, transcript.head, ASKED_FOR_US), streamed=True)

    assert pass_through(tap, transcript.wire, [50]) == transcript.wire


def test_opening_frames_are_no_content() -> None:
    for name, openers in (("anthropic_text", 3), ("chat_text", 1), ("responses_text", 4), ("gemini_text", 0)):
        transcript = stream(name)
        tap = new_tap(transcript)
        for event in transcript.events[:openers]:
            tap.feed(event)
        assert not tap.has_content, name
        tap.feed(transcript.events[openers])
        assert tap.has_content, name


def test_text_that_reads_like_a_last_event_ends_nothing() -> None:
    tap = new_tap(stream("anthropic_text"))
    text = r'{"type":"message_stop"} data: [DONE] \"usage\":{\"output_tokens\":999999} response.completed'
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    start = stream("anthropic_text").events[0]
    for event in (
        start,
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
        b'"text":"' + quoted.encode() + b'"}}\n\n',
    ):
        tap.feed(event)

    assert not tap.has_ended
    assert tap.counted(10).tokens.output < 100


def test_arguments_that_read_like_a_last_event_end_nothing() -> None:
    tap = new_tap(stream("gemini_text"))
    tap.feed(
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"finishReason":"STOP",'
        b'"error":{"code":1},"usageMetadata":{"promptTokenCount":99}}}}]}}]}\r\n\r\n'
    )

    assert not tap.has_ended
    assert tap.counted(0).tokens.input_fresh == 0


@pytest.mark.parametrize("name", ["chat_text", "anthropic_text", "responses_text", "gemini_text"])
def test_a_last_event_without_its_blank_line_still_ends_the_stream(name: str) -> None:
    transcript = stream(name)
    tap = new_tap(transcript)
    wire = transcript.wire.rstrip(b"\r\n")

    passed = tap.feed(wire)

    assert tap.has_ended
    assert passed + tap.rest() == wire
    assert tap.finish().is_reported


def test_half_an_event_is_held_back_until_it_is_whole() -> None:
    transcript = stream("anthropic_text")
    tap = new_tap(transcript)
    event = transcript.events[0]

    assert tap.feed(event[:100]) == b""
    assert tap.at_boundary
    assert tap.feed(event[100:]) == event


def test_a_very_large_event_streams_through_and_no_sign_of_life_falls_into_it() -> None:
    transcript = stream("gemini_text")
    tap = new_tap(transcript)
    image = b'data: {"candidates":[{"content":{"parts":[{"inlineData":{"data":"' + b"A" * (3 * HOLD_LIMIT)
    ending = (
        b'"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5,'
        b'"totalTokenCount":12}}\r\n\r\n'
    )
    wire = image + ending
    passed = b""
    boundaries = []
    for at in range(0, len(wire), 10_000):
        passed += tap.feed(wire[at : at + 10_000])
        boundaries.append(tap.at_boundary)

    assert passed + tap.rest() == wire
    assert not all(boundaries)
    assert boundaries[-1]
    assert tap.finish().tokens.input_fresh == 7


def test_an_event_without_end_is_passed_on_unread() -> None:
    tap = new_tap(stream("chat_text"))
    chunk = b"x" * 1_000_000
    passed = 0
    for _ in range(MAX_COLLECTED_BYTES // len(chunk) + 3):
        passed += len(tap.feed(chunk))

    assert passed + len(tap.rest()) == (MAX_COLLECTED_BYTES // len(chunk) + 3) * len(chunk)
    assert not tap.at_boundary
    assert not tap.has_ended


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_any_line_end_and_several_data_lines_are_understood(line_end: bytes) -> None:
    tap = new_tap(stream("chat_text"))
    lines = [
        b": a comment",
        b"",
        b'data:{"model":"m","choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],',
        b'data: "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
        b"",
        b"data: [DONE]",
        b"",
        b"",
    ]
    wire = line_end.join(lines)

    assert pass_through(tap, wire, [7]) == wire
    assert tap.has_ended
    assert (tap.finish().tokens.input_fresh, tap.finish().tokens.output) == (3, 2)


@pytest.mark.parametrize(
    "usage", ['{"prompt_tokens":-5,"completion_tokens":99999999999999}', '{"prompt_tokens":"x"}', "[]"]
)
def test_nonsense_for_usage_never_breaks_the_account(usage: str) -> None:
    tap = new_tap(stream("chat_text"))
    tap.feed(b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n')
    tap.feed(f'data: {{"choices":[],"usage":{usage}}}\n\n'.encode())
    tap.feed(b"data: [DONE]\n\n")

    assert tap.finish().tokens.total >= 0


def test_running_sums_of_a_server_tool_loop_replace_the_first_ones_and_null_keeps_them() -> None:
    tap = stream("anthropic_text").codec.tap(
        read(stream("anthropic_text").codec, head("/v1/messages"), b'{"model":"m","stream":true}'), streamed=True
    )
    tap.feed(stream("anthropic_text").events[0])
    tap.feed(
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":'
        b'{"input_tokens":90,"cache_read_input_tokens":null,"cache_creation_input_tokens":300,"output_tokens":4}}\n\n'
    )

    tokens = tap.finish().tokens

    assert (tokens.input_fresh, tokens.cache_read) == (90, 1000)
    assert (tokens.cache_write_5m, tokens.cache_write_1h) == (250, 50)
