"""Filters of the pages about sessions, which count in milliseconds."""

from datetime import UTC, datetime

from django import template
from django.utils.safestring import SafeString

from control_plane.web import numbers
from control_plane.web.templatetags.console import exact

register = template.Library()


@register.filter
def duration_ms(milliseconds: int) -> str:
    """840 ms; 3.2 s; 4 min 05 s; 2 h 14 min. Nothing: a dash."""
    if not milliseconds:
        return "–"
    minutes = milliseconds // 60_000
    if minutes < 90:
        return numbers.duration(milliseconds * 1000)
    hours, rest = divmod(minutes, 60)
    return f"{hours:,} h {rest:02d} min"


@register.filter
def instant(at_ms: int) -> SafeString | str:
    """An exact time in the reader's zone."""
    return exact(datetime.fromtimestamp(at_ms / 1000, UTC))
