"""What is said to a store before anything is asked of it, and what is looked for in its answers."""

import asyncio
import ssl
import time
from collections.abc import Sequence

import hiredis

from data_plane.counters.line import Call, Line
from data_plane.counters.packing import command
from data_plane.counters.scripts import SCRIPTS
from switchyard_contract.store_address import StoreAddress

LOOK = (command(b"ROLE"), command(b"INFO", b"memory"))
LOAD = tuple(command(b"SCRIPT", b"LOAD", script.text) for script in SCRIPTS)


class StoreUnusable(Exception):
    """The store answers, but not as one that could be used; the text says what it said, without what we sent."""


async def exchange(line: Line, commands: Sequence[bytes]) -> list[object]:
    """Send commands on a line of one's own and wait for all replies; errors among them are values."""
    loop = asyncio.get_running_loop()
    replies: list[object] = []
    whole: asyncio.Future[None] = loop.create_future()

    def take(reply: object) -> None:
        replies.append(reply)
        if not whole.done() and (reply is None or len(replies) == len(commands)):
            whole.set_result(None)

    now_s = time.perf_counter()
    for each in commands:
        line.put_by(Call(each, now_s, take, wants_errors=True))
    line.flush()
    await whole
    if len(replies) != len(commands) or line.transport is None:
        raise ConnectionResetError
    return replies


def greeting(address: StoreAddress) -> list[bytes]:
    words = []
    if address.password:
        names = (address.username.encode(),) if address.username else ()
        words.append(command(b"AUTH", *names, address.password.encode()))
    if address.database:
        words.append(command(b"SELECT", b"%d" % address.database))
    return words


def sentinel_greeting(address: StoreAddress) -> list[bytes]:
    return [command(b"AUTH", address.sentinel_password.encode())] if address.sentinel_password else []


def check_usable(replies: Sequence[object], role: object) -> None:
    """Raise StoreUnusable for a store that cannot count."""
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith("NOPERM"):
            raise StoreUnusable(str(reply)[:200])
    if isinstance(role, list) and role and role[0] not in (b"master", b"primary"):
        raise StoreUnusable("it is a replica")


def policy_in(memory: object) -> str:
    """Read the eviction policy out of INFO; managed stores refuse CONFIG."""
    text = memory.decode(errors="replace") if isinstance(memory, bytes) else ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "maxmemory_policy":
            return value.strip()
    return ""


def tls_of(address: StoreAddress) -> ssl.SSLContext | None:
    if not address.is_tls:
        return None
    context = ssl.create_default_context(cafile=address.ca_file or None)
    if not address.checks_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
