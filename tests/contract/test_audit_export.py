"""Exported rows: whatever they hold comes back to the byte, in both forms."""

import csv
import io
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard_contract.audit_chain import Link, link_hash
from switchyard_contract.audit_export import COLUMNS, FIELDS, ExportHead, read_export, write_cells, write_export_head
from switchyard_contract.audit_export import write_row as write_line

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
FACTS = st.none() | st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.booleans() | st.none(), max_size=3)


@st.composite
def links(draw: st.DrawFn) -> Link:
    fields = {name: draw(FACTS if name in ("before", "after") else TEXTS) for name in FIELDS}
    fields["organization_id"] = draw(st.none() | st.just("0a" * 16))
    sequence = draw(st.integers(1, 2**40))
    return Link(sequence, fields, b"\x01" * 32, link_hash(b"\x01" * 32, sequence, fields))


def lines_of(text: str) -> Iterator[str]:
    # As a file that is opened with newline="".
    return iter(io.StringIO(text, newline=""))


@settings(deadline=None)
@given(st.lists(links(), max_size=3))
def test_csv_gives_back_every_row(rows: list[Link]) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    writer.writerows(write_cells(row) for row in rows)

    head, found = read_export(lines_of(buffer.getvalue()))

    assert head is None
    assert list(found) == rows
    assert not [cell for row in rows for cell in write_cells(row) if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@settings(deadline=None)
@given(st.lists(links(), max_size=3))
def test_json_lines_give_back_every_row(rows: list[Link]) -> None:
    about = ExportHead("d", "0a" * 16, True, "2026-11-21T10:00:00+00:00", {}, None)
    text = "".join(f"{line}\n" for line in [write_export_head(about), *map(write_line, rows)])

    head, found = read_export(lines_of(text))

    assert head == about
    assert list(found) == rows
