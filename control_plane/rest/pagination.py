"""Pages by cursor: stable while rows come and go, as fast at the end as at the beginning."""

import base64
import binascii
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

DEFAULT_LIMIT = 50
HIGHEST_LIMIT = 200


class CursorPages(CursorPagination):
    """`?limit=` (at most 200) and `?cursor=`; `next` is the whole address of the next page, or null."""

    page_size = DEFAULT_LIMIT
    page_size_query_param = "limit"
    max_page_size = HIGHEST_LIMIT
    ordering = "id"

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> Any:
        # The view says the order: it must end in something unique, or rows of one instant could be passed over.
        return tuple(view.page_order)

    def get_page_size(self, request: Request) -> int:
        return limit_of(request)

    def decode_cursor(self, request: Request) -> Any:
        try:
            return super().decode_cursor(request)
        except NotFound as failure:
            raise _no_cursor() from failure

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError, TypeError, DataError) as failure:
            # A position that was not written by us is found out where it meets its column.
            if self.cursor_query_param not in request.query_params:
                raise
            raise _no_cursor() from failure

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return page_schema(schema)


def page_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["results", "next"],
        "properties": {
            "results": schema,
            "next": {"type": ["string", "null"], "format": "uri", "description": "Address of the next page."},
        },
    }


def limit_of(request: Request) -> int:
    """Read `?limit=` of a page that is not a queryset; raises ValidationError."""
    text = request.query_params.get("limit", "")
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise ValidationError({"limit": f"A whole number from 1 on; more than {HIGHEST_LIMIT} gives {HIGHEST_LIMIT}."})
    return HIGHEST_LIMIT if len(text.lstrip("0")) > 4 else min(int(text), HIGHEST_LIMIT)


def cursor_of(request: Request) -> str:
    """Read `?cursor=` of a page that is not a queryset; raises ValidationError."""
    text = request.query_params.get("cursor", "")
    try:
        return base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode() if text else ""
    except (binascii.Error, ValueError) as failure:
        raise _no_cursor() from failure


def next_link(request: Request, position: str) -> str | None:
    """Write the address of the page after a position; None when there is none."""
    if not position:
        return None
    query = request.query_params.copy()
    query["cursor"] = base64.urlsafe_b64encode(position.encode()).decode()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _no_cursor() -> ValidationError:
    return ValidationError({"cursor": "This is no cursor of ours. Begin again without one."})
