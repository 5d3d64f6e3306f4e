"""Tags: small text facts that end up on every usage event. Pure."""

import re
from collections.abc import Mapping

from django.core.exceptions import ValidationError

TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MAX_TAGS = 32
MAX_TAG_VALUE = 256


def checked_tags(tags: Mapping[str, str] | None, *, field: str = "tags") -> dict[str, str]:
    """Give the tags back when they are well-formed; raises ValidationError with all that is wrong."""
    problems: list[str] = []
    found = dict(tags or {})
    if len(found) > MAX_TAGS:
        problems.append(f"At most {MAX_TAGS} tags, these are {len(found)}.")
    for name, value in found.items():
        if not isinstance(name, str) or TAG_NAME.fullmatch(name) is None:
            problems.append(
                f"{str(name)[:64]!r} is no name of a tag: letters, digits, dot, dash, underscore; at most 64."
            )
        if not isinstance(value, str) or len(value) > MAX_TAG_VALUE or "\x00" in value:
            problems.append(f"The value of {str(name)[:64]!r} must be text of at most {MAX_TAG_VALUE} characters.")
    if problems:
        raise ValidationError({field: problems})
    return found
