"""The form of an exported audit: JSON lines that begin with a line about the export, or CSV. Reading gives back links.

A row holds every field that its hash covers, so an export can be checked with nothing else.
Source: docs/operations/audit.md
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from switchyard_contract.audit_chain import Link, plain_text
from switchyard_contract.audit_head import SignedHead, read_head, write_head

FORMAT = "switchyard/audit-export/v1"
FIELDS = (
    "scope",
    "organization_id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "source_address",
    "action",
    "subject_kind",
    "subject_id",
    "subject_name",
    "before",
    "after",
    "reason",
)
"""What the hash covers, besides the sequence."""
COLUMNS = ("sequence", *FIELDS, "previous_hash", "hash")
_JSON_COLUMNS = frozenset({"before", "after"})
_RUN_AS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
LONGEST_CELL = 16 * 1024 * 1024


class UnreadableExport(ValueError):
    """A line that no export of ours has; says which."""


@dataclass(frozen=True, slots=True)
class ExportHead:
    """The first line of a JSONL export.

    is_complete: holds every entry of the chain up to the head; False: what a search found, or a stretch of time.
    """

    deployment: str
    organization: str
    is_complete: bool
    exported_at: str
    filters: Mapping[str, str]
    head: SignedHead | None


def write_export_head(head: ExportHead) -> str:
    return _json(
        {
            "format": FORMAT,
            "deployment": head.deployment,
            "organization": head.organization,
            "is_complete": head.is_complete,
            "exported_at": head.exported_at,
            "filters": dict(head.filters),
            "head": None if head.head is None else write_head(head.head),
        }
    )


def write_row(link: Link) -> str:
    """An entry as one line of JSON."""
    return _json(
        {
            "sequence": link.sequence,
            **{name: link.fields[name] for name in FIELDS},
            "previous_hash": bytes(link.previous_hash).hex(),
            "hash": bytes(link.hash).hex(),
        }
    )


def write_cells(link: Link) -> list[str]:
    """An entry as the cells of a CSV row."""
    cells = [str(link.sequence)]
    for name in FIELDS:
        value = link.fields[name]
        if value is None:
            cells.append("")
        else:
            cells.append(_json(value) if name in _JSON_COLUMNS else safe_cell(plain_text(value)))
    return [*cells, bytes(link.previous_hash).hex(), bytes(link.hash).hex()]


def safe_cell(text: str) -> str:
    """Text that no spreadsheet runs as a formula. A leading apostrophe is added, also to one: so it can be undone."""
    return f"'{text}" if text.startswith(_RUN_AS_FORMULA) else text


def read_export(lines: Iterable[str]) -> tuple[ExportHead | None, Iterator[Link]]:
    """Read either form; None: CSV, which says nothing of itself. Raises UnreadableExport, also while iterating."""
    all_lines = iter(lines)
    first = next(all_lines, "")
    if first.lstrip("\ufeff").startswith("sequence,"):
        return None, _read_csv(all_lines)
    try:
        facts = json.loads(first)
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise UnreadableExport(f"line 1: neither the head of a {FORMAT} nor the columns of our CSV")
        head = ExportHead(
            deployment=str(facts["deployment"]),
            organization=str(facts["organization"]),
            is_complete=facts["is_complete"] is True,
            exported_at=str(facts["exported_at"]),
            filters=dict(facts["filters"]),
            head=None if facts["head"] is None else read_head(facts["head"]),
        )
    except UnreadableExport:
        raise
    except (ValueError, KeyError, TypeError) as failure:
        raise UnreadableExport(f"line 1: {failure}") from failure
    return head, _read_jsonl(all_lines)


def _read_jsonl(lines: Iterable[str]) -> Iterator[Link]:
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        try:
            yield _link(json.loads(line))
        except (ValueError, KeyError, TypeError) as failure:
            raise UnreadableExport(f"line {number}: {_what(failure)}") from failure


def _read_csv(lines: Iterable[str]) -> Iterator[Link]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, strict=True)
    for number, cells in enumerate(_rows(reader), start=1):
        try:
            if len(cells) != len(COLUMNS):
                raise ValueError(f"{len(cells)} cells, not {len(COLUMNS)}")
            yield _link(_facts(cells))
        except (ValueError, KeyError, TypeError) as failure:
            raise UnreadableExport(f"row {number}: {_what(failure)}") from failure


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as failure:
        raise UnreadableExport(str(failure)) from failure


def _facts(cells: Sequence[str]) -> dict[str, Any]:
    facts: dict[str, Any] = dict(zip(COLUMNS, cells, strict=True))
    facts["sequence"] = int(facts["sequence"])
    for name in FIELDS:
        if name in _JSON_COLUMNS:
            facts[name] = json.loads(facts[name]) if facts[name] else None
        elif name == "organization_id":
            facts[name] = facts[name] or None
        else:
            facts[name] = facts[name].removeprefix("'")
    return facts


def _link(facts: Mapping[str, Any]) -> Link:
    if type(facts["sequence"]) is not int:
        raise ValueError("its sequence is no whole number")
    return Link(
        facts["sequence"],
        {name: facts[name] for name in FIELDS},
        bytes.fromhex(facts["previous_hash"]),
        bytes.fromhex(facts["hash"]),
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain_text, allow_nan=False)


def _what(failure: Exception) -> str:
    return f"{failure} is missing" if isinstance(failure, KeyError) else str(failure)
