"""What a spool finds on its disk when it is opened: the same for a first start, a clean stop and a kill -9."""

import fcntl
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from data_plane.usage.former_runs import FormerRuns, judge_former_runs
from data_plane.usage.record import Damage, Record, RecordKind, read_records
from data_plane.usage.segment import SUFFIX, ExchangeKey, Segment, segment_number, sync_directory
from switchyard_contract.v1 import usage_pb2

RESTARTED = "pod_restarted"


class SpoolInUse(Exception):
    """Another process writes this spool; two would number different events alike."""


@dataclass(slots=True)
class Recovered:
    """The spool as the last process left it."""

    lock: int
    boot_id: bytes
    next_sequence: int
    acked: int
    segments: list[Segment]
    next_number: int
    former: FormerRuns
    unfinished: dict[ExchangeKey, bytes]
    """Admitted and never final: the last that was known of each."""
    running: set[ExchangeKey]
    """Of these, whose answers had begun: what had come of them is counted."""
    adopted: list[tuple[ExchangeKey, bytes]]
    """Final, but numbered by a spool we cannot name: they are numbered anew (the ledger knows them by their ids)."""
    damaged_records: int = 0
    torn_tails: int = 0
    has_torn_end: bool = False
    """The last record was no whole one. It may have been an event, and one that others have heard of."""


@dataclass(slots=True)
class _Scanned:
    segment: Segment
    boot_id: bytes | None = None
    next_sequence: int = 1
    is_torn: bool = False
    """Its end was no whole record."""


def recover(directory: Path) -> Recovered:
    """Lock the spool's folder and read all of it. Blocking. Raises SpoolInUse or OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(directory)
    found = Recovered(lock, b"", 1, 0, [], 1, FormerRuns(1, 1), {}, set(), [])
    scanned = [_scan(path, found) for path in sorted(directory.glob(f"*{SUFFIX}"))]
    named = [each.boot_id for each in scanned if each.boot_id is not None]
    found.boot_id = named[-1] if named else os.urandom(16)
    found.acked = _read_acked(directory, found.boot_id)
    found.next_sequence = found.acked + 1
    for each in scanned:
        segment = each.segment
        found.next_number = max(found.next_number, segment.number + 1)
        if not segment.used_bytes:
            os.close(segment.file)
            segment.path.unlink()
            continue
        if each.boot_id == found.boot_id:
            found.next_sequence = max(found.next_sequence, each.next_sequence, segment.last_sequence + 1)
        else:
            found.adopted += _finals_of(segment)
            segment.last_sequence = 0
        found.segments.append(segment)
    found.has_torn_end = any(each.is_torn for each in scanned)
    is_damaged = found.has_torn_end or bool(found.damaged_records or found.adopted)
    found.former = judge_former_runs(directory, run=found.next_number, is_damaged=is_damaged)
    return found


def closed_by_end(payload: bytes, key: ExchangeKey, *, was_running: bool) -> bytes:
    """The one row of an exchange that the end of its process cut.

    was_running: its answer had begun, so what is known of it was counted a moment before.
    """
    event = usage_pb2.UsageEvent()
    try:
        event.ParseFromString(payload)
    except DecodeError:
        # Its record was whole, so this is a writer of another age; the ids alone still close the books.
        event.Clear()
    event.exchange_id, event.attempt = key
    event.kind = usage_pb2.USAGE_KIND_COUNTED if was_running else usage_pb2.USAGE_KIND_ESTIMATED
    event.outcome = usage_pb2.OUTCOME_FAILED
    event.error_type = RESTARTED
    return event.SerializeToString()


def write_acked(directory: Path, boot_id: bytes, sequence: int) -> None:
    """Replace the file that says what the control plane has stored. Blocking; raises OSError."""
    text = f"{boot_id.hex()} {sequence}"
    fresh = directory / "acked.new"
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, f"{text} {zlib.crc32(text.encode()):08x}\n".encode())
        os.fdatasync(file)
    finally:
        os.close(file)
    fresh.replace(directory / "acked")
    sync_directory(directory)


def _read_acked(directory: Path, boot_id: bytes) -> int:
    """0 when the file is absent or damaged: what was stored is then sent again, which does no harm."""
    try:
        text, _, checksum = (directory / "acked").read_text(encoding="ascii").strip().rpartition(" ")
    except (FileNotFoundError, UnicodeDecodeError):
        return 0
    if checksum != f"{zlib.crc32(text.encode()):08x}":
        return 0
    owner, _, sequence = text.partition(" ")
    return int(sequence) if owner == boot_id.hex() else 0


def _finals_of(segment: Segment) -> list[tuple[ExchangeKey, bytes]]:
    return [
        ((each.exchange_id, each.attempt), each.payload)
        for each in read_records(segment.file)
        if isinstance(each, Record) and each.kind == RecordKind.FINAL
    ]


def _lock(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as failure:
        os.close(lock)
        raise SpoolInUse(f"another process writes the spool in {directory}") from failure
    return lock


def _scan(path: Path, found: Recovered) -> _Scanned:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    segment = Segment(segment_number(path), path, file, 0)
    scanned = _Scanned(segment)
    for each in read_records(file):
        if isinstance(each, Damage):
            if each.is_tail:
                found.torn_tails += 1
                scanned.is_torn = True
            else:
                found.damaged_records += 1
            continue
        segment.used_bytes = each.end
        key = (each.exchange_id, each.attempt)
        match each.kind:
            case RecordKind.OPENED:
                scanned.boot_id, scanned.next_sequence = each.payload, each.sequence
            case RecordKind.ADMITTED | RecordKind.PROGRESS:
                found.unfinished[key] = each.payload
                if each.kind == RecordKind.PROGRESS:
                    found.running.add(key)
            case RecordKind.FINAL:
                found.unfinished.pop(key, None)
                found.running.discard(key)
                segment.last_sequence = max(segment.last_sequence, each.sequence)
    # Gives back the space that was set aside; also cuts off a torn tail.
    os.ftruncate(file, segment.used_bytes)
    segment.capacity_bytes = segment.used_bytes
    return scanned
