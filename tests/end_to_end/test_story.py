"""The whole way: a key from the REST API, a request in each protocol, its row in the ledger, its cost on the page."""

import asyncio
import json
import time
import urllib.request

import psycopg
import pytest

from tests.end_to_end.books import compare, wait_until_settled
from tests.end_to_end.load import Load
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_revocation import mint_key

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]

MARKER = "marker-5f1e7c2a-never-stored"


async def test_every_request_is_counted_once_at_the_providers_numbers(stack: Stack) -> None:
    _, key = await asyncio.to_thread(mint_key, stack, "story")
    since_ms = time.time_ns() // 1_000_000
    load = Load(stack.gateway_url, key, rate_per_s=40)
    running = asyncio.create_task(load.run())
    await asyncio.sleep(3)
    load.stop()
    await running
    assert all(one.is_complete for one in load.seen), [one for one in load.seen if not one.is_complete][:3]
    await asyncio.to_thread(wait_until_settled, stack, since_ms)
    verdict = await asyncio.to_thread(compare, stack, load.seen, since_ms)
    assert not verdict.faults, str(verdict)
    assert verdict.exact == len(load.seen)
    rows = await asyncio.to_thread(stack.api, "GET", "exchanges?limit=200")
    mine = {row["id"]: row for row in rows["results"]}
    for one in load.seen[-20:]:
        row = mine[one.request_id]
        assert row["status"] == 200
        assert row["cost_nano_usd"] > 0, row
        assert row["team"], row


def test_a_marker_in_a_prompt_is_stored_nowhere(stack: Stack) -> None:
    caller_secret = "sk-ant-oat01-" + MARKER
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 50,
        "stream": True,
        "system": f"system {MARKER}",
        "messages": [
            {"role": "user", "content": f"say {MARKER}"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "x", "input": {"a": MARKER}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": MARKER}]},
        ],
    }
    for headers in (
        {"authorization": f"Bearer {stack.virtual_key}"},
        {"x-switchyard-key": stack.virtual_key, "authorization": f"Bearer {caller_secret}"},
    ):
        request = urllib.request.Request(
            f"{stack.gateway_url}/v1/messages",
            data=json.dumps(body).encode(),
            headers={"anthropic-version": "2023-06-01", "content-type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200
            assert b"message_stop" in answer.read()
    wait_until_settled(stack, 0)
    found = [place for place in _places_with(stack, MARKER.encode()) if "simulated-provider" not in place]
    assert found == []


def _places_with(stack: Stack, marker: bytes) -> list[str]:
    """Every file of the installation, every table and every key of both stores that holds the marker."""
    found = [str(path) for path in stack.home.rglob("*") if path.is_file() and marker in path.read_bytes()]
    with psycopg.connect(stack.local["database_url"]) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            query = f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s"
            hits = connection.execute(query, (f"%{marker.decode()}%",)).fetchone()  # type: ignore[arg-type]
            if hits and hits[0]:
                found.append(f"table {table}")
    import redis

    for url in (stack.local["redis_url"], stack.local["counters_url"]):
        store = redis.Redis.from_url(url)
        for key in store.scan_iter(count=1000):
            if marker in key or marker in (store.dump(key) or b""):
                found.append(f"key {key!r}")
    for url in stack.local["pod_admin_urls"]:
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            if marker in answer.read():
                found.append(f"metrics of {url}")
    return found
