"""What kinds do alike with rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from control_plane.declarative.kinds.kind import Kept

Row = TypeVar("Row", bound=Model)


def locked_rows(rows: QuerySet[Row], *, locks: bool) -> list[Row]:
    """Read rows in one order, locked against changes when asked.

    NO KEY UPDATE: whoever adds a row that refers to one of these is not held up, and cannot wait for us in turn. Read
    only once all are locked: what is joined to a row that we waited for would else be as old as the waiting.
    """
    ordered = rows.order_by("pk")
    if locks:
        list(ordered.select_related(None).select_for_update(no_key=True).values_list("pk", flat=True))
    return list(ordered)


@contextmanager
def gone_or_kept(advice: str) -> Iterator[None]:
    """What a service does not take away, because something rests on it, stays; the file is not wrong for that."""
    try:
        yield
    except ValidationError as failure:
        raise Kept(f"{' '.join(failure.messages)} {advice}".strip()) from failure
