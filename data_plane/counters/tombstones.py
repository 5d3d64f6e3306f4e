"""Revocations by a second way: a pod that lost the control plane still learns of them from the counter store.

The control plane adds a revoked key's id to the set `rev:{<organization id>}`, raises `rev:version` and publishes
`<organization id> <key id> <0|1>` on `switchyard:revoked` (1: end its running streams). Messages may be lost, so the
version is looked at every 250 ms and the sets are read when it moved.

An id that left its set is no longer revoked here (a person came back), but only while the store is trusted: one that
was flushed, restarted or out of reach may have forgotten, and has to be repaired by the control plane first. Never on
the path of a request: `is_revoked` is a look-up in memory.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from switchyard_contract.store_address import read_store_address

log = structlog.get_logger()

CHANNEL = "switchyard:revoked"
VERSION_KEY = "rev:version"
POLL_INTERVAL_S = 0.25
UNREACHABLE_AFTER_S = 2.0
_ANSWER_TIMEOUT_S = 1.0
_READ_ANYWAY_S = 5.0
"""All sets are read at least so often: a version raised before its set had the key, or one that a flush set back and
the next revocation raised to the same number, would hide it."""
_DISTRUST_S = 60.0
"""How long a store that may have forgotten takes nothing back; the control plane repairs it every 10 s."""
_SETS_PER_ROUND_TRIP = 500


def set_key(organization_id: str) -> str:
    """The braces make all keys of an organization live on one node of a cluster."""
    return f"rev:{{{organization_id}}}"


class TombstoneWatch:
    """organizations: ids of those this pod serves, asked again at each poll."""

    def __init__(
        self, url: str, organizations: Callable[[], Iterable[str]], *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = _open(url)
        self._organizations, self._clock_s = organizations, clock_s
        self._revoked: set[str] = set()
        self._cut: set[str] = set()
        self._unannounced: dict[str, int] = {}
        """Found in a set, no message yet; the value counts polls since."""
        self._listeners: list[Callable[[frozenset[str], frozenset[str]], object]] = []
        self._version: int | None = None
        self._trusted_from_s = float("-inf")
        self._owes_a_look = False
        """The version moved; what the sets no longer have is taken back as soon as the store is trusted."""
        self._known_organizations: frozenset[str] = frozenset()
        self._read_at_s = float("-inf")
        self._answered_at_s = float("-inf")

    def is_revoked(self, key_id: str) -> bool:
        return key_id in self._revoked

    @property
    def reachable(self) -> bool:
        """Whether the store answered within the last two seconds."""
        return self._clock_s() - self._answered_at_s <= UNREACHABLE_AFTER_S

    def on_revoked(self, listener: Callable[[frozenset[str], frozenset[str]], object]) -> None:
        """Tell a listener (key ids that became revoked, those of them whose running streams are to be ended).

        An id may come a second time, when it becomes known only later that its streams are to be ended.
        """
        self._listeners.append(listener)

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poll_on())
                tasks.create_task(self._subscribe_on())
        finally:
            await self._redis.aclose()

    async def _poll_on(self) -> None:
        was_reachable = True
        while True:
            began_s = self._clock_s()
            try:
                await self._poll()
            except (RedisError, OSError) as failure:
                self._distrust()
                if was_reachable and not self.reachable:
                    was_reachable = False
                    log.warning("counter store out of reach", why=type(failure).__name__)
            else:
                if not was_reachable:
                    was_reachable = True
                    log.info("counter store reached again")
            _stop_if_cancelled()
            await asyncio.sleep(max(0.0, POLL_INTERVAL_S - (self._clock_s() - began_s)))

    async def _poll(self) -> None:
        self._announce_overdue()
        # Read before the sets: what is added in between is then read once more, not missed.
        version = _number(await self._redis.get(VERSION_KEY))
        now_s = self._clock_s()
        self._answered_at_s = now_s
        organizations = frozenset(self._organizations())
        if version == self._version and organizations == self._known_organizations:
            if now_s - self._read_at_s < _READ_ANYWAY_S:
                return
        elif self._version is not None and (version is None or version < self._version):
            log.warning("the counter store has forgotten revocations; what is known here stays")
            self._distrust()
        # What a message adds from here on may be missing in the sets as they are read.
        before = frozenset(self._revoked)
        found = await self._read_sets(sorted(organizations))
        has_moved = version is not None and version != self._version
        self._owes_a_look = self._owes_a_look or has_moved
        if self._version is None and before - found:
            self._distrust()
        if self._owes_a_look and version is not None and now_s >= self._trusted_from_s:
            self._take_back(before - found)
            self._owes_a_look = False
        self._version, self._known_organizations, self._read_at_s = version, organizations, now_s
        fresh = found - self._revoked
        if fresh:
            self._revoked |= fresh
            self._unannounced.update(dict.fromkeys(fresh, 0))
            self._tell(fresh, frozenset())
        if version is None:
            self._distrust()

    def _take_back(self, raised: frozenset[str]) -> None:
        self._revoked -= raised
        self._cut -= raised
        for key_id in raised:
            self._unannounced.pop(key_id, None)

    def _distrust(self) -> None:
        # Where nothing is known, nothing can have been forgotten: a new store is no suspect.
        if self._revoked:
            self._trusted_from_s = self._clock_s() + _DISTRUST_S

    async def _read_sets(self, organizations: list[str]) -> frozenset[str]:
        found: set[str] = set()
        for start in range(0, len(organizations), _SETS_PER_ROUND_TRIP):
            pipeline = self._redis.pipeline(transaction=False)
            for organization_id in organizations[start : start + _SETS_PER_ROUND_TRIP]:
                pipeline.smembers(set_key(organization_id))
            for members in await pipeline.execute():
                found |= members
        return frozenset(found)

    def _announce_overdue(self) -> None:
        """A tombstone whose message did not come within a poll: whether to cut is not known, so cut."""
        overdue = frozenset(key_id for key_id, polls in self._unannounced.items() if polls >= 1)
        self._unannounced = {key_id: 1 for key_id in self._unannounced if key_id not in overdue}
        if overdue:
            self._cut |= overdue
            self._tell(overdue, overdue)

    async def _subscribe_on(self) -> None:
        while True:
            _stop_if_cancelled()
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                await pubsub.subscribe(CHANNEL)
                await self._listen(pubsub)
            except (RedisError, OSError):
                # The poll says that the store is away; here it is enough to try again.
                await asyncio.sleep(POLL_INTERVAL_S)
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py has not annotated it

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            _stop_if_cancelled()
            message = await pubsub.get_message(timeout=_ANSWER_TIMEOUT_S)
            if message is not None and message["type"] == "message":
                self._take_message(str(message["data"]))
            elif not self.reachable:
                # A frozen server sends nothing at all: begin anew, so that its return is not missed.
                return

    def _take_message(self, text: str) -> None:
        parts = text.split(" ")
        if len(parts) != 3 or parts[2] not in ("0", "1"):
            log.warning("message of another kind on the revocation channel")
            return
        organization_id, key_id, cut = parts
        if organization_id not in frozenset(self._organizations()):
            return
        is_fresh, is_cut = key_id not in self._revoked, cut == "1"
        self._unannounced.pop(key_id, None)
        self._revoked.add(key_id)
        if is_fresh or (is_cut and key_id not in self._cut):
            if is_cut:
                self._cut.add(key_id)
            only = frozenset({key_id})
            self._tell(only, only if is_cut else frozenset())

    def _tell(self, revoked: frozenset[str], cut: frozenset[str]) -> None:
        for listener in self._listeners:
            listener(revoked, cut)


def _open(url: str) -> Redis:
    """Make a client for any form that COUNTERS_URL may have."""
    options: dict[str, Any] = {
        "socket_timeout": _ANSWER_TIMEOUT_S,
        "socket_connect_timeout": _ANSWER_TIMEOUT_S,
        "decode_responses": True,
        # Whatever is published, a listener must not break over it.
        "encoding_errors": "replace",
        "max_connections": 4,
    }
    address = read_store_address(url)
    if not address.service:
        client: Redis = Redis.from_url(url, **options)
        return client
    tls: dict[str, Any] = {}
    if address.is_tls:
        checks = "required" if address.checks_certificate else "none"
        tls = {"ssl": True, "ssl_ca_certs": address.ca_file or None, "ssl_cert_reqs": checks}
    sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has not annotated it
        list(address.nodes),
        sentinel_kwargs={
            "password": address.sentinel_password or None,
            "socket_timeout": _ANSWER_TIMEOUT_S,
            "socket_connect_timeout": _ANSWER_TIMEOUT_S,
            **tls,
        },
        username=address.username or None,
        password=address.password or None,
        db=address.database,
        **tls,
        **options,
    )
    master: Redis = sentinels.master_for(address.service)
    return master


def _number(text: object) -> int | None:
    """The version; None: there is none, or somebody put something else there."""
    return int(text) if isinstance(text, str) and text.isdecimal() else None


def _stop_if_cancelled() -> None:
    """A cancellation may come out of the client as a failure to dial, or not at all; here it is taken up."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
