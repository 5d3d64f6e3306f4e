"""The spool's record on disk: mark, length, crc32, sequence, kind, whose it is, payload.

    0   4  mark           finds the next record after a damaged one
    4   4  length         of everything after the checksum
    8   4  crc32          of everything after it
    12  8  sequence       of a FINAL; of an OPENED the next one to be given; else 0
    20  1  kind
    21  1  length of the exchange id
    22  4  attempt
    26     exchange id, then the payload

A file ends where no valid record follows; zeros after the end are the space that was set aside for it.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MARK = b"\xf5SY\x01"
_LEAD = struct.Struct("<4sII")
_REST = struct.Struct("<QBBI")
OVERHEAD_BYTES = _LEAD.size + _REST.size
MAX_RECORD_BYTES = 1024 * 1024
_BLOCK_BYTES = 4 * 1024 * 1024


class RecordKind(IntEnum):
    OPENED = 1
    """First in a segment; its payload is the id of the spool that numbers the events."""
    ADMITTED = 2
    PROGRESS = 3
    FINAL = 4


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read back; `end` is the offset behind it in its file."""

    kind: int
    """A RecordKind; another number was written by a later version and is stepped over."""
    sequence: int
    exchange_id: str
    attempt: int
    payload: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record. At the tail: a write that was cut short; in the middle: a record is lost."""

    offset: int
    size: int
    is_tail: bool


def encode_record(kind: RecordKind, sequence: int, exchange_id: str, attempt: int, payload: bytes) -> bytes:
    """Raises ValueError for what no reader would take back."""
    check_size(exchange_id, payload)
    return encode_lead(kind, sequence, exchange_id, attempt, payload) + payload


def check_size(exchange_id: str, payload: bytes) -> None:
    """Raises ValueError for a record that no reader would take back."""
    size = _REST.size + len(exchange_id) + len(payload)
    if size > MAX_RECORD_BYTES:
        raise ValueError(f"a record of {size} bytes; the limit is {MAX_RECORD_BYTES}")


def encode_lead(kind: RecordKind, sequence: int, exchange_id: str, attempt: int, payload: bytes) -> bytes:
    """All of a record that stands before its payload."""
    whose = exchange_id.encode("ascii")
    head = _REST.pack(sequence, kind, len(whose), attempt) + whose
    return _LEAD.pack(MARK, len(head) + len(payload), zlib.crc32(payload, zlib.crc32(head))) + head


def read_records(file: int, *, start: int = 0) -> Iterator[Record | Damage]:
    """Read a segment from an offset to its end, stepping over damage to the next valid record.

    file: descriptor, read by position, so that writer and reader may share it. Blocking; raises OSError.
    """
    offset, damaged_from, tail_has_data = start, -1, False
    while True:
        block = os.pread(file, _BLOCK_BYTES, offset)
        if not block:
            break
        is_last = len(block) < _BLOCK_BYTES
        at = 0
        while at < len(block):
            found = _decode(block, at, offset)
            if isinstance(found, Record):
                if damaged_from >= 0:
                    yield Damage(damaged_from, offset + at - damaged_from, is_tail=False)
                    damaged_from, tail_has_data = -1, False
                yield found
                at = found.end - offset
                continue
            if found and at and not is_last:
                break  # It goes on behind this block: read again from its start.
            if damaged_from < 0:
                damaged_from = offset + at
            following = block.find(MARK, at + 1)
            tail_has_data = tail_has_data or bool(block[at : following if following > 0 else None].strip(b"\0"))
            # A mark may lie across two blocks, hence the last three bytes are looked at again.
            at = following if following > 0 else len(block) if is_last else max(at + 1, len(block) - len(MARK) + 1)
            if following < 0:
                break
        offset += at
        if is_last and at >= len(block):
            break
    if damaged_from >= 0 and tail_has_data:
        yield Damage(damaged_from, offset - damaged_from, is_tail=True)


def _decode(block: bytes, at: int, offset: int) -> Record | bool:
    """The record at a place; True: it may go on behind the block; False: there is none."""
    if len(block) - at < OVERHEAD_BYTES:
        return MARK.startswith(block[at : at + len(MARK)])
    mark, size, checksum = _LEAD.unpack_from(block, at)
    if mark != MARK or not _REST.size <= size <= MAX_RECORD_BYTES:
        return False
    body = at + _LEAD.size
    rest = block[body : body + size]
    if len(rest) < size:
        return True
    if zlib.crc32(rest) != checksum:
        return False
    sequence, kind, length, attempt = _REST.unpack_from(rest)
    whose_end = _REST.size + length
    whose = rest[_REST.size : whose_end].decode("ascii", "replace")
    return Record(kind, sequence, whose, attempt, rest[whose_end:], offset + body + size)
