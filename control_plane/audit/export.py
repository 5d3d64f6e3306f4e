"""Export a chain, streamed: in the form that `switchyard verify-audit` checks offline."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from control_plane.audit.heads import heads_publish
from control_plane.audit.models import Change
from control_plane.audit.selectors import link_of, published_heads_of, scope_of, signed_head_of
from switchyard_contract.audit_export import COLUMNS, ExportHead, write_cells, write_export_head, write_row

ROWS_AT_ONCE = 500


class ExportForm(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"

    @property
    def content_type(self) -> str:
        return "application/jsonl" if self is ExportForm.JSONL else "text/csv; charset=utf-8"


def audit_export(
    organization_id: UUID | None,
    form: ExportForm,
    *,
    rows: QuerySet[Change],
    filters: Mapping[str, str],
    now: datetime,
) -> Iterator[bytes]:
    """Write the changes of one organization as lines, oldest first, a piece at a time.

    rows: those of that organization, filtered or not. filters: what they were filtered by, in words; empty: all, and
    then the export ends at a head that is signed for it.
    """
    rows = rows.filter(scope=scope_of(organization_id)).order_by("sequence")
    head = None
    if not filters:
        # What comes while this is read stays out: the export ends exactly where its head says.
        heads_publish(scopes=[scope_of(organization_id)])
        head = published_heads_of(organization_id).first()
        rows = rows.filter(sequence__lte=0 if head is None else head.sequence)
    if form is ExportForm.JSONL:
        deployment = settings.SWITCHYARD.deployment_id
        about = ExportHead(
            deployment=deployment,
            organization=scope_of(organization_id),
            is_complete=not filters,
            exported_at=now.isoformat(timespec="milliseconds"),
            filters=filters,
            head=None if head is None else signed_head_of(head, deployment),
        )
        first = f"{write_export_head(about)}\n"
    else:
        first = ",".join(COLUMNS) + "\r\n"
    return _pieces(first.encode(), form, rows)


def _pieces(first: bytes, form: ExportForm, rows: QuerySet[Change]) -> Iterator[bytes]:
    yield first
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for number, change in enumerate(rows.iterator(chunk_size=ROWS_AT_ONCE), start=1):
        link = link_of(change)
        if form is ExportForm.JSONL:
            buffer.write(write_row(link) + "\n")
        else:
            writer.writerow(write_cells(link))
        if number % ROWS_AT_ONCE == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()
