"""Somebody leaves the company: one word of the directory ends keys on all pods, running streams and the session."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.console import Console
from tests.end_to_end.stack import Stack, call_json
from tests.promises import within

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

EMAIL, PASSWORD = "leaver@example.com", "correct horse battery staple"
PODS = 4
OFF = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
ON = {"Operations": [{"op": "Replace", "path": "active", "value": "True"}]}


@dataclass(frozen=True, slots=True)
class Leaver:
    """Somebody with two keys and a console session, whom the directory knows by an id."""

    person_id: str
    scim_token: str
    key_ids: tuple[str, str]
    keys: tuple[str, str]
    console: Console


@dataclass(slots=True)
class Stream:
    pod: str = ""
    text: bytes = b""
    ended_s: float = 0.0


def a_leaver(stack: Stack) -> Leaver:
    team = stack.api("GET", "teams?limit=1")["results"][0]
    user = stack.api("POST", "users", {"email": EMAIL, "password": PASSWORD, "teams": [team["name"]]})
    minted = [
        stack.api("POST", "keys?wait=applied", {"name": name, "owner": {"user": user["id"]}, "team": team["id"]})
        for name in ("laptop", "desktop")
    ]
    scim_token = stack.api("POST", "scim-tokens", {"name": "directory"})["token"]
    known = scim(stack, scim_token, "POST", "/Users", {"userName": EMAIL, "active": True})
    return Leaver(
        person_id=str(known["id"]),
        scim_token=scim_token,
        key_ids=(minted[0]["id"], minted[1]["id"]),
        keys=(minted[0]["key"], minted[1]["key"]),
        console=Console(stack, EMAIL, PASSWORD),
    )


def scim(stack: Stack, token: str, method: str, path: str, body: object = None) -> Any:
    return call_json(method, f"{stack.console_url}/scim/v2{path}", token, body)


def headers(key: str, behaviour: str = "") -> dict[str, str]:
    found = {"anthropic-version": "2023-06-01", "content-type": "application/json", "authorization": f"Bearer {key}"}
    return {**found, "x-sim-behaviour": behaviour} if behaviour else found


def body(*, is_stream: bool) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 4000,
        "stream": is_stream,
        "messages": [{"role": "user", "content": "hi"}],
    }


async def hold(stack: Stack, session: aiohttp.ClientSession, key: str, stream: Stream) -> None:
    """Read an answer that would run for two minutes, until it ends."""
    url = f"{stack.gateway_url}/v1/messages"
    try:
        async with session.post(
            url, json=body(is_stream=True), headers=headers(key, "sim-text-1200-delay100")
        ) as answer:
            stream.pod = answer.headers["x-switchyard-pod"]
            async for chunk in answer.content.iter_any():
                stream.text += chunk
    except aiohttp.ClientError:
        pass
    stream.ended_s = time.monotonic()


async def refusals_by_pod(stack: Stack, session: aiohttp.ClientSession, key: str, limit_s: float) -> dict[str, bytes]:
    """Ask until every pod has refused the key; a pod that still serves it fails the test in the end."""
    url = f"{stack.gateway_url}/v1/messages"
    refused: dict[str, bytes] = {}
    deadline = time.monotonic() + limit_s
    while len(refused) < PODS and time.monotonic() < deadline:
        async with session.post(url, json=body(is_stream=False), headers=headers(key)) as answer:
            text = await answer.read()
            if answer.status == 401:
                refused[answer.headers["x-switchyard-pod"]] = text
            else:
                refused.pop(answer.headers["x-switchyard-pod"], None)
    return refused


async def test_a_leaver_is_cut_off_everywhere_within_five_seconds(stack: Stack) -> None:
    leaver = await asyncio.to_thread(a_leaver, stack)
    assert "My keys" in await asyncio.to_thread(leaver.console.text, "/my/keys")
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        streams: list[Stream] = []
        running: list[asyncio.Task[None]] = []
        begin_by = time.monotonic() + within(10)
        # Connections are spread by the kernel: open more until each pod holds one, of both keys.
        while len({stream.pod for stream in streams if stream.text}) < PODS or len(streams) < 2 * PODS:
            assert time.monotonic() < begin_by, [stream.pod for stream in streams]
            streams.append(Stream())
            key = leaver.keys[len(streams) % 2]
            running.append(group.create_task(hold(stack, session, key, streams[-1])))
            await asyncio.sleep(0.2)

        answer = await asyncio.to_thread(scim, stack, leaver.scim_token, "PATCH", f"/Users/{leaver.person_id}", OFF)
        told_s = time.monotonic()
        assert answer["active"] is False
        refused = await asyncio.gather(*(refusals_by_pod(stack, session, key, within(5)) for key in leaver.keys))
        keys_dead_s = time.monotonic() - told_s
        await asyncio.wait_for(asyncio.gather(*running), within(5))

    assert [len(pods) for pods in refused] == [PODS, PODS]
    assert all(b"revoked" in text for pods in refused for text in pods.values())
    assert keys_dead_s < within(5)
    for stream in streams:
        assert stream.ended_s - told_s < within(5)
        assert b"event: error" in stream.text, stream.text[-500:]
        assert b"message_stop" not in stream.text
    # The very next page leads to the sign-in, and the password opens nothing any more.
    assert "Sign in" in await asyncio.to_thread(leaver.console.text, "/my/keys")
    with pytest.raises((AssertionError, urllib.error.HTTPError)):
        await asyncio.to_thread(Console, stack, EMAIL, PASSWORD)
    await asyncio.to_thread(history_is_kept, stack, leaver)
    await asyncio.to_thread(whoever_returns_has_no_keys, stack, leaver)


def history_is_kept(stack: Stack, leaver: Leaver) -> None:
    for key_id in leaver.key_ids:
        key = stack.api("GET", f"keys/{key_id}")
        assert key["revoked_at"] is not None
        assert EMAIL in json.dumps(key)
    actions = [entry["action"] for entry in stack.api("GET", "audit?limit=50")["results"]]
    assert {"scim_user.deactivated", "membership.removed", "key.revoked", "scim_user.created"} <= set(actions)


def whoever_returns_has_no_keys(stack: Stack, leaver: Leaver) -> None:
    assert scim(stack, leaver.scim_token, "PATCH", f"/Users/{leaver.person_id}", ON)["active"] is True
    assert Console(stack, EMAIL, PASSWORD).page("/my/keys")
    for key in leaver.keys:
        request = urllib.request.Request(
            f"{stack.gateway_url}/v1/messages", data=json.dumps(body(is_stream=False)).encode(), headers=headers(key)
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        assert refused.value.code == 401
