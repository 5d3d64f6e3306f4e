"""What comes in and goes out besides JSON: policy files. A file is kept as it came, byte for byte, until it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.nodes import Document
from control_plane.declarative.parsing import MOST_BYTES, TooLarge, load_json, read_objects, read_yaml
from control_plane.declarative.plan import Removal

OPTIONS = ("prune", "confirm", "source", "reason")
CONFIRMED = "deletions"
MOST_LABEL = 200
MOST_REASON = 1000


class _FileParser(BaseParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        # Latin-1 gives every byte a sign and back: what arrived is what is read, and what is digested for a repeat.
        return {"as": self.media_type.rpartition("/")[2], "body": stream.read(MOST_BYTES + 1).decode("latin-1")}


class YamlParser(_FileParser):
    media_type = "application/yaml"


class OtherYamlParser(YamlParser):
    """The name that came before the registered one."""

    media_type = "application/x-yaml"


class TextYamlParser(YamlParser):
    media_type = "text/yaml"


class JsonFileParser(_FileParser):
    media_type = "application/json"


PARSERS = (YamlParser, OtherYamlParser, TextYamlParser, JsonFileParser)


class YamlRenderer(BaseRenderer):
    """Text of ours as it is; anything else is an error, and JSON."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return data.encode() if isinstance(data, str) else bytes(JSONRenderer().render(data))


@dataclass(frozen=True, slots=True)
class Brought:
    """A policy file and what is to be done with it."""

    documents: Sequence[Document]
    removal: Removal
    label: str
    reason: str


def brought(request: Request) -> Brought:
    """Read file and options of a request; raises RefusedPolicy, TooLarge and ValidationError."""
    given: dict[str, Any] = {name: request.query_params[name] for name in OPTIONS if name in request.query_params}
    if unknown := sorted(set(request.query_params) - set(OPTIONS)):
        raise ValidationError(dict.fromkeys(unknown, "There is no such option."))
    arrived: dict[str, str] = request.data if isinstance(request.data, dict) else {}
    body = arrived.get("body", "").encode("latin-1")
    if len(body) > MOST_BYTES:
        raise TooLarge
    if arrived.get("as") == "json":
        content = load_json(body)
        if isinstance(content, dict):
            if unknown := sorted(set(content) - {*OPTIONS, "objects"}):
                raise ValidationError(dict.fromkeys(unknown, "There is no such field."))
            given |= {name: content[name] for name in OPTIONS if name in content}
            content = content.get("objects")
        documents: Sequence[Document] = read_objects(content)
    else:
        documents = read_yaml(body)
    return Brought(
        documents,
        Removal(_pruned(given.get("prune", "")), _confirmed(given.get("confirm", ""))),
        _line(given, "source", MOST_LABEL),
        _line(given, "reason", MOST_REASON),
    )


def _pruned(value: Any) -> frozenset[str]:
    """true: all kinds; false or nothing: none; else the kinds named, commas between."""
    if value in (True, "true", "1"):
        return frozenset(kinds())
    if value in (False, "", "false", "0", None):
        return frozenset()
    names = frozenset(name.strip() for name in value.split(",")) if isinstance(value, str) else frozenset({str(value)})
    if unknown := sorted(names - set(kinds())):
        raise ValidationError({"prune": f"{', '.join(unknown)[:100]}: true, false, or kinds of {', '.join(kinds())}."})
    return names


def _confirmed(value: Any) -> bool:
    if value not in ("", None, CONFIRMED):
        raise ValidationError({"confirm": f"Only {CONFIRMED} can be confirmed."})
    return bool(value)


def _line(given: Mapping[str, Any], name: str, most: int) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str) or len(value) > most or not all(char.isprintable() for char in value):
        raise ValidationError({name: f"One line of at most {most} characters."})
    return value.strip()
