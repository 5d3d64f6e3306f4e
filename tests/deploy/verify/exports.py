"""Chains and their exports, made without a database."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from switchyard_contract.audit_chain import Link, link_hash
from switchyard_contract.audit_export import COLUMNS, ExportHead, write_cells, write_export_head, write_row
from switchyard_contract.audit_head import SignedHead, sign_head, write_head
from switchyard_contract.seal import SigningKey

KEY = SigningKey("k1", bytes(range(32)))
DEPLOYMENT, ORGANIZATION = "test-deployment", "0a" * 16
ODD_TEXTS = ("plain", "=cmd()", "'quoted", "+1", 'tab\tand\nline\r\nbreaks, "commas"', "–ünï", "")


def a_link(sequence: int, previous: bytes, organization: str = ORGANIZATION, **changes: object) -> Link:
    text = ODD_TEXTS[sequence % len(ODD_TEXTS)]
    fields = {
        "scope": organization,
        "organization_id": organization,
        "at": f"2026-11-21T10:00:{sequence % 60:02}.000000+00:00",
        "actor_kind": "user",
        "actor_id": "1",
        "actor_name": "ada@example.com",
        "source_address": "10.0.0.1",
        "action": "team.updated",
        "subject_kind": "team",
        "subject_id": str(sequence),
        "subject_name": text,
        "before": None if sequence % 2 else {"n": sequence, "text": text},
        "after": {"n": sequence + 1, "list": [1, "two", None, True]},
        "reason": text,
        **changes,
    }
    return Link(sequence, fields, previous, link_hash(previous, sequence, fields))


def a_chain(length: int, organization: str = ORGANIZATION) -> list[Link]:
    links: list[Link] = []
    previous = b""
    for sequence in range(1, length + 1):
        links.append(a_link(sequence, previous, organization))
        previous = links[-1].hash
    return links


def a_head(link: Link, key: SigningKey = KEY) -> SignedHead:
    return sign_head(
        deployment=DEPLOYMENT,
        organization=str(link.fields["scope"]),
        sequence=link.sequence,
        digest=link.hash,
        at_ms=1_790_000_000_000,
        key=key,
    )


def jsonl(path: Path, links: Sequence[Link], *, head: SignedHead | None = None, is_complete: bool = True) -> Path:
    about = ExportHead(DEPLOYMENT, ORGANIZATION, is_complete, "2026-11-21T10:00:00Z", {}, head)
    lines = [write_export_head(about), *(write_row(link) for link in links)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    return path


def as_csv(path: Path, links: Sequence[Link]) -> Path:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    writer.writerows(write_cells(link) for link in links)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    return path


def heads_file(path: Path, *heads: SignedHead) -> Path:
    import json

    path.write_text("".join(json.dumps(write_head(head)) + "\n" for head in heads))
    return path
