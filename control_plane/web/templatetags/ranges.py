"""What the picker of time ranges needs besides the range itself."""

from collections.abc import Iterable

from django import template
from django.http import QueryDict

from control_plane.web.ranges import MORE, TimeRange

register = template.Library()


@register.simple_tag
def more_ranges() -> tuple[tuple[str, str], ...]:
    """The named ranges that stand behind the picker."""
    return MORE


@register.filter
def is_among(span: TimeRange | None, offered: Iterable[tuple[str, str]]) -> bool:
    """Whether a range is one of those that stand on the page; none chosen counts as one of them."""
    return span is None or any(span.name == name for name, _ in offered)


@register.filter
def carried(given: QueryDict, left_out: str) -> list[tuple[str, str]]:
    """The address's fields as a form carries them on, without those that are named."""
    names = set(left_out.split())
    return [(name, value) for name, values in given.lists() if name not in names for value in values]
