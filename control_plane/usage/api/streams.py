"""CSV that is written as it is read: however long, a few rows of it are in memory."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request

_NUMBER = re.compile(r"-\d+(\.\d+)?")


class _Line:
    """A file that hands back what is written to it, so that csv can be streamed."""

    def write(self, text: str) -> str:
        return text


def wants_csv(request: Request) -> bool:
    """Whether the caller asked for CSV, by `Accept: text/csv` or `?format=csv`."""
    is_chosen = request.query_params.get("format") == "csv"
    return is_chosen or getattr(request.accepted_renderer, "format", "") == "csv"


def csv_answer(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """Answer with a file of CSV. name: what a browser calls it."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def cell(text: str) -> str:
    """A text that a spreadsheet does not run as a formula: names come from clients. A number below zero is none."""
    if _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer: Any = csv.writer(_Line())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value) if isinstance(value, str) else value for value in row])
