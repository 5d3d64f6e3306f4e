"""Identifiers on pages: cut in the middle, whole on hover."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from control_plane.web.identifiers import MOST, middle_cut

register = template.Library()


@register.simple_tag
def shortened(text: str, most: int = MOST) -> SafeString | str:
    """In monospace. Where it can be copied, `copy_button` of `console` stands beside it."""
    return format_html('<code class="nowrap" title="{}">{}</code>', text, middle_cut(text, most)) if text else "–"


@register.filter
def middle(text: str, most: int = MOST) -> str:
    """As plain text, for titles."""
    return middle_cut(text, most)
