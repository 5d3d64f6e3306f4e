"""Edits of whole files as text, each checked against what it should have become before anybody writes it."""

import json
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from enum import StrEnum
from typing import Any

from deploy.remote.setup.document import ABSENT, Change, Document, Entry, Path, Unreadable, apply, take_out
from deploy.remote.setup.env_file import EnvFile
from deploy.remote.setup.json_file import JsonFile
from deploy.remote.setup.toml_file import TomlFile


class Format(StrEnum):
    JSON = "json"
    TOML = "toml"
    ENV = "env"


def open_text(text: str, kind: Format) -> Document:
    """Read a file's text. Raises Unreadable."""
    match kind:
        case Format.JSON:
            return JsonFile(text)
        case Format.TOML:
            return TomlFile(text)
        case Format.ENV:
            return EnvFile(text)


def merged(text: str, kind: Format, changes: Sequence[Change]) -> tuple[str, list[Entry]]:
    """The text with the changes made, and what each replaced. Raises Unreadable."""
    document = open_text(text, kind)
    expected = deepcopy(_whole(document, kind))
    entries = apply(document, changes)
    for change in changes:
        _put(expected, change.path, change.value)
    _check(document.text(), kind, expected)
    return document.text(), entries


def unmerged(text: str, kind: Format, entries: Sequence[Entry]) -> tuple[str, list[Path]]:
    """The text without our entries, and the paths of those the person has changed since. Raises Unreadable."""
    document = open_text(text, kind)
    kept = take_out(document, entries)
    result = document.text()
    open_text(result, kind)
    return result, kept


def is_empty(text: str, kind: Format) -> bool:
    return open_text(text, kind).is_empty()


def _whole(document: Document, kind: Format) -> dict[str, Any]:
    match kind:
        case Format.TOML:
            return tomllib.loads(document.text())
        case Format.JSON:
            found = document.get(())
            return {} if found is ABSENT else dict(found)
        case Format.ENV:
            return _environment(document.text())


def _check(text: str, kind: Format, expected: dict[str, Any]) -> None:
    """Raise Unreadable when an edit did not do what it should: better no change than a wrong one."""
    try:
        became = _whole(open_text(text, kind), kind)
    except (Unreadable, tomllib.TOMLDecodeError) as failure:
        raise Unreadable(f"it could not be edited safely ({failure}); nothing was written") from failure
    if json.dumps(became, sort_keys=True, default=str) != json.dumps(expected, sort_keys=True, default=str):
        raise Unreadable("it could not be edited safely; nothing was written")


def _put(whole: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        if name not in whole and value is ABSENT:
            return
        whole = whole.setdefault(name, {})
    if value is ABSENT:
        whole.pop(path[-1], None)
    else:
        whole[path[-1]] = value


def _environment(text: str) -> dict[str, Any]:
    document = EnvFile(text)
    return {name: document.get((name,)) for name in document.names()}
