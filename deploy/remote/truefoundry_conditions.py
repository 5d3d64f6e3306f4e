"""Whom and what a rule of TrueFoundry is about, in our words. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_DIMENSIONS = {"user": "user", "team": "team", "model": "model", "virtualaccount": "service_account",
               "virtual_account": "service_account"}  # fmt: skip
_SUBJECTS = {"user": "user", "team": "team", "virtualaccount": "service_account", "virtual_account": "service_account"}
_WHEN = ("subjects", "models", "metadata")
_EVERYBODY = "*"
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(slots=True)
class Notes:
    """Collects what could not be carried, at its place."""

    place: str
    lines: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        self.lines.append(f"{self.place}: {what}")

    def at(self, inner: str) -> "Notes":
        """The same list, deeper in."""
        return Notes(f"{self.place}: {inner}", self.lines)

    def left_over(self, given: Mapping[str, Any], known: Sequence[str]) -> None:
        """Name every field that nobody looked at."""
        for name in sorted(set(map(str, given)) - set(known)):
            self.add(f"{name} is not carried; there is no such field here")


def head_of(given: Any, notes: Notes) -> dict[str, Any]:
    """`when`, and the mode where that says something."""
    when = _when(given, notes)
    if when is None:
        # Rather a rule for nobody than one for everybody.
        notes.add("none of the subjects could be carried, so the rule is switched off; name them yourself")
        return {"when": {}, "mode": "off"}
    return {"when": when}


def _when(given: Any, notes: Notes) -> dict[str, Any] | None:
    """None: it names subjects of which none could be carried."""
    if given in (None, {}):
        return {}
    if not isinstance(given, dict):
        notes.add("when is no field list; the rule now matches everything")
        return {}
    notes.left_over(given, _WHEN)
    when: dict[str, Any] = {}
    subjects = [mapped for each in as_list(given.get("subjects")) if (mapped := _subject(str(each), notes))]
    if _EVERYBODY in subjects:
        # Whoever is named besides is among them.
        subjects = []
    elif subjects:
        when["subjects"] = list(dict.fromkeys(subjects))
    elif given.get("subjects"):
        return None
    if models := [_model(str(each), notes) for each in as_list(given.get("models"))]:
        when["models"] = list(dict.fromkeys(models))
    metadata = given.get("metadata")
    tags = {}
    for name, value in metadata.items() if isinstance(metadata, dict) else ():
        if _TAG.fullmatch(str(name)) is None:
            notes.add(f"the metadata key {str(name)[:60]!r} cannot be written here; the rule fits without it")
        else:
            tags[str(name)] = [str(each) for each in as_list(value)]
    if tags:
        when["metadata"] = tags
    return when


def _subject(text: str, notes: Notes) -> str:
    kind, colon, name = text.partition(":")
    if text == "*":
        return _EVERYBODY
    mapped = _SUBJECTS.get(kind.replace("-", "_")) or _SUBJECTS.get(kind.replace("-", ""))
    if not colon or mapped is None or not name:
        notes.add(f"the subject {text!r} is not carried; there are user:, team: and virtualaccount: only")
        return ""
    return f"{mapped}:{name.lower() if mapped == 'user' else name}"


def _model(text: str, notes: Notes) -> str:
    """Their accounts are our providers, whose names are lower-case."""
    provider, slash, model = text.partition("/")
    if not slash or provider == provider.lower():
        return text
    notes.add(f"the provider {provider} is called {provider.lower()} here")
    return f"{provider.lower()}/{model}"


def per_of(given: Any, notes: Notes) -> list[str]:
    """Their rules without a dimension have one counter for everybody."""
    found = []
    for each in as_list(given):
        text = str(each)
        mapped = text if text.startswith("metadata.") else _DIMENSIONS.get(text.replace("-", "_"))
        if mapped is None:
            notes.add(f"counting per {text!r} is not carried")
        elif mapped not in found:
            found.append(mapped)
    if {"user", "service_account"} <= set(found):
        return ["principal", *(each for each in found if each not in ("user", "service_account"))]
    return found


def as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
