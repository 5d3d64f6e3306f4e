"""Lists: search, filters, sort and keyset paging from the URL, and CSV of exactly what is filtered.

Everything a list shows is in its address, so it can be pasted into a chat. Pages are found by keyset and not by offset:
page 400 costs what page 1 costs, and a new row shifts nothing.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, QueryDict, StreamingHttpResponse

from control_plane.usage.api.streams import cell
from switchyard_contract.quantity import NanoUsd, usd_text

Row = TypeVar("Row", bound=Model)
PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Sort:
    """A column that can be sorted by. path: the ORM path to a column that is never NULL."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of values for one parameter. options: (value, label)."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    typed: str = ""
    """What to type where there are too many to choose from; empty: nothing is typed."""

    def label_of(self, value: str) -> str:
        return next((label for option, label in self.options if option == value), value)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address without it."""

    label: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class Ordering:
    """The sort in force. Templates ask it what a click on a column's head would do."""

    name: str
    path: str
    descending: bool

    @property
    def text(self) -> str:
        return f"-{self.name}" if self.descending else self.name


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """A page of rows with all that its template draws around them."""

    rows: Sequence[Row]
    next: str
    """The cursor of the next page; empty: this is the last."""
    ordering: Ordering
    search: str
    chips: tuple[Chip, ...]
    filters: tuple[Filter, ...]
    chosen: Mapping[str, str] = field(default_factory=dict)
    is_first_page: bool = True

    @property
    def is_filtered(self) -> bool:
        return bool(self.search or self.chips)


def list_rows(
    request: HttpRequest,
    rows: QuerySet[Row],
    *,
    sorts: Sequence[Sort],
    default: str,
    searched: Callable[[QuerySet[Row], str], QuerySet[Row]],
    filters: Sequence[Filter] = (),
    filtered: Mapping[str, Callable[[QuerySet[Row], str], QuerySet[Row]]] | None = None,
    limit: int = PAGE_ROWS,
) -> Listing[Row]:
    """Apply what the address says and read one page. default: "name", or "-name" for descending.

    Unknown sorts and filter values are passed over: an old link still opens.
    """
    parameters = request.GET
    ordering = _ordering(parameters.get("sort", ""), sorts, default)
    rows, search, chosen = narrowed(rows, parameters, searched=searched, filters=filters, filtered=filtered)
    sign = "-" if ordering.descending else ""
    rows = rows.order_by(f"{sign}{ordering.path}", "pk")
    after = _read_cursor(parameters.get("after", ""))
    page = list((_beyond(rows, ordering, after) if after else rows)[: limit + 1])
    shown = page[:limit]
    return Listing(
        rows=shown,
        next=_cursor(shown[-1], ordering) if len(page) > limit else "",
        ordering=ordering,
        search=search,
        chips=chips(parameters, filters, chosen),
        filters=tuple(filters),
        chosen=chosen,
        is_first_page=after is None,
    )


def narrowed(
    rows: QuerySet[Row],
    parameters: QueryDict,
    *,
    searched: Callable[[QuerySet[Row], str], QuerySet[Row]],
    filters: Sequence[Filter] = (),
    filtered: Mapping[str, Callable[[QuerySet[Row], str], QuerySet[Row]]] | None = None,
) -> tuple[QuerySet[Row], str, dict[str, str]]:
    """The rows that search and filters of an address leave, what was searched for, and the filters that were known."""
    search = parameters.get("q", "").strip()[:200]
    if search:
        rows = searched(rows, search)
    chosen: dict[str, str] = {}
    for one in filters:
        value = parameters.get(one.name, "")
        if value and any(value == option for option, _ in one.options):
            chosen[one.name] = value
            rows = (filtered or {})[one.name](rows, value)
    return rows, search, chosen


def chips(parameters: QueryDict, filters: Iterable[Filter], chosen: Mapping[str, str]) -> tuple[Chip, ...]:
    """A chip per filter in force, each with the address that takes it away."""
    return tuple(
        Chip(one.label, one.label_of(chosen[one.name]), without(parameters, one.name))
        for one in filters
        if one.name in chosen
    )


def without(parameters: QueryDict, *names: str) -> str:
    """The query string without some parameters; paging starts anew."""
    rest = parameters.copy()
    for name in (*names, "after", "before", "format"):
        rest.pop(name, None)
    return "?" + rest.urlencode()


def wants_csv(request: HttpRequest) -> bool:
    return request.GET.get("format") == "csv"


def csv_response(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """Stream rows as a CSV file. Amounts in nano-USD stand in dollars too, at the end of the row: who adds up in a
    spreadsheet thinks in dollars."""
    amounts = [number for number, column in enumerate(head) if column.endswith("_nano_usd")]

    def lines() -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        first = (*head, *(f"{head[number].removesuffix('_nano_usd')}_usd" for number in amounts))
        for row in chain(
            (first,), ((*map(_plain, row), *(_dollars(row[number]) for number in amounts)) for row in rows)
        ):
            writer.writerow(row)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _dollars(nano_usd: object) -> str:
    return usd_text(NanoUsd(nano_usd)) if isinstance(nano_usd, int) else ""


def _plain(value: object) -> object:
    """A cell. Text that a spreadsheet would run as a formula is made harmless; a number below zero stays one."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, str):
        return cell(value)
    return "" if value is None else value


def _ordering(text: str, sorts: Sequence[Sort], default: str) -> Ordering:
    for wanted in (text, default):
        descending, name = wanted.startswith("-"), wanted.removeprefix("-")
        for sort in sorts:
            if sort.name == name:
                return Ordering(name, sort.path, descending)
    raise ValueError(f"the default sort {default!r} is none of the list's own")


def _beyond(rows: QuerySet[Row], ordering: Ordering, after: tuple[object, object]) -> QuerySet[Row]:
    value, key = after
    comparison = "lt" if ordering.descending else "gt"
    return rows.filter(Q(**{f"{ordering.path}__{comparison}": value}) | Q(**{ordering.path: value, "pk__gt": key}))


def _cursor(row: Model, ordering: Ordering) -> str:
    value: Any = row
    for part in ordering.path.split("__"):
        value = getattr(value, part)
    kind = "t" if isinstance(value, datetime) else "v"
    content = [kind, value.isoformat() if isinstance(value, datetime) else value, str(row.pk)]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[object, object] | None:
    """A cursor's value and key. None when there is none, or it is not one of ours."""
    if not text:
        return None
    try:
        kind, value, key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return (datetime.fromisoformat(value) if kind == "t" else value), key
    except (binascii.Error, ValueError, TypeError):
        return None
