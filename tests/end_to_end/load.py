"""Steady traffic on a gateway in all protocols, and what its clients saw of it."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import aiohttp

# So many events, so far apart: at 25 requests/s some twenty answers are always under way.
BEHAVIOUR = "sim-text-40-delay20"
MARKER_HEADER = "x-sim-marker"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as its client saw it."""

    number: int
    started_s: float
    ended_s: float
    status: int
    """0: no answer's head came."""
    request_id: str
    provider_request_id: str
    is_complete: bool
    """The protocol's last event came (or, unstreamed, the whole body)."""
    trace_id: str = ""
    """Names the request in the ledger (`traceparent`) and in the provider's books (the marker)."""
    hung_up: bool = False
    """The client went away on purpose."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One way to ask: path, body, the mark of a complete stream (empty: not streamed)."""

    path: str
    body: dict[str, object]
    terminal: bytes
    headers: dict[str, str] = field(default_factory=dict)
    hang_up_after: int = 0
    """Go away after so many pieces of the answer; 0: stay to its end."""

    @property
    def is_streamed(self) -> bool:
        return bool(self.terminal)


_MESSAGES: dict[str, object] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "hi"}],
}
_CHAT: dict[str, object] = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "hi"}]}
_RESPONSES: dict[str, object] = {"model": "gpt-5.1", "input": "hi"}
_CONTENT: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
_ANTHROPIC = {"anthropic-version": "2023-06-01"}
_GEMINI = "/v1beta/models/gemini-2.5-pro"

ASKS: tuple[Ask, ...] = (
    Ask("/v1/messages", {**_MESSAGES, "stream": True}, b"event: message_stop", _ANTHROPIC),
    Ask("/v1/chat/completions", {**_CHAT, "stream": True}, b"data: [DONE]"),
    Ask("/v1/responses", {**_RESPONSES, "stream": True}, b"event: response.completed"),
    Ask(f"{_GEMINI}:streamGenerateContent?alt=sse", _CONTENT, b'"finishReason"'),
    Ask("/v1/chat/completions", _CHAT, b""),
)
UNSTREAMED: tuple[Ask, ...] = (
    Ask("/v1/messages", _MESSAGES, b"", _ANTHROPIC),
    Ask("/v1/chat/completions", _CHAT, b""),
    Ask("/v1/responses", _RESPONSES, b""),
    Ask(f"{_GEMINI}:generateContent", _CONTENT, b""),
)


def in_turn(number: int) -> Ask:
    """Each way to ask after the other: four streams to one answer in one piece."""
    return ASKS[number % len(ASKS)]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Ways to ask drawn by a seed: a share of streams, and a share of clients that go away in the middle."""

    seed: int
    streams: float = 0.70
    hang_ups: float = 0.05

    def __call__(self, number: int) -> Ask:
        chance = random.Random(f"{self.seed}:{number}")
        if chance.random() >= self.streams:
            return chance.choice(UNSTREAMED)
        ask = chance.choice([one for one in ASKS if one.is_streamed])
        # Of all requests, and only streams can be left in the middle.
        if chance.random() < self.hang_ups / self.streams:
            return replace(ask, hang_up_after=chance.randint(1, 8))
        return ask


@dataclass
class Load:
    """Requests at a constant rate until stopped; `seen` grows.

    key: of whoever asks, or of several who take turns.
    """

    gateway_url: str
    key: str | Sequence[str]
    rate_per_s: float
    behaviour: str = BEHAVIOUR
    ask_of: Callable[[int], Ask] = in_turn
    first_number: int = 0
    seen: list[Seen] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        """Send until `stop`, then wait for what runs."""
        timeout = aiohttp.ClientTimeout(total=60, connect=5)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as group:
            begun_s = time.monotonic()
            for number in itertools.count(self.first_number):
                if self._stop.is_set():
                    return
                group.create_task(self._ask(session, number))
                pause_s = begun_s + (number + 1 - self.first_number) / self.rate_per_s - time.monotonic()
                await asyncio.sleep(max(0.0, pause_s))

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        ask = self.ask_of(number)
        started_s = time.monotonic()
        trace_id = _trace_id(number, started_s)
        status, request_id, provider_id, body, pieces = 0, "", "", b"", 0
        headers = {
            "authorization": f"Bearer {self._key_of(number)}",
            "content-type": "application/json",
            "x-sim-behaviour": self.behaviour,
            MARKER_HEADER: trace_id,
            "traceparent": f"00-{trace_id}-{trace_id[:16]}-01",
            **ask.headers,
        }
        is_whole = hung_up = False
        try:
            async with session.post(self.gateway_url + ask.path, data=json.dumps(ask.body), headers=headers) as answer:
                status = answer.status
                request_id = answer.headers.get("x-switchyard-request-id", "")
                provider_id = answer.headers.get("request-id", "") or answer.headers.get("x-request-id", "")
                async for chunk in answer.content.iter_any():
                    body += chunk
                    pieces += 1
                    if pieces == ask.hang_up_after:
                        hung_up = True
                        answer.close()
                        break
                is_whole = not hung_up
        except (aiohttp.ClientError, TimeoutError, OSError):
            is_whole = False
        is_complete = is_whole and status == 200 and (ask.terminal in body if ask.terminal else True)
        ended_s = time.monotonic()
        self.seen.append(
            Seen(number, started_s, ended_s, status, request_id, provider_id, is_complete, trace_id, hung_up)
        )

    def _key_of(self, number: int) -> str:
        if isinstance(self.key, str):
            return self.key
        # Not the same turn as the ways to ask: everybody is to ask in every way.
        return self.key[number // len(ASKS) % len(self.key)]


def _trace_id(number: int, at_s: float) -> str:
    return blake2b(f"{number}:{at_s!r}:{time.time_ns()}".encode(), digest_size=16).hexdigest()
