"""Faults as they look on the wire, for all four protocols."""

import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from tests.deploy.simulated_provider.conftest import Running


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw: the head, the body's bytes without framing, and how it ended."""

    status: int
    headers: dict[str, str]
    body: bytes
    end: str

    @property
    def events(self) -> list[bytes]:
        return [event for event in self.body.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip()]


TARGETS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/{model}:{verb}",
}
PROTOCOLS = sorted(TARGETS)


def request_bytes(protocol: str, model: str, *, streams: bool, headers: dict[str, str]) -> bytes:
    body: dict[str, Any] = {"model": model, "stream": streams}
    if protocol == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    elif protocol == "responses":
        body["input"] = "hi"
    else:
        body |= {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 500}
        if protocol == "chat":
            body["stream_options"] = {"include_usage": True}
    verb = "streamGenerateContent?alt=sse" if streams else "generateContent"
    target = TARGETS[protocol].format(model=model, verb=verb)
    data = orjson.dumps(body)
    fields = {"host": "x", "anthropic-version": "2026-10-21", "content-length": str(len(data))} | headers
    if protocol != "anthropic":
        del fields["anthropic-version"]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + data


def call(
    provider: Running, protocol: str, model: str, marker: str, *, streams: bool = True, patience_s: float = 10
) -> Seen:
    """Send one request over a raw socket and read until the answer, the connection or the patience ends."""
    address = urlsplit(provider.url)
    headers = {"authorization": f"Bearer {marker}", "x-sim-marker": marker, "connection": "close"}
    data, end = b"", "eof"
    with socket.create_connection((address.hostname, address.port), timeout=patience_s) as own:
        own.sendall(request_bytes(protocol, model, streams=streams, headers=headers))
        try:
            while piece := own.recv(65536):
                data += piece
        except ConnectionResetError:
            end = "reset"
        except TimeoutError:
            end = "silence"
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head:
        return Seen(0, {}, b"", end)
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = rest
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
            if length == 0:
                end = "whole"
    elif end == "eof" and len(body) == int(fields["content-length"]):
        end = "whole"
    return Seen(int(lines[0].split()[1]), fields, body, end)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("chunks", [0, 1, 4])
def test_a_cut_is_a_reset_after_exactly_that_many_chunks(
    provider: Running, marker: str, protocol: str, chunks: int
) -> None:
    seen = call(provider, protocol, f"sim-text-20-cut{chunks}", marker)
    assert (seen.status, seen.end, len(seen.events)) == (200, "reset", chunks)
    record = provider.record(marker)
    assert (record["output_chunks"], record["completed"], record["fault"]) == (chunks, False, "cut")
    assert record["usage"]["input_fresh"] + record["usage"]["cache_read"] > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_generated_before_a_cut_is_billed(provider: Running, marker: str, protocol: str) -> None:
    call(provider, protocol, "sim-text-100-sim-usage-in50-out1000-cut54", marker)
    usage = provider.record(marker)["usage"]
    assert usage["input_fresh"] == 50
    assert 450 <= usage["output"] <= 560


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stall_is_silence_and_a_hang_up_is_noted(provider: Running, marker: str, protocol: str) -> None:
    seen = call(provider, protocol, "sim-text-20-stall3", marker, patience_s=0.3)
    assert (seen.end, len(seen.events)) == ("silence", 3)
    record = provider.record(marker)
    assert (record["hung_up"], record["completed"], record["output_chunks"]) == (True, False, 3)


TERMINALS = {
    "anthropic": b"message_stop",
    "chat": b"[DONE]",
    "responses": b"response.completed",
    "gemini": b"finishReason",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_missing_end_is_a_clean_end_of_the_stream(provider: Running, marker: str, protocol: str) -> None:
    whole = call(provider, protocol, "gpt-5.2", f"{marker}-0")
    without_terminal = call(provider, protocol, "gpt-5.2-noterminal", f"{marker}-1")
    without_end = call(provider, protocol, "gpt-5.2-noend", f"{marker}-2")
    assert [seen.end for seen in (whole, without_terminal, without_end)] == ["whole"] * 3
    assert TERMINALS[protocol] in whole.events[-1]
    assert len(without_terminal.events) == len(whole.events) - 1
    assert TERMINALS[protocol] not in without_end.body
    for word in (b'"stop_reason":"end_turn"', b'"finish_reason":"stop"', b'"finishReason"'):
        assert word not in without_end.body
    for number, completed in enumerate((True, False, False)):
        assert provider.record(f"{marker}-{number}")["completed"] is completed


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_usage_may_be_withheld(provider: Running, marker: str, protocol: str, streams: bool) -> None:
    seen = call(provider, protocol, "gpt-5.2-nousage", marker, streams=streams)
    assert seen.end == "whole"
    for word in (b"input_tokens", b"prompt_tokens", b"usageMetadata"):
        assert word not in seen.body
    assert provider.record(marker)["usage"]["output"] > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_usage_may_lie(provider: Running, marker: str, protocol: str) -> None:
    behaviour = "sim-usage-in10-read5-out7"
    negative = call(provider, protocol, f"{behaviour}-negativeusage", f"{marker}-0", streams=False)
    larger = call(provider, protocol, f"{behaviour}-largerusage", f"{marker}-1", streams=False)
    names = {"anthropic": ("usage", "input_tokens"), "chat": ("usage", "prompt_tokens"),
             "responses": ("usage", "input_tokens"), "gemini": ("usageMetadata", "promptTokenCount")}  # fmt: skip
    group, name = names[protocol]
    includes_cached = protocol != "anthropic"
    assert orjson.loads(negative.body)[group][name] == -22 + 5 * includes_cached
    assert orjson.loads(larger.body)[group][name] == 10_000 + 5_000 * includes_cached
    for number in (0, 1):
        usage = provider.record(f"{marker}-{number}")["usage"]
        assert (usage["input_fresh"], usage["cache_read"], usage["output"]) == (10, 5, 7)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_malformed_event_comes_amid_good_ones(provider: Running, marker: str, protocol: str) -> None:
    seen = call(provider, protocol, "gpt-5.2-malformed3", marker)
    broken = seen.events[3].partition(b"data: ")[2]
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(broken)
    assert TERMINALS[protocol] in seen.events[-1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_event_may_be_huge(provider: Running, marker: str, protocol: str) -> None:
    seen = call(provider, protocol, "gpt-5.2-huge300", marker)
    assert max(len(event) for event in seen.events) > 300 * 1024
    assert seen.end == "whole"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_answer_can_be_cut_stalled_broken_and_left_unfinished(
    provider: Running, marker: str, protocol: str
) -> None:
    cut = call(provider, protocol, "gpt-5.2-cut2", f"{marker}-0", streams=False)
    stalled = call(provider, protocol, "gpt-5.2-stall2", f"{marker}-1", streams=False, patience_s=0.3)
    unfinished = call(provider, protocol, "gpt-5.2-noend", f"{marker}-2", streams=False)
    malformed = call(provider, protocol, "gpt-5.2-malformed0", f"{marker}-3", streams=False)
    assert [seen.end for seen in (cut, stalled, unfinished, malformed)] == ["reset", "silence", "eof", "whole"]
    for seen in (cut, stalled, unfinished):
        assert 0 < len(seen.body) < int(seen.headers["content-length"])
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(malformed.body)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_break_behind_the_end_of_the_answer_still_happens(
    provider: Running, marker: str, protocol: str, streams: bool
) -> None:
    seen = call(provider, protocol, "gpt-5.2-cut900", marker, streams=streams)
    assert seen.end == "reset"
    assert provider.record(marker)["fault"] == "cut"


def test_a_dropped_connection_sends_no_byte(provider: Running, marker: str) -> None:
    assert call(provider, "chat", "gpt-5.2-drop", marker) == Seen(0, {}, b"", "reset")
    record = provider.record(marker)
    assert (record["status"], record["usage"]["input_fresh"]) == (0, 0)


@pytest.mark.parametrize("where", ["slow", "late"])
def test_the_first_byte_may_be_slow(provider: Running, marker: str, where: str) -> None:
    began = time.monotonic()
    seen = call(provider, "chat", f"gpt-5.2-{where}150", marker)
    assert seen.end == "whole"
    assert time.monotonic() - began >= 0.15


def test_chunks_may_be_spread_in_time(provider: Running, marker: str) -> None:
    began = time.monotonic()
    seen = call(provider, "chat", "sim-text-10-delay10", marker)
    assert len(seen.events) == 14
    assert time.monotonic() - began >= 0.13


@pytest.mark.parametrize("fault", ["cut1", "fault-500", "drop", "noend", "errmid1"])
def test_a_fault_marked_once_spares_the_next_call_of_the_conversation(
    provider: Running, marker: str, fault: str
) -> None:
    model = f"gpt-5.2-{fault}-once"
    first = call(provider, "chat", model, marker)
    faults = [record["fault"] for record in provider.get(f"/ledger?marker={marker}")["requests"]]
    second = call(provider, "chat", model, marker)
    assert faults[0] != ""
    assert first.body != second.body
    assert (second.status, second.end) == (200, "whole")
    assert second.events[-1] == b"data: [DONE]"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_without_a_credential_is_refused(provider: Running, marker: str, protocol: str) -> None:
    address = urlsplit(provider.url)
    headers = {"x-sim-marker": marker, "connection": "close"}
    with socket.create_connection((address.hostname, address.port), timeout=10) as own:
        own.sendall(request_bytes(protocol, "gpt-5.2", streams=False, headers=headers))
        assert b" 401 " in own.recv(65536).partition(b"\r\n")[0]
    assert provider.record(marker)["credential"] is None
