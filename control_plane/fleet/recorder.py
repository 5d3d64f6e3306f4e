"""Collects what pods say and writes it down a few times a second, off the event loop.

Nothing piles up: of each pod and shard only the newest word waits. While the database is away it keeps waiting, and
the delivery of snapshots goes on.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from django.db import Error as DatabaseFailure
from django.utils import timezone

from control_plane.fleet.database import DatabaseThreads
from control_plane.fleet.services import (
    Acknowledgement,
    Departure,
    Greeting,
    News,
    Rejection,
    Report,
    fleet_record,
)
from switchyard_contract.counters import LEARNING_WORD
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import delivery_pb2

log = structlog.get_logger()

WRITE_INTERVAL_S = 0.05
REPORT_INTERVAL_S = 5.0
RETRY_S = 1.0


class FleetRecorder:
    """Satisfies the servicer's `Recorder`."""

    def __init__(self, database: DatabaseThreads, *, lost: Callable[[str], object] = lambda word: None) -> None:
        """lost: told of each word of a pod that has lost counters, at once; must not block."""
        self._database, self._lost = database, lost
        self._news = News()
        self._has_news = asyncio.Event()
        self._reported_at_s: dict[str, float] = {}

    def greeted(self, hello: delivery_pb2.Hello) -> None:
        self._news.greetings[hello.pod_id] = Greeting(
            pod_id=hello.pod_id,
            boot_id=hello.boot_id.hex()[:64],
            software_version=hello.software_version,
            address=hello.address,
            contract_revision=hello.contract_revision,
            at=timezone.now(),
        )
        self._has_news.set()

    def acknowledged(self, pod_id: str, shard: str, at: ShardVersion) -> None:
        self._news.rejections.pop((pod_id, shard), None)
        self._news.acknowledgements[pod_id, shard] = Acknowledgement(
            pod_id, shard, at.epoch, at.version, timezone.now()
        )
        self._has_news.set()

    def refused(self, pod_id: str, nack: delivery_pb2.Nack) -> None:
        code = delivery_pb2.NackCode.Name(nack.code) if nack.code in delivery_pb2.NackCode.values() else str(nack.code)
        self._news.rejections[pod_id, nack.shard] = Rejection(
            pod_id=pod_id,
            shard=nack.shard,
            epoch=nack.epoch,
            version=nack.offered,
            code=code.removeprefix("NACK_CODE_"),
            detail=nack.detail,
            at=timezone.now(),
        )
        self._has_news.set()

    def reported(self, pod_id: str, status: delivery_pb2.Status) -> None:
        """Kept at most every few seconds per pod, however often it speaks; that it leaves is kept at once."""
        for word in status.degraded:
            if word.startswith(LEARNING_WORD):
                self._lost(word)
        now_s = time.monotonic()
        if (
            not status.draining
            and now_s - self._reported_at_s.get(pod_id, -REPORT_INTERVAL_S) < REPORT_INTERVAL_S * 0.9
        ):
            return
        self._reported_at_s[pod_id] = now_s
        self._news.reports[pod_id] = Report(
            pod_id=pod_id,
            in_flight=status.in_flight,
            spool_records=status.spool_records,
            spool_bytes=status.spool_bytes,
            counters_reachable=status.counters_reachable,
            draining=status.draining,
            loop_lag_ms=status.loop_lag_ms,
            degraded=tuple(status.degraded),
            at=timezone.now(),
        )
        self._has_news.set()

    def left(self, pod_id: str, boot_id: bytes) -> None:
        self._reported_at_s.pop(pod_id, None)
        self._news.departures[pod_id] = Departure(pod_id, boot_id.hex()[:64], timezone.now())
        self._has_news.set()

    async def run(self) -> None:
        """Write until cancelled; what is left then is written once more."""
        try:
            while True:
                await self._has_news.wait()
                await asyncio.sleep(WRITE_INTERVAL_S if await self._write() else RETRY_S)
        finally:
            await self._write()

    async def _write(self) -> bool:
        self._has_news.clear()
        news, self._news = self._news, News()
        if not news:
            return True
        try:
            await self._database.run(fleet_record, news=news)
        except DatabaseFailure as failure:
            log.warning("fleet not recorded, trying again", why=type(failure).__name__)
            self._news.update_missing(news)
            self._has_news.set()
            return False
        return True
