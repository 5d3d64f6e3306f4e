"""Undo, in the toast that tells of a change: what was there before travels with it, signed, for a few minutes."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest
from django.utils.html import format_html

MAX_AGE_S = 600
SALT = "switchyard.console.undo"


def success_with_undo(
    request: HttpRequest, text: str, address: str, kind: str, before: Mapping[str, Any], *, of: str
) -> None:
    """Tell of a change, with a button that sends it back. address: what undoes it; of: the id of what was changed."""
    token = signing.dumps({"kind": kind, "of": of, "before": dict(before)}, salt=SALT, compress=True)
    messages.success(
        request,
        format_html(
            '{} <button type="button" class="link" hx-post="{}"'
            ' hx-vals=\'{{"token": "{}"}}\' hx-swap="none">Undo</button>',
            text,
            address,
            token,
        ),
    )


def read_undo(kind: str, token: str, *, of: str) -> dict[str, Any] | None:
    """What was there before; None when the token is not ours, of another thing, or too old."""
    try:
        content = signing.loads(token, salt=SALT, max_age=MAX_AGE_S)
    except signing.BadSignature:
        return None
    if (content["kind"], content["of"]) != (kind, of):
        return None
    before: dict[str, Any] = content["before"]
    return before
