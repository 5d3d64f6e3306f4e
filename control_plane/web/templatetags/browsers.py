"""Browsers on pages."""

from django import template

from control_plane.web.browsers import browser_words

register = template.Library()


@register.filter
def browser(user_agent: str) -> str:
    """In the words of people; what it calls itself belongs into a title."""
    return browser_words(user_agent)
