"""Recorded streams of the protocols (golden/) and requests that real tools sent (captures/)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from data_plane.protocols.catalog import CODECS
from data_plane.protocols.codec import Codec, RequestFacts, RequestHead
from data_plane.protocols.paths import Route, route

HERE = Path(__file__).parent
PROTOCOLS = {
    "anthropic.messages": "anthropic_messages",
    "openai.chat": "openai_chat",
    "openai.responses": "openai_responses",
    "gemini.generateContent": "gemini_content",
}


@dataclass(frozen=True, repr=False)
class Transcript:
    """One recorded stream, and what it means."""

    name: str
    codec: Codec
    head: RequestHead
    body: bytes
    wire: bytes
    events: tuple[bytes, ...]
    expect: dict[str, Any]

    def __repr__(self) -> str:
        return f"Transcript({self.name})"

    @property
    def facts(self) -> RequestFacts:
        return read(self.codec, self.head, self.body)


def read(codec: Codec, head: RequestHead, body: bytes) -> RequestFacts:
    found = route(head.method, head.path)
    assert isinstance(found, Route)
    return codec.read_request(head, found.operation, found.path_model, body)


@cache
def streams() -> tuple[Transcript, ...]:
    return tuple(
        _read_stream(golden)
        for path in sorted((HERE / "golden").glob("*.json"))
        if "events" in (golden := json.loads(path.read_text()))
    )


def stream(name: str) -> Transcript:
    return next(each for each in streams() if each.name == name)


def documents(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((HERE / "golden" / f"{name}.json").read_text())["items"]
    return items


def capture(name: str) -> list[tuple[RequestHead, bytes]]:
    """What a tool sent: heads and bodies, websocket frames and probes left out."""
    recorded = json.loads((HERE / "captures" / f"{name}.json").read_text())
    return [(_head(each), json.dumps(each["body"]).encode()) for each in recorded if each["method"] == "POST"]


def head(path: str, **headers: str) -> RequestHead:
    """A POST with these headers; underscores in names stand for dashes."""
    plain, _, query = path.partition("?")
    raw = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return RequestHead("POST", plain, query, raw)


def _head(recorded: dict[str, Any]) -> RequestHead:
    path, _, query = recorded["path"].partition("?")
    headers = tuple((name.lower().encode(), value.encode()) for name, value in recorded["headers"].items())
    return RequestHead(recorded["method"], path, query, headers)


def _read_stream(golden: dict[str, Any]) -> Transcript:
    line_end = "\r\n" if golden["framing"].endswith("crlf") else "\n"
    events = tuple(_event(event, line_end) for event in golden["events"])
    return Transcript(
        name=golden["name"],
        codec=CODECS[PROTOCOLS[golden["protocol"]]],
        head=head(golden["path"]),
        body=json.dumps(golden["request"]).encode(),
        wire=b"".join(events),
        events=events,
        expect=golden["expect"],
    )


def _event(event: dict[str, Any], line_end: str) -> bytes:
    name = f"event: {event['event']}{line_end}" if "event" in event else ""
    data = event.get("raw_data") or json.dumps(event["data"], ensure_ascii=False, separators=(",", ":"))
    return f"{name}data: {data}{line_end}{line_end}".encode()
