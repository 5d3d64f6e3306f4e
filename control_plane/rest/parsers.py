"""JSON read strictly: what PostgreSQL cannot store or a reader would stumble over is a 400 here and not a 500 later."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

DEEPEST = 64


class StrictJsonParser(BaseParser):
    """Refuses invalid UTF-8, lone surrogates, NaN and Infinity, NUL in text, and nesting deeper than 64."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        raw = stream.read()
        try:
            value = orjson.loads(raw) if raw.strip() else {}
        except orjson.JSONDecodeError as failure:
            raise ParseError(f"The body is no JSON: {failure}") from failure
        _check(value, DEEPEST)
        return value


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise ParseError(f"The body is nested deeper than {DEEPEST}.")
    match value:
        case str():
            if "\x00" in value:
                raise ParseError("The body has a NUL character in a text.")
        case dict():
            for name, inner in value.items():
                _check(name, depth)
                _check(inner, depth - 1)
        case list():
            for inner in value:
                _check(inner, depth - 1)
        case _:
            return
