"""A control plane without PostgreSQL and Celery: delivers an installation's shards and takes usage, over real gRPC.

It runs in threads of the test's process, so that a test may look at what was received and push what it likes:

    control.publish("keys/0")            # seals the present books as the next version; returns when all pods hold it
    control.offer(sealed)                # pushes any shard as it is; returns what each pod answered
    control.rows_of(key)                 # usage events by key, as a ledger would hold them
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from switchyard_contract.envelope import seal_key_material
from switchyard_contract.seal import ShardVersion, seal_beacon
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc, snapshot_pb2, usage_pb2, usage_pb2_grpc
from switchyard_contract.virtual_key import KeyToken
from tests.fakes.installation import DEPLOYMENT, Installation

PARTS = ("global", "policy", "keys/0", "deny")
BEACON_INTERVAL_S = 2.0
ANSWER_LIMIT_S = 10.0
_T = TypeVar("_T")

Answer = delivery_pb2.Ack | delivery_pb2.Nack


class _Link:
    """One subscribed pod: what waits to be sent to it, and what it holds."""

    def __init__(self, hello: delivery_pb2.Hello) -> None:
        self.hello = hello
        self.outbox: queue.SimpleQueue[delivery_pb2.ControlMessage | None] = queue.SimpleQueue()
        self.held = {have.shard: (have.epoch, have.version) for have in hello.have}
        self.answers: dict[bytes, Answer] = {}


class ControlPlane(delivery_pb2_grpc.SnapshotDeliveryServicer, usage_pb2_grpc.UsageIntakeServicer):
    """Both services of one installation. Use as a context manager, or `start` and `stop` it, also repeatedly."""

    def __init__(self, installation: Installation, *, keeps_rows: bool = True) -> None:
        self.installation = installation
        self.port = 0
        self.received = 0
        """Usage events that came, repeated ones counted again."""
        self.failed_authentications: Counter[tuple[str, str]] = Counter()
        """(reason, source)"""
        self.statuses: list[delivery_pb2.Status] = []
        self.nacks: list[delivery_pb2.Nack] = []
        self.takes_usage = threading.Event()
        """Cleared: batches wait, unread."""
        self.takes_usage.set()
        self.floors: list[usage_pb2.Floor] = []
        self.book: usage_pb2.FloorBook | None = None
        """The floors are the one page of it."""
        """Sent with every receipt."""
        self._keeps_rows = keeps_rows
        self._rows: dict[tuple[str, int, int, int], usage_pb2.UsageEvent] = {}
        self._versions: dict[str, int] = {}
        self._heads: dict[str, snapshot_pb2.SealedShard] = {}
        self._links: list[_Link] = []
        self._news = threading.Condition()
        self._beacons = 0
        self._offers = 0
        self._server: grpc.Server | None = None
        for part in PARTS:
            self._advance(part)

    # Life.

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(32), options=(("grpc.so_reuseport", 0),))
        delivery_pb2_grpc.add_SnapshotDeliveryServicer_to_server(self, self._server)
        usage_pb2_grpc.add_UsageIntakeServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        """End every stream at once and close the port."""
        if self._server is not None:
            with self._news:
                for link in self._links:
                    link.outbox.put(None)
            self._server.stop(None).wait(5)
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    # Snapshots.

    def version_of(self, part: str) -> ShardVersion:
        return ShardVersion(1, self._versions[self.installation.shard(part)])

    def publish(self, *parts: str) -> None:
        """Seal the present content of shards as their next versions; return when every subscribed pod holds them."""
        with self._news:
            sealed = [self._advance(part) for part in parts]
            for link in self._links:
                for each in sealed:
                    link.outbox.put(_update(each))
        wanted = {self.installation.shard(part): (1, self._versions[self.installation.shard(part)]) for part in parts}
        self.wait(
            lambda: all(link.held.get(shard) == at for link in self._links for shard, at in wanted.items()),
            f"not every pod took {', '.join(parts)} over: {[nack.detail for nack in self.nacks]}",
        )

    def mint(self, **wishes: Any) -> KeyToken:
        """Make a key that every subscribed pod knows (Installation.mint)."""
        key = self.installation.mint(**wishes)
        self.publish("keys/0")
        return key

    def offer(self, sealed: snapshot_pb2.SealedShard) -> list[Answer]:
        """Push a shard as it is to every pod and give back what each answered."""
        with self._news:
            self._offers += 1
            nonce = b"offer-%d" % self._offers
            links = list(self._links)
            for link in links:
                link.outbox.put(_update(sealed, nonce))
        self.wait(lambda: all(nonce in link.answers for link in links), "a pod did not answer an offer")
        return [link.answers[nonce] for link in links]

    @property
    def subscribed(self) -> int:
        return len(self._links)

    def wait(self, holds: Callable[[], _T | None], failure: str, limit_s: float = ANSWER_LIMIT_S) -> _T:
        """Wait until something about this control plane holds; its state does not change while it is looked at."""
        deadline = time.monotonic() + limit_s
        with self._news:
            while not (found := holds()):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise AssertionError(f"{failure} (within {limit_s} s)")
                self._news.wait(left_s)
            return found

    # Usage.

    @property
    def rows(self) -> list[usage_pb2.UsageEvent]:
        """What a ledger would hold: one row per exchange, attempt, kind and revision."""
        return list(self._rows.values())

    def rows_of(self, key: KeyToken, count: int = 1, limit_s: float = ANSWER_LIMIT_S) -> list[usage_pb2.UsageEvent]:
        """A key's rows, once there are so many of them at least."""

        def found() -> list[usage_pb2.UsageEvent] | None:
            rows = [row for row in self._rows.values() if row.key_id == key.id]
            return rows if len(rows) >= count else None

        return self.wait(found, f"{count} usage events of key {key.id} did not come", limit_s)

    # The services.

    def Subscribe(
        self, messages: Iterator[delivery_pb2.PodMessage], context: grpc.ServicerContext
    ) -> Iterator[delivery_pb2.ControlMessage]:
        self._check(context)
        link = _Link(next(messages).hello)
        context.add_callback(lambda: self._leave(link))
        sealed_to_pod = seal_key_material(self.installation.key_material(), link.hello.x25519_public_key)
        with self._news:
            link.outbox.put(delivery_pb2.ControlMessage(keys=sealed_to_pod))
            for shard, sealed in self._heads.items():
                if link.held.get(shard) != (1, self._versions[shard]):
                    link.outbox.put(_update(sealed))
            self._links.append(link)
            self._news.notify_all()
        threading.Thread(target=self._listen, args=(messages, link), daemon=True).start()
        yield self._beacon()
        while context.is_active():
            try:
                message = link.outbox.get(timeout=BEACON_INTERVAL_S)
            except queue.Empty:
                message = self._beacon()
            if message is None:
                return
            yield message

    def Report(
        self, batches: Iterator[usage_pb2.UsageBatch], context: grpc.ServicerContext
    ) -> Iterator[usage_pb2.UsageReceipt]:
        self._check(context)
        for batch in batches:
            self.takes_usage.wait(60)
            with self._news:
                self._store(batch)
                self._news.notify_all()
            if batch.events:
                yield usage_pb2.UsageReceipt(
                    boot_id=batch.boot_id,
                    stored_through=batch.events[-1].sequence,
                    floors=self.floors,
                    book=self.book,
                )

    def _store(self, batch: usage_pb2.UsageBatch) -> None:
        self.received += len(batch.events)
        for counted in batch.failed_authentications:
            self.failed_authentications[counted.reason, counted.source] += counted.count
        if self._keeps_rows:
            for each in batch.events:
                event = each.event
                self._rows.setdefault((event.exchange_id, event.attempt, event.kind, event.revision), event)

    def _check(self, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata() or ())
        if metadata.get("authorization") != f"Bearer {self.installation.pod_token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such pod token")

    def _listen(self, messages: Iterator[delivery_pb2.PodMessage], link: _Link) -> None:
        try:
            for message in messages:
                with self._news:
                    self._note(message, link)
                    self._news.notify_all()
        except grpc.RpcError:
            # The pod went without a word, as killed ones do.
            return
        finally:
            self._leave(link)

    def _note(self, message: delivery_pb2.PodMessage, link: _Link) -> None:
        match message.WhichOneof("message"):
            case "ack":
                ack = message.ack
                link.held[ack.shard] = (ack.epoch, ack.version)
                link.answers[ack.nonce] = ack
            case "nack":
                self.nacks.append(message.nack)
                link.answers[message.nack.nonce] = message.nack
            case "status":
                self.statuses.append(message.status)

    def _leave(self, link: _Link) -> None:
        with self._news:
            if link in self._links:
                self._links.remove(link)
            link.outbox.put(None)
            self._news.notify_all()

    def _advance(self, part: str) -> snapshot_pb2.SealedShard:
        shard = self.installation.shard(part)
        self._versions[shard] = self._versions.get(shard, 0) + 1
        at = ShardVersion(1, self._versions[shard])
        self._heads[shard] = self.installation.seal(shard, self.installation.payload(part), at)
        return self._heads[shard]

    def _beacon(self) -> delivery_pb2.ControlMessage:
        self._beacons += 1
        body = delivery_pb2.BeaconBody(
            deployment=DEPLOYMENT,
            sequence=self._beacons,
            issued_at_ms=time.time_ns() // 1_000_000,
            live_pods=len(self._links),
        )
        return delivery_pb2.ControlMessage(beacon=seal_beacon(body, self.installation.signing_key))


def _update(sealed: snapshot_pb2.SealedShard, nonce: bytes = b"head") -> delivery_pb2.ControlMessage:
    return delivery_pb2.ControlMessage(nonce=nonce, update=delivery_pb2.Update(shard=sealed))
