"""Tags that a request carries in headers, under our name and under those people already have."""

from urllib.parse import unquote

import msgspec

from data_plane.protocols.codec import RawHeaders
from data_plane.protocols.fields import InvalidRequest
from data_plane.protocols.headers import METADATA_HEADERS, METADATA_PREFIX

MAX_TAGS = 64
MAX_NAME = 64
MAX_VALUE = 256
MAX_HEADER_BYTES = 16 * 1024
_NAMES = frozenset(METADATA_HEADERS)


def read_metadata(headers: RawHeaders) -> dict[str, str]:
    """Read the request's tags; where headers disagree, our own name wins over others.

    Numbers and booleans become text. Raises InvalidRequest naming the header when it is no flat JSON object, or when
    there are too many tags or too long ones.
    """
    found = [header for header in headers if header[0] in _NAMES or header[0].startswith(METADATA_PREFIX)]
    if not found:
        return {}
    tags: dict[str, str] = {}
    for name, value in found:
        if name not in _NAMES:
            tags[name.removeprefix(METADATA_PREFIX).decode("latin-1")] = unquote(value.decode("latin-1").strip())
    for name in reversed(METADATA_HEADERS):
        for header, value in found:
            if header == name:
                tags.update(_read_object(name.decode(), value))
    if len(tags) > MAX_TAGS:
        raise InvalidRequest("x-switchyard-metadata", f"holds {len(tags)} tags; {MAX_TAGS} are allowed")
    for tag, text in tags.items():
        if not tag or len(tag) > MAX_NAME:
            raise InvalidRequest("x-switchyard-metadata", f"a tag's name is empty or longer than {MAX_NAME} characters")
        if len(text) > MAX_VALUE:
            raise InvalidRequest("x-switchyard-metadata", f"tag {tag!r} is longer than {MAX_VALUE} characters")
    return tags


def _read_object(header: str, value: bytes) -> dict[str, str]:
    if len(value) > MAX_HEADER_BYTES:
        raise InvalidRequest(header, f"is longer than {MAX_HEADER_BYTES} bytes")
    if not value.strip():
        return {}
    try:
        read = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as failure:
        raise InvalidRequest(header, "is no JSON object of strings") from failure
    if not isinstance(read, dict):
        raise InvalidRequest(header, "is no JSON object of strings")
    tags: dict[str, str] = {}
    for tag, text in read.items():
        match text:
            case str():
                tags[tag] = text
            case bool():
                tags[tag] = "true" if text else "false"
            case int() | float():
                tags[tag] = str(text)
            case None:
                continue
            case _:
                raise InvalidRequest(header, f"tag {str(tag)[:MAX_NAME]!r} is neither text nor a number")
    return tags
