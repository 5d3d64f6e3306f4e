"""The provider's own books: what each request would be billed, whatever became of its answer."""

import hashlib
import os
from base64 import b64encode
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from deploy.simulated_provider.ask import Json
from switchyard_contract.usage import KINDS, TokenCounts

KEPT_RECORDS = 500_000
KEPT_REQUESTS = 200
KEPT_HEADERS = (
    "user-agent",
    "content-type",
    "anthropic-version",
    "anthropic-beta",
    "x-sim-marker",
    "x-sim-script",
    "x-sim-behaviour",
    "traceparent",
    "x-claude-code-session-id",
    "session-id",
    "x-session-id",
)


@dataclass(slots=True)
class Record:
    """One request. It changes until the answer is over; `ended_at_ms` is None before."""

    sequence: int
    id: str
    at_ms: int
    method: str
    path: str
    headers: Mapping[str, str]
    credential: Mapping[str, str] | None
    body_sha256: str
    body_bytes: int
    protocol: str | None = None
    kind: str = ""
    model: str = ""
    streamed: bool = False
    status: int = 0
    fault: str = ""
    prompt: TokenCounts = field(default_factory=TokenCounts)
    output: int = 0
    reasoning: int = 0
    output_chunks: int = 0
    output_bytes: int = 0
    completed: bool = False
    hung_up: bool = False
    ended_at_ms: int | None = None

    def as_json(self) -> Json:
        usage = {kind: getattr(self.prompt, kind) for kind in KINDS} | {
            "output": self.output,
            "reasoning": self.reasoning,
        }
        names = [name for name in self.__slots__ if name not in ("prompt", "output", "reasoning")]
        return {name: getattr(self, name) for name in names} | {"usage": usage}


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as it came over the wire, for comparing byte by byte. Held in memory only."""

    id: str
    method: str
    target: str
    raw_headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "method": self.method,
            "target": self.target,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.raw_headers],
            "body_base64": b64encode(self.body).decode(),
        }


def describe_credential(credential: str, header: str) -> Mapping[str, str] | None:
    """Describe a credential without keeping it: the header it came in, its last four characters, its digest.

    Of a short one, no characters are told: they would be most of it.
    """
    if not credential:
        return None
    digest = hashlib.sha256(credential.encode(errors="replace")).hexdigest()
    return {"header": header, "last4": credential[-4:] if len(credential) >= 12 else "", "sha256": digest}


class Ledger:
    """Holds the newest records, and appends each ended one to a file when there is one."""

    def __init__(self, file: Path | None = None) -> None:
        self._records: deque[Record | Json] = deque(maxlen=KEPT_RECORDS)
        self._requests: deque[KeptRequest] = deque(maxlen=KEPT_REQUESTS)
        self._sequence = 0
        self._file: int | None = None
        if file is not None:
            self._records.extend(_read_file(file))
            for record in self._records:
                if isinstance(record, dict):
                    self._sequence = max(self._sequence, int(record["sequence"]))
            self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def begin(self, record: Record, request: KeptRequest) -> None:
        self._records.append(record)
        self._requests.append(request)

    def end(self, record: Record, at_ms: int) -> None:
        """Close a record. One write per record, so that a line is never torn by another."""
        record.ended_at_ms = at_ms
        if self._file is not None:
            os.write(self._file, orjson.dumps(record.as_json()) + b"\n")

    def find(self, filters: Mapping[str, str]) -> Iterator[Json]:
        """Yield the records, oldest first, that match: since (Unix ms), after (sequence), model, marker, credential,
        protocol. Raises ValueError for a number that is none."""
        since, after = int(filters.get("since", 0)), int(filters.get("after", 0))
        for held in tuple(self._records):
            record = held.as_json() if isinstance(held, Record) else held
            if record["at_ms"] < since or record["sequence"] <= after:
                continue
            if any(name in filters and record[name] != filters[name] for name in ("model", "protocol", "id", "kind")):
                continue
            if "marker" in filters and record["headers"].get("x-sim-marker") != filters["marker"]:
                continue
            credential = record["credential"] or {}
            if "credential" in filters and filters["credential"] not in (
                credential.get("last4"),
                credential.get("sha256"),
            ):
                continue
            yield record

    def request(self, request_id: str) -> KeptRequest | None:
        return next((request for request in self._requests if request.id == request_id), None)

    def clear(self) -> int:
        """Forget everything, also in the file; return how many records there were. The numbering goes on."""
        count = len(self._records)
        self._records.clear()
        self._requests.clear()
        if self._file is not None:
            os.ftruncate(self._file, 0)
        return count

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _read_file(file: Path) -> list[Any]:
    if not file.exists():
        return []
    records: list[Any] = []
    for line in file.read_bytes().split(b"\n"):
        try:
            value = orjson.loads(line) if line else None
        except orjson.JSONDecodeError:
            # The last line of a process that was killed while writing.
            continue
        if isinstance(value, dict) and "sequence" in value:
            records.append(value)
    return records
