"""The pool against a scripted provider on real sockets: dialling, reuse, limits, failures, cancellation."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from data_plane.upstream.connections import Origin, Timeouts, UpstreamPool, UpstreamResponse, process_tls_context
from data_plane.upstream.failure import (
    ConnectFailed,
    ConnectionLost,
    ConnectionsExhausted,
    ForbiddenAddress,
    NameNotResolved,
    PoolClosed,
    TlsFailed,
    TruncatedAnswer,
    UpstreamTimeout,
)
from tests.data_plane.upstream.wire import OK, Peer, a_pool, a_request, answering, provider, tls_pair, until


async def read_all(response: UpstreamResponse) -> bytes:
    content = b""
    while (data := await response.chunk()) is not None:
        content += data
    return content


async def test_the_request_on_the_wire() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(OK)

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin, b'{"a":1}'))
        assert await read_all(response) == b"ok"
    port = upstream.origin.port
    assert seen == [
        (
            b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
            b"x-api-key: secret\r\nContent-Length: 7\r\n\r\n" % port,
            b'{"a":1}',
        )
    ]
    assert response.host_address == "127.0.0.1"
    assert response.connect_us > 0
    assert response.first_byte_us > 0


async def test_a_body_in_parts_is_one_body() -> None:
    async def echo(peer: Peer) -> None:
        _, body = await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with provider(echo) as upstream, a_pool() as pool:
        parts = (b"ab", b"", bytearray(b"c"), memoryview(b"de"))
        assert await read_all(await pool.send(a_request(upstream.origin, parts))) == b"abcde"


async def test_connections_are_kept_and_the_newest_is_taken_first() -> None:
    async with provider(answering(OK)) as upstream, a_pool() as pool:
        first, second = await asyncio.gather(*(pool.send(a_request(upstream.origin)) for _ in range(2)))
        assert not first.is_reused
        assert not second.is_reused
        for _ in range(5):
            response = await pool.send(a_request(upstream.origin))
            assert (response.is_reused, response.connect_us) == (True, 0)
        assert sorted(peer.served for peer in upstream.peers) == [1, 6]
        stats = pool.stats()
        assert (stats.open, stats.idle, stats.dialled, stats.reused) == (2, 2, 2, 5)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokSURPLUS",
        OK + OK,
    ],
    ids=["close", "1.0", "surplus", "second answer"],
)
async def test_a_connection_in_doubt_is_not_kept(answer: bytes) -> None:
    async with provider(answering(answer)) as upstream, a_pool() as pool:
        for number in range(3):
            assert await read_all(await pool.send(a_request(upstream.origin))) == b"ok"
            await until(lambda: pool.stats().open == 0)
            assert len(upstream.peers) == number + 1


async def test_bytes_while_idle_end_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await asyncio.sleep(0.02)
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        assert pool.stats().idle == 1
        await until(lambda: pool.stats().open == 0)
        assert (await pool.send(a_request(upstream.origin))).status == 200


async def test_surplus_bytes_the_loop_has_not_read_yet_end_the_connection() -> None:
    async with provider(answering(OK)) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        # In one turn of the loop: the provider writes, and the next request would take the connection.
        upstream.peers[0].writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        response = await pool.send(a_request(upstream.origin))
        assert (await read_all(response), response.is_reused) == (b"ok", False)


async def test_an_end_the_loop_has_not_read_yet_costs_no_retry() -> None:
    async with provider(answering(OK)) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        raw = upstream.peers[0].writer.get_extra_info("socket")
        socket.socket(fileno=os.dup(raw.fileno())).shutdown(socket.SHUT_WR)
        response = await pool.send(a_request(upstream.origin))
        assert (response.is_reused, pool.stats().retried_stale) == (False, 0)


async def test_of_requests_that_leave_together_only_one_whose_provider_spoke_first_goes_elsewhere() -> None:
    together: list[Callable[[], None]] = []
    is_held_back = False

    def let_go(send: Callable[[], None]) -> None:
        if is_held_back:
            together.append(send)
        else:
            send()

    async with provider(answering(OK)) as upstream, a_pool(let_go=let_go) as pool:
        await asyncio.gather(*(pool.send(a_request(upstream.origin)) for _ in range(3)))
        is_held_back = True
        # Not even this one is asked twice: nothing of it was sent.
        asked = [asyncio.ensure_future(pool.send(a_request(upstream.origin, retry_stale=False))) for _ in range(3)]
        await until(lambda: pool.stats().idle == 0)
        assert len(together) == 1
        upstream.peers[1].writer.write(OK)
        is_held_back = False
        together[0]()
        answers = await asyncio.gather(*asked)
        assert sorted(answer.is_reused for answer in answers) == [False, True, True]
        assert [await read_all(answer) for answer in answers] == [b"ok"] * 3
        assert (pool.stats().retried_stale, len(upstream.peers)) == (0, 4)


async def test_idle_connections_are_closed_after_their_time() -> None:
    async with provider(answering(OK)) as upstream, a_pool(idle_s=0.03) as pool:
        await pool.send(a_request(upstream.origin))
        await until(lambda: pool.stats().open == 0)
        assert pool.stats().expired_idle == 1
        await until(lambda: not upstream.tasks)


async def test_a_kept_connection_that_is_stale_is_replaced_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number:
            await peer.send(OK)
        else:
            await peer.send(OK)
            await peer.request()
            peer.reset()

    async with provider(script) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        response = await pool.send(a_request(upstream.origin))
        assert (response.status, response.is_reused) == (200, False)
        assert pool.stats().retried_stale == 1
        assert len(upstream.peers) == 2


async def test_a_stale_connection_is_a_failure_where_asking_twice_must_not_be_risked() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        peer.close()

    async with provider(script) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        with pytest.raises(ConnectionLost) as caught:
            await pool.send(a_request(upstream.origin, retry_stale=False))
        assert caught.value.was_reused
        assert caught.value.bytes_received == 0
        assert len(upstream.peers) == 1


async def test_no_second_try_after_a_byte_of_an_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 20")
        peer.close()

    async with provider(script) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        with pytest.raises(ConnectionLost) as caught:
            await pool.send(a_request(upstream.origin))
        assert caught.value.bytes_received == 11
        assert len(upstream.peers) == 1


async def test_no_second_try_on_a_fresh_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with provider(script) as upstream, a_pool() as pool:
        with pytest.raises(ConnectionLost) as caught:
            await pool.send(a_request(upstream.origin))
        assert not caught.value.was_reused
        assert caught.value.may_have_run
        assert len(upstream.peers) == 1


async def test_a_stale_connection_is_replaced_by_a_fresh_one_though_others_are_idle() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number < 3:
            await peer.request()
            peer.close()

    async with provider(script) as upstream, a_pool() as pool:
        await asyncio.gather(*(pool.send(a_request(upstream.origin)) for _ in range(3)))
        assert (await pool.send(a_request(upstream.origin))).status == 200
        assert len(upstream.peers) == 4


@pytest.mark.parametrize("place", ["before the request is read", "in the head", "in the body", "between chunks"])
async def test_a_reset_at_each_phase(place: str) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    before = {"before the request is read": b"", "in the head": chunked[:20], "in the body": OK[:-1]}.get(
        place, chunked
    )

    async def script(peer: Peer) -> None:
        await peer.head()
        if before:
            await peer.send(before)
            await asyncio.sleep(0.02)
        peer.reset()

    async with provider(script) as upstream, a_pool() as pool:
        with pytest.raises(ConnectionLost) as caught:
            await read_all(await pool.send(a_request(upstream.origin, b"x" * 100_000)))
        assert (caught.value.bytes_received > 0) == (place != "before the request is read")
        assert pool.stats().open == 0


async def test_a_body_cut_short_is_not_a_clean_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        peer.close()

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        assert await response.chunk() == b"abc"
        with pytest.raises(TruncatedAnswer) as caught:
            await response.chunk()
        assert (caught.value.bytes_received, caught.value.bytes_expected) == (3, 10)


async def test_a_silent_provider_times_out_at_each_phase() -> None:
    async def script(peer: Peer) -> None:
        _, body = await peer.request()
        await peer.send(body)
        await peer.closed_by_client()

    limits = Timeouts(first_byte_ms=60, idle_ms=60)
    async with provider(script) as upstream, a_pool() as pool:
        for answer, phase in ((b"", "first_byte"), (b"HTTP/1.1 200", "first_byte"), (OK[:-1], "idle")):
            with pytest.raises(UpstreamTimeout) as caught:
                await read_all(await pool.send(a_request(upstream.origin, answer, timeouts=limits)))
            assert caught.value.phase == phase
            assert pool.stats().open == 0


async def test_a_slow_drip_is_no_silence() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.02)
            await peer.send(b"x")

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin, timeouts=Timeouts(idle_ms=120)))
        assert await read_all(response) == b"x" * 12


async def test_the_number_of_connections_has_a_limit() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool(max_connections=3) as pool:
        asked = [asyncio.create_task(pool.send(a_request(upstream.origin))) for _ in range(3)]
        await until(lambda: pool.stats().open == 3)
        with pytest.raises(ConnectionsExhausted, match="all 3 connections"):
            await pool.send(a_request(upstream.origin))
        asked[0].cancel()
        await until(lambda: pool.stats().open == 2)
        asked.append(asyncio.create_task(pool.send(a_request(upstream.origin))))
        await until(lambda: pool.stats().open == 3)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def test_a_refused_connection_and_an_unknown_name() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with a_pool() as pool:
            with pytest.raises(ConnectFailed) as caught:
                await pool.send(a_request(Origin("http", "127.0.0.1", port)))
            assert (caught.value.addresses, caught.value.may_have_run) == (("127.0.0.1",), False)

    async def nobody(host: str, port: int) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with a_pool(look_up=nobody) as pool:
        with pytest.raises(NameNotResolved, match=r"https://no\.such\.test:443.*not known"):
            await pool.send(a_request(Origin("https", "no.such.test", 443)))


async def test_an_address_that_takes_no_connection_is_passed_over_and_remembered() -> None:
    async def two(host: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.9", "127.0.0.1")

    async with provider(answering(OK)) as upstream, a_pool(look_up=two) as pool:
        origin = Origin("http", "provider.test", upstream.origin.port)
        first = asyncio.create_task(pool.send(a_request(origin)))
        second = asyncio.create_task(pool.send(a_request(origin)))
        for response in await asyncio.gather(first, second):
            assert response.host_address == "127.0.0.1"
        assert await pool._resolver.resolve("provider.test", origin.port) == ("127.0.0.1", "127.0.0.9")


async def test_connecting_times_out() -> None:
    async def slow(host: str, port: int) -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ("127.0.0.1",)

    async with a_pool(look_up=slow) as pool:
        with pytest.raises(UpstreamTimeout) as caught:
            await pool.send(a_request(Origin("http", "provider.test", 80), timeouts=Timeouts(connect_ms=30)))
        assert (caught.value.phase, caught.value.may_have_run) == ("resolve", False)


async def test_a_full_backlog_times_out_as_connect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        request = a_request(Origin("http", "127.0.0.1", full.getsockname()[1]), timeouts=Timeouts(connect_ms=100))
        async with a_pool() as pool:
            with pytest.raises(UpstreamTimeout) as caught:
                await pool.send(request)
            assert caught.value.phase == "connect"
        for one in filling:
            one.close()


async def test_tls_with_a_trusted_authority() -> None:
    server_tls, client_tls = tls_pair()
    async with provider(answering(OK), tls=server_tls) as upstream, a_pool(tls=client_tls) as pool:
        for is_reused in (False, True, True):
            response = await pool.send(a_request(upstream.origin))
            assert (await read_all(response), response.is_reused) == (b"ok", is_reused)


async def test_tls_is_refused_for_a_wrong_authority_a_wrong_name_and_plain_text() -> None:
    server_tls, client_tls = tls_pair()

    async def home(host: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    async with provider(answering(OK), tls=server_tls) as upstream:
        async with a_pool() as pool:
            with pytest.raises(TlsFailed, match="unable to get local issuer certificate"):
                await pool.send(a_request(upstream.origin))
        async with a_pool(tls=client_tls, look_up=home) as pool:
            with pytest.raises(TlsFailed, match="Hostname mismatch"):
                await pool.send(a_request(Origin("https", "other.test", upstream.origin.port)))
        assert sum(peer.served for peer in upstream.peers) == 0

    async def plain_text(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.closed_by_client()

    async with provider(plain_text) as upstream, a_pool(tls=client_tls) as pool:
        with pytest.raises(TlsFailed):
            await pool.send(a_request(Origin("https", "localhost", upstream.origin.port)))


async def test_tls_that_never_answers_times_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        origin = Origin("https", "127.0.0.1", upstream.origin.port)
        with pytest.raises(UpstreamTimeout) as caught:
            await pool.send(a_request(origin, timeouts=Timeouts(connect_ms=50)))
        assert caught.value.phase == "tls"


@pytest.mark.parametrize("says_goodbye", [True, False])
async def test_over_tls_only_a_close_notify_is_an_end(says_goodbye: bool) -> None:
    server_tls, client_tls = tls_pair()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if says_goodbye:
            peer.close()
        else:
            peer.writer.transport.abort()

    async with provider(script, tls=server_tls) as upstream, a_pool(tls=client_tls) as pool:
        response = await pool.send(a_request(upstream.origin))
        # The standard loop reports both alike; pods run on uvloop.
        if says_goodbye or not isinstance(asyncio.get_running_loop(), uvloop.Loop):
            assert await read_all(response) == b"hello"
        else:
            with pytest.raises(ConnectionLost, match="closed without an end"):
                await read_all(response)


async def test_a_forbidden_address_is_never_dialled() -> None:
    dialled: list[Peer] = []

    async def script(peer: Peer) -> None:
        dialled.append(peer)

    async def rebound(host: str, port: int) -> tuple[str, ...]:
        return ("8.8.8.8", "127.0.0.1")

    async with provider(script) as upstream:
        port = upstream.origin.port
        async with a_pool() as pool:
            with pytest.raises(ForbiddenAddress):
                await pool.send(a_request(upstream.origin, allow_private=False))
        async with a_pool(private_networks=()) as pool:
            with pytest.raises(ForbiddenAddress):
                await pool.send(a_request(upstream.origin))
            with pytest.raises(ForbiddenAddress):
                await pool.send(a_request(Origin("https", "localhost", port)))
        async with a_pool(private_networks=(), look_up=rebound) as pool:
            with pytest.raises(ForbiddenAddress, match=r"127\.0\.0\.1"):
                await pool.send(a_request(Origin("https", "rebound.test", port)))
    assert dialled == []


async def test_each_new_connection_is_judged_again() -> None:
    answers = [("127.0.0.1",), ("169.254.169.254",)]

    async def rebinding(host: str, port: int) -> tuple[str, ...]:
        return answers.pop(0)

    async with provider(answering(OK)) as upstream, a_pool(look_up=rebinding) as pool:
        pool._resolver._ttl_s = 0.0
        origin = Origin("http", "rebinding.test", upstream.origin.port)
        pool._resolver._patience_s = 5.0
        assert (await pool.send(a_request(origin))).status == 200
        assert (await pool.send(a_request(origin))).is_reused
        held = [pool._take_idle(lane) for lanes in pool._lanes for lane in lanes.values()]
        assert held
        with pytest.raises(ForbiddenAddress, match=r"169\.254"):
            await pool.send(a_request(origin))


async def test_a_private_connection_serves_no_request_that_must_stay_public() -> None:
    async with provider(answering(OK)) as upstream, a_pool() as pool:
        await pool.send(a_request(upstream.origin))
        assert pool.stats().idle == 1
        with pytest.raises(ForbiddenAddress):
            await pool.send(a_request(upstream.origin, allow_private=False))


async def test_redirects_and_proxy_variables_are_nothing_to_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with provider(answering(moved)) as upstream, a_pool() as pool:
        assert (await pool.send(a_request(upstream.origin))).status == 307


async def test_a_cancelled_request_leaves_no_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        task = asyncio.create_task(pool.send(a_request(upstream.origin)))
        await until(lambda: bool(upstream.peers) and upstream.peers[0].served == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.stats().open == 0
        await until(lambda: not upstream.tasks)


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_cancelling_at_any_moment_leaks_nothing(is_encrypted: bool) -> None:
    server_tls, client_tls = tls_pair()
    async with provider(answering(OK), tls=server_tls if is_encrypted else None) as upstream:
        async with a_pool(tls=client_tls) as pool:
            before = len(os.listdir("/proc/self/fd"))
            for turns in range(60):
                task = asyncio.create_task(pool.send(a_request(upstream.origin)))
                for _ in range(turns % 20):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert pool.stats().dialling == 0
                assert pool.stats().open == pool.stats().idle
        await until(lambda: not upstream.tasks)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_two_hundred_requests_at_once() -> None:
    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            await asyncio.sleep(0.005)
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def ask(pool: UpstreamPool, origin: Origin, number: int) -> None:
        marker = b"marker %d " % number * 50
        assert await read_all(await pool.send(a_request(origin, marker))) == marker

    async with provider(script) as upstream, a_pool() as pool:
        for _ in range(3):
            await asyncio.gather(*(ask(pool, upstream.origin, number) for number in range(200)))
        assert pool.stats().idle == pool.stats().open == len(upstream.peers) <= 200
        assert pool.stats().reused >= 400


async def test_a_closed_pool_ends_what_is_under_way_and_begins_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK[:-1])
        await peer.closed_by_client()

    async with provider(script) as upstream:
        pool = UpstreamPool(private_networks=["127.0.0.0/8"])
        response = await pool.send(a_request(upstream.origin))
        await pool.close()
        assert await response.chunk() == b"o"
        with pytest.raises(ConnectionLost, match="pool is closed"):
            await response.chunk()
        with pytest.raises(PoolClosed):
            await pool.send(a_request(upstream.origin))
        await until(lambda: not upstream.tasks)


async def test_closing_the_pool_ends_dialling_with_a_failure_and_no_cancellation() -> None:
    async def slow(host: str, port: int) -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ("127.0.0.1",)

    async with a_pool(look_up=slow) as pool:
        asking = asyncio.create_task(pool.send(a_request(Origin("http", "provider.test", 80))))
        await until(lambda: pool.stats().dialling == 1)
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(PoolClosed):
            await asking


async def test_lanes_to_places_nobody_asks_any_more_are_forgotten() -> None:
    async with provider(answering(OK)) as upstream, a_pool(idle_s=0.02) as pool:
        await pool.send(a_request(upstream.origin))
        await until(lambda: pool._lanes == ({}, {}))
        assert (await pool.send(a_request(upstream.origin))).status == 200


def test_the_process_has_one_tls_context_that_verifies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    process_tls_context.cache_clear()
    context = process_tls_context()
    assert context.keylog_filename is None
    assert process_tls_context() is context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
