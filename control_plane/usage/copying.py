"""Rows of the ledger as lines of PostgreSQL's COPY.

Fifteen thousand rows a second of eighty columns: what a general writer spends on asking each value for its type is most
of the work, and the types are known. Texts and numbers are written together, each in one go.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import orjson

from control_plane.usage.entries import COLUMNS, LedgerRow
from control_plane.usage.latencies import Counts, Grain, grain_id
from control_plane.usage.rollups import COUNTS, LATENCY_GRAIN, session_digest

_APART: Final = (
    *("day", "organization_id", "principal_id", "team_id", "provider_id"),
    *("started_at", "counted_at", "decision", "rules_digest", "facts"),
)
_ANNOTATIONS: Final = LedgerRow.__annotations__
_TEXTS: Final = tuple(name for name in COLUMNS if name not in _APART and _ANNOTATIONS[name] is str)
_NUMBERS: Final = tuple(name for name in COLUMNS if name not in (*_APART, *_TEXTS))
LINE_COLUMNS: Final = (*_TEXTS, *_NUMBERS, *_APART, "label_set", "session_row")
"""The columns of a line, in their order."""
_texts: Callable[[LedgerRow], tuple[str, ...]] = attrgetter(*_TEXTS)
_numbers: Callable[[LedgerRow], tuple[Any, ...]] = attrgetter(*_NUMBERS)
_TABS: Final = len(_TEXTS) - 1
_NULL: Final = "\\N"
LATENCY_COLUMNS: Final = ("minute", "grain", *LATENCY_GRAIN, *COUNTS)
LINES_AT_ONCE: Final = 256
_MOST_HEXES: Final = 65_536
_hexes: Final[dict[int, str]] = {}
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def written_lines(rows: Sequence[LedgerRow], label_sets: Iterable[int]) -> Iterator[bytes]:
    """Write rows with the numbers of their sets of labels, many lines at a time."""
    lines = []
    for row, label_set in zip(rows, label_sets, strict=True):
        lines.append(_line(row, label_set))
        if len(lines) == LINES_AT_ONCE:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


def _line(row: LedgerRow, label_set: int) -> str:
    texts = "\t".join(_texts(row))
    if "\\" in texts or "\n" in texts or "\r" in texts or texts.count("\t") != _TABS:
        texts = "\t".join([text.translate(_ESCAPES) for text in _texts(row)])
    # The quickest way there is to write many numbers; of true and false PostgreSQL thinks as JSON does.
    numbers = orjson.dumps(_numbers(row)).decode()[1:-1].replace(",", "\t")
    organization = _hex(row.organization_id)
    started_at = row.started_at.isoformat()
    counted_at = started_at if row.counted_at is row.started_at else row.counted_at.isoformat()
    session = session_digest(organization, row.key_id, row.session_id).hex() if row.session_id and row.key_id else _NULL
    return (
        f"{texts}\t{numbers}\t{_day(row.day)}\t{organization}"
        f"\t{_hex(row.principal_id)}\t{_hex(row.team_id)}\t{_hex(row.provider_id)}\t{started_at}\t{counted_at}"
        f"\t{_bytes(row.decision)}\t{_hex(row.rules_digest)}\t{_bytes(row.facts)}\t{label_set}\t{session}\n"
    )


def latency_lines(folded: Mapping[tuple[datetime, Grain], Counts]) -> bytes:
    """Write what rows add to latencies, by minute and model."""
    lines = []
    for (minute, grain), counts in folded.items():
        organization_id, provider_id, *texts = grain
        names = "\t".join([text.translate(_ESCAPES) for text in texts])
        # A list of numbers looks alike in Python and in PostgreSQL, but for its brackets.
        arrays = "\t".join([f"{{{str(each)[1:-1]}}}" for each in counts])
        lines.append(
            f"{minute.isoformat()}\t{grain_id(grain).hex}\t{organization_id.hex}"
            f"\t{provider_id.hex if provider_id else _NULL}\t{names}\t{arrays}\n"
        )
    return "".join(lines).encode()


@lru_cache(maxsize=1024)
def _day(day: date) -> str:
    return day.isoformat()


def _hex(value: UUID | None) -> str:
    """A UUID as the text that PostgreSQL reads, remembered by its number: claims name few in very many rows."""
    if value is None:
        return _NULL
    found = _hexes.get(value.int)
    if found is None:
        if len(_hexes) >= _MOST_HEXES:
            _hexes.clear()
        found = _hexes[value.int] = value.hex
    return found


def _bytes(value: bytes | None) -> str:
    return _NULL if value is None else f"\\\\x{value.hex()}"
