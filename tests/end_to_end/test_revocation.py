"""A revoked key is dead everywhere in under a second, also where one of the two ways is cut."""

import asyncio
import time

import aiohttp
import pytest

from tests.end_to_end.stack import Stack
from tests.promises import within

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

ANTHROPIC = {"anthropic-version": "2023-06-01", "content-type": "application/json"}


def mint_key(stack: Stack, name: str) -> tuple[str, str]:
    """A fresh personal key of the first administrator: (REST id, key). Waits until pods hold it."""
    me = stack.api("GET", "users?limit=1")["results"][0]
    team = stack.api("GET", "teams?limit=1")["results"][0]
    made = stack.api("POST", "keys?wait=applied", {"name": name, "owner": {"user": me["id"]}, "team": team["id"]})
    return str(made["id"]), str(made["key"])


async def test_a_key_in_use_is_dead_within_a_second_of_its_revocation(stack: Stack) -> None:
    key_id, key = await asyncio.to_thread(mint_key, stack, "revoked-under-load")
    last_success_s = 0.0
    refusals: list[tuple[int, bytes]] = []
    stop = asyncio.Event()

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal last_success_s
        body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        headers = {**ANTHROPIC, "authorization": f"Bearer {key}"}
        sent_s = time.monotonic()
        async with session.post(f"{stack.gateway_url}/v1/messages", json=body, headers=headers) as answer:
            text = await answer.read()
            if answer.status == 200:
                last_success_s = max(last_success_s, sent_s)
            else:
                refusals.append((answer.status, text))

    async def stream(session: aiohttp.ClientSession) -> tuple[bytes, float]:
        """An answer that would run for a minute; gives back what came and when it ended."""
        body = {
            "model": "claude-sonnet-4-6",
            "max_tokens": 4000,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
        }
        headers = {**ANTHROPIC, "authorization": f"Bearer {key}", "x-sim-behaviour": "sim-text-600-delay100"}
        text = b""
        try:
            async with session.post(f"{stack.gateway_url}/v1/messages", json=body, headers=headers) as answer:
                async for chunk in answer.content.iter_any():
                    text += chunk
        except aiohttp.ClientError:
            pass
        return text, time.monotonic()

    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        open_streams = [group.create_task(stream(session)) for _ in range(4)]

        async def load() -> None:
            while not stop.is_set():
                group.create_task(ask(session))
                await asyncio.sleep(0.02)

        loading = group.create_task(load())
        await asyncio.sleep(1.5)
        await asyncio.to_thread(
            stack.api, "POST", f"keys/{key_id}/revoke", {"reason": "test: leaked", "cut_streams": True}
        )
        revoked_s = time.monotonic()
        await asyncio.sleep(3)
        stop.set()
        await loading
        ended = await asyncio.gather(*open_streams)
    assert last_success_s > 0, "the key never worked"
    assert last_success_s - revoked_s < within(1)
    assert refusals
    assert {status for status, _ in refusals} == {401}
    assert all(b"revoked" in text for _, text in refusals)
    for text, ended_s in ended:
        assert ended_s - revoked_s < within(5)
        assert b"event: error" in text
        assert b"message_stop" not in text
