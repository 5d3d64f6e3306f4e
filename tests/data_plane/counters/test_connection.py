"""The one connection: answers find their calls, silence is not waited for, the store is found again."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import hiredis
import pytest
import uvloop
from cryptography import x509

from data_plane.counters.connection import Patience, StoreLink
from data_plane.counters.packing import command
from tests.data_plane.counters.conftest import Store
from tests.data_plane.counters.pods import BRISK, CALM, Noted
from tests.data_plane.usage.builders import until
from tests.promises import within

Answerer = Callable[[list[bytes]], bytes | None]


@asynccontextmanager
async def linked(url: str, patience: Patience = CALM) -> AsyncIterator[StoreLink]:
    link = StoreLink(url, round_trips=Noted(), patience=patience)
    task = asyncio.create_task(link.run())
    try:
        await until(lambda: link.is_up)
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(link: StoreLink, *words: bytes) -> object:
    answer = link.ask(command(*words))
    return None if answer is None else await answer


class FakeStore:
    """A server that says what a test wants; `answer` gives the reply to a command, None: none at all."""

    def __init__(self, answer: Answerer | None = None) -> None:
        self.answer = answer or (lambda words: b"+OK\r\n")
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for writer in self._writers:
            writer.close()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        parser = hiredis.Reader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                parser.feed(data)
                while (words := parser.gets()) is not False:
                    reply = self._greeting(words) or self.answer(words)
                    if reply is not None:
                        writer.write(reply)

    @staticmethod
    def _greeting(words: list[bytes]) -> bytes | None:
        match words[0]:
            case b"ROLE":
                return b"*1\r\n$6\r\nmaster\r\n"
            case b"INFO":
                text = b"maxmemory_policy:noeviction\r\n"
                return b"$%d\r\n%b\r\n" % (len(text), text)
            case b"SCRIPT":
                return b"+OK\r\n"
        return None


async def test_answers_find_their_calls_in_order(store: Store) -> None:
    async with linked(store.url) as link:
        replies = await asyncio.gather(*(ask(link, b"ECHO", b"%d" % number) for number in range(500)))
    assert replies == [b"%d" % number for number in range(500)]


async def test_a_late_answer_is_dropped_and_the_next_ones_still_match() -> None:
    def answer(words: list[bytes]) -> bytes | None:
        return (
            None if words == [b"ECHO", b"late"] else b"+PONG\r\n" if words[0] == b"PING" else b"+" + words[1] + b"\r\n"
        )

    fake = FakeStore(answer)
    async with fake as url, linked(url, Patience(answer_s=0.2, stuck_s=30, connect_s=5)) as link:
        late = asyncio.create_task(ask(link, b"ECHO", b"late"))
        assert await late is None
        fake._writers[-1].write(b"+late\r\n")
        assert await ask(link, b"ECHO", b"next") == b"next"


async def test_silence_opens_the_breaker_and_nobody_waits_any_more() -> None:
    silent = False

    def answer(words: list[bytes]) -> bytes | None:
        return None if silent else b"+OK\r\n"

    async with FakeStore(answer) as url, linked(url, BRISK) as link:
        silent = True
        assert await asyncio.gather(*(ask(link, b"PING") for _ in range(5))) == [None] * 5
        assert not link.is_up
        began_s = time.monotonic()
        assert await ask(link, b"PING") is None
        assert time.monotonic() - began_s < within(0.01)
        silent = False
        began_s = time.monotonic()
        await until(lambda: link.is_up)
        assert time.monotonic() - began_s < within(2)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_busy_process_does_not_take_the_store_for_slow(
    store: Store, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> list[object]:
        async with linked(store.url, Patience(connect_s=5)) as link:
            replies = []
            for _ in range(30):
                call = asyncio.create_task(ask(link, b"ECHO", b"here"))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                time.sleep(0.12)
                replies.append(await call)
            return [*replies, link.is_up]

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(run()) == [b"here"] * 30 + [True]


async def test_a_stuck_connection_is_given_up_and_made_anew() -> None:
    fake = FakeStore(lambda words: None)
    async with fake as url, linked(url, BRISK) as link:
        assert await ask(link, b"PING") is None
        await until(lambda: fake.connections >= 2)
        assert link.reconnects >= 1


async def test_a_lost_connection_fails_all_its_calls_at_once(store: Store) -> None:
    async with linked(store.url) as link:
        calls = [asyncio.create_task(ask(link, b"BLPOP", b"nothing", b"0")) for _ in range(20)]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(store.stop)
        assert await asyncio.gather(*calls) == [None] * 20
        assert not link.is_up


@pytest.mark.parametrize(
    "error", [b"-OOM command not allowed\r\n", b"-BUSY running a script\r\n", b"-ERR whatever\r\n"]
)
async def test_errors_of_the_store_are_no_answers_and_open_the_breaker(error: bytes) -> None:
    async with FakeStore(lambda words: error) as url, linked(url) as link:
        assert [await ask(link, b"PING") for _ in range(3)] == [None] * 3
        assert not link.is_up


async def test_a_store_that_became_a_replica_is_left() -> None:
    fake = FakeStore(lambda words: b"-READONLY You can't write against a read only replica.\r\n")
    async with fake as url, linked(url) as link:
        assert await ask(link, b"PING") is None
        await until(lambda: fake.connections >= 2)


async def test_what_is_no_answer_at_all_ends_the_connection() -> None:
    fake = FakeStore(lambda words: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    async with fake as url, linked(url) as link:
        assert await ask(link, b"PING") is None
        await until(lambda: fake.connections >= 2)


async def test_no_more_calls_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_plane.counters.connection.MOST_CALLS", 10)
    async with FakeStore(lambda words: None) as url, linked(url) as link:
        waiting = [link.ask(command(b"PING")) for _ in range(11)]
        assert [call is None for call in waiting] == [False] * 10 + [True]
        assert not link.tell(command(b"PING"), lambda reply: None)


async def test_a_wrong_password_is_said_and_tried_again(
    store: Store, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    link = StoreLink(store.url.replace("secret", "wrong"), round_trips=Noted(), patience=CALM)
    task = asyncio.create_task(link.run())
    said = ""

    def is_said() -> bool:
        nonlocal said
        # Printed, or handed to the standard library where another test's process set that up.
        said += capsys.readouterr().out + caplog.text
        return "WRONGPASS" in said

    await until(is_said)
    assert not link.is_up
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_url_of_something_else_stops_the_start() -> None:
    with pytest.raises(ValueError, match="scheme"):
        StoreLink("http://127.0.0.1", round_trips=Noted())


async def test_sentinels_name_the_master() -> None:
    async with FakeStore() as master_url:
        host, _, port = master_url.removeprefix("redis://").removesuffix("/0").partition(":")

        def sentinel(words: list[bytes]) -> bytes:
            if words != [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"money"]:
                return b"-ERR unknown\r\n"
            return b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(host), host.encode(), len(port), port.encode())

        async with FakeStore(lambda words: b"*-1\r\n") as ignorant, FakeStore(sentinel) as knowing:
            nodes = ",".join(
                ["127.0.0.1:1", *(url.removeprefix("redis://").removesuffix("/0") for url in (ignorant, knowing))]
            )
            async with linked(f"redis+sentinel://{nodes}/money") as link:
                assert await ask(link, b"PING") in (b"OK", "OK")


async def test_the_store_is_reached_over_tls_and_its_certificate_checked(tmp_path: Path) -> None:
    certificate, key = _self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    fake = FakeStore()
    server = await asyncio.start_server(fake._serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with linked(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}") as link:
        assert await ask(link, b"PING") in (b"OK", "OK")
    async with linked(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none") as link:
        assert link.is_up
    distrusting = StoreLink(f"rediss://127.0.0.1:{port}/0", round_trips=Noted(), patience=CALM)
    task = asyncio.create_task(distrusting.run())
    connections = fake.connections
    await asyncio.sleep(0.3)
    assert not distrusting.is_up
    assert fake.connections == connections
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.close()


def _self_signed(folder: Path) -> tuple[Path, Path]:
    import datetime
    import ipaddress

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "store.pem", folder / "store.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
