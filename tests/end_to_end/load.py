"""Steady traffic on a gateway in all protocols, and what its clients saw of it."""

import asyncio
import itertools
import json
import time
from dataclasses import dataclass, field

import aiohttp

# So many events, so far apart: at 25 requests/s some twenty answers are always under way.
BEHAVIOUR = "sim-text-40-delay20"


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


@dataclass(frozen=True, slots=True)
class Ask:
    """One way to ask: path, body, the mark of a complete stream (empty: not streamed)."""

    path: str
    body: dict[str, object]
    terminal: bytes
    headers: dict[str, str] = field(default_factory=dict)


ASKS: tuple[Ask, ...] = (
    Ask(
        "/v1/messages",
        {
            "model": "claude-sonnet-4-6",
            "max_tokens": 200,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
        },
        b"event: message_stop",
        {"anthropic-version": "2023-06-01"},
    ),
    Ask(
        "/v1/chat/completions",
        {"model": "gpt-5.1", "stream": True, "messages": [{"role": "user", "content": "hi"}]},
        b"data: [DONE]",
    ),
    Ask("/v1/responses", {"model": "gpt-5.1", "stream": True, "input": "hi"}, b"event: response.completed"),
    Ask(
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        b'"finishReason"',
    ),
    Ask("/v1/chat/completions", {"model": "gpt-5.1", "messages": [{"role": "user", "content": "hi"}]}, b""),
)


@dataclass
class Load:
    """Requests at a constant rate until stopped; `seen` grows."""

    gateway_url: str
    key: str
    rate_per_s: float
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
            for number in itertools.count():
                if self._stop.is_set():
                    return
                group.create_task(self._ask(session, number))
                pause_s = begun_s + (number + 1) / self.rate_per_s - time.monotonic()
                await asyncio.sleep(max(0.0, pause_s))

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        ask = ASKS[number % len(ASKS)]
        started_s = time.monotonic()
        status, request_id, provider_id, body = 0, "", "", b""
        headers = {
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            "x-sim-behaviour": BEHAVIOUR,
            **ask.headers,
        }
        is_whole = False
        try:
            async with session.post(self.gateway_url + ask.path, data=json.dumps(ask.body), headers=headers) as answer:
                status = answer.status
                request_id = answer.headers.get("x-switchyard-request-id", "")
                provider_id = answer.headers.get("request-id") or answer.headers.get("x-request-id", "")
                async for chunk in answer.content.iter_any():
                    body += chunk
                is_whole = True
        except (aiohttp.ClientError, TimeoutError, OSError):
            is_whole = False
        is_complete = is_whole and status == 200 and (ask.terminal in body if ask.terminal else True)
        self.seen.append(Seen(number, started_s, time.monotonic(), status, request_id, provider_id, is_complete))
