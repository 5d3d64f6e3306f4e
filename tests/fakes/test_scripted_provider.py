"""The scripted upstream keeps to its script, and tells on who does not."""

import asyncio

import pytest

from tests.fakes.scripted_provider import ScriptedProvider, ScriptedProviderFactory
from tests.fakes.scripted_provider import scripted_provider as scripted_provider

REQUEST = b"POST /v1/x?a=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nbody"


async def exchange(provider: ScriptedProvider, *requests: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(b"".join(requests))
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_exact_bytes_follow_exact_calls(scripted_provider: ScriptedProviderFactory) -> None:
    provider = await scripted_provider()
    provider.expect("POST", "/v1/x?a=1", body=b"body", headers={"x-a": "1"}).respond(b"one")
    provider.expect("POST", "/v1/x?a=1").begin_stream().chunk(b"a", b"bc").end_stream().then_close()
    answer = await exchange(provider, REQUEST, REQUEST)
    assert answer == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\none"
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
    )
    assert [(call.method, call.target, call.body, call.connection) for call in provider.calls] == [
        ("POST", "/v1/x?a=1", b"body", 0)
    ] * 2
    assert provider.calls[0].header("x-a") == "1"


async def test_a_chunked_request_is_put_together(scripted_provider: ScriptedProviderFactory) -> None:
    provider = await scripted_provider()
    provider.expect("PUT", "/", body=b"hello world").respond().then_close()
    await exchange(
        provider, b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n"
    )


async def test_a_reset_comes_after_everything_sent(scripted_provider: ScriptedProviderFactory) -> None:
    provider = await scripted_provider()
    provider.expect("POST", "/v1/x?a=1").send(b"HTTP/1.1 200 OK\r\n").then_reset()
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(REQUEST)
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_the_test_decides_when_an_answer_goes_on(scripted_provider: ScriptedProviderFactory) -> None:
    provider, go = await scripted_provider(), asyncio.Event()
    step = provider.expect("POST", "/v1/x?a=1").send(b"1").wait_for(go).send(b"2").then_close()
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(REQUEST)
    assert await reader.readexactly(1) == b"1"
    assert not step.answered.is_set()
    go.set()
    assert await reader.read() == b"2"
    assert step.answered.is_set()
    writer.close()


async def test_a_hanging_answer_notes_that_the_client_left(scripted_provider: ScriptedProviderFactory) -> None:
    provider = await scripted_provider()
    step = provider.expect("POST", "/v1/x?a=1").send(b"1").then_hang()
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(REQUEST)
    await reader.readexactly(1)
    writer.close()
    async with asyncio.timeout(5):
        await step.answered.wait()
    assert step.client_left


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (None, "unexpected call: POST /v1/x?a=1"),
        ({"target": "/v1/y"}, "got POST /v1/x?a=1, expected POST /v1/y"),
        ({"target": "/v1/x?a=1", "body": b"bodY"}, "body differs at byte 3"),
        ({"target": "/v1/x?a=1", "headers": {"x-a": "2"}}, "header x-a is '1', expected '2'"),
    ],
)
async def test_a_call_that_is_not_as_expected_fails_the_test(script: dict[str, object] | None, problem: str) -> None:
    provider = ScriptedProvider()
    await provider.start()
    if script is not None:
        provider.expect("POST", **script)  # type: ignore[arg-type]
    assert b" 599 " in await exchange(provider, REQUEST)
    await provider.stop()
    with pytest.raises(AssertionError) as failure:
        provider.verify()
    assert problem in str(failure.value)


async def test_a_call_that_never_comes_fails_the_test() -> None:
    provider = ScriptedProvider()
    await provider.start()
    provider.expect("GET", "/never")
    await provider.stop()
    with pytest.raises(AssertionError, match="GET /never never came"):
        provider.verify()


async def test_a_half_request_is_a_problem() -> None:
    provider = ScriptedProvider()
    await provider.start()
    _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(b"POST / HT")
    writer.close()
    async with asyncio.timeout(5):
        while not provider.problems:
            await asyncio.sleep(0.001)
    await provider.stop()
    assert provider.problems == ["connection 0: the request's head ended after 9 bytes"]
