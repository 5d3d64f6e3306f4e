"""TrueFoundry's gateway files to policy files of ours, with a report of what could not be carried. Pure.

Rules are in `truefoundry_rules`, routes in `truefoundry_routes`. Fields that have no place here are named one by one,
never dropped silently.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deploy.remote.refused import Refused
from deploy.remote.truefoundry_conditions import Notes
from deploy.remote.truefoundry_routes import is_route, routes_of
from deploy.remote.truefoundry_rules import budgets_of, rate_limits_of

RATE_LIMITS = "gateway-rate-limiting-config"
BUDGETS = "gateway-budget-config"
LOAD_BALANCING = "gateway-load-balancing-config"


@dataclass(frozen=True, slots=True)
class Converted:
    """The policy file, and what to know about it, a line each."""

    text: str
    report: tuple[str, ...]


def convert(files: Sequence[tuple[str, str]]) -> Converted:
    """Convert files (name, text); raises Refused for what is no YAML or holds nothing of theirs."""
    objects: list[dict[str, Any]] = []
    notes = Notes("")
    is_theirs = False
    for name, text in files:
        for number, document in enumerate(_documents(name, text), start=1):
            here = Notes(f"{name}, document {number}", notes.lines)
            found = list(_objects(document, here))
            is_theirs = is_theirs or bool(found)
            objects += found
    if not is_theirs:
        raise Refused(f"no {RATE_LIMITS}, {BUDGETS}, {LOAD_BALANCING} or routing_config in these files")
    objects = _distinct(objects, notes)
    notes.lines += _needs(objects)
    counts = Counter(each["kind"] for each in objects)
    summary = "converted: " + ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
    return Converted(_text(objects), (summary, *notes.lines))


def _documents(name: str, text: str) -> Iterator[Any]:
    try:
        for document in yaml.safe_load_all(text):
            if isinstance(document, list):
                yield from document
            elif document is not None:
                yield document
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        raise Refused(f"{where} cannot be read as YAML: {getattr(failure, 'problem', failure)}") from failure


def _objects(document: Any, notes: Notes) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("manifest"), dict):
        # As their API gives it back.
        document = document["manifest"]
    if not isinstance(document, dict):
        notes.add("this is no object of theirs and is not carried")
        return
    match document.get("type"):
        case "gateway-rate-limiting-config":
            yield from rate_limits_of(document, notes)
        case "gateway-budget-config":
            yield from budgets_of(document, notes)
        case _ if is_route(document):
            yield from routes_of(document, notes)
        case other:
            notes.add(f"type {str(other)[:60]!r} is not carried")


def _needs(objects: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the rules name and the file does not hold."""
    made = {(each["kind"], each["metadata"]["name"]) for each in objects}
    kinds = {"team": "Team", "user": "User", "service_account": "ServiceAccount"}
    wanted: dict[tuple[str, str], None] = {}
    for each in objects:
        when = each["spec"].get("when", {})
        for subject in when.get("subjects", ()):
            kind, _, name = subject.partition(":")
            wanted[kinds[kind], name] = None
        for model in when.get("models", ()):
            provider, slash, _ = model.partition("/")
            if slash and not any(sign in provider for sign in "*?"):
                wanted["Provider", provider] = None
    missing = [f"{kind} {name}" for kind, name in wanted if (kind, name) not in made]
    return [f"has to be there, or in a file beside it: {', '.join(missing)}"] if missing else []


def _distinct(objects: Sequence[dict[str, Any]], notes: Notes) -> list[dict[str, Any]]:
    """Give each object a name of its own."""
    taken: set[tuple[str, str]] = set()
    found = []
    for each in objects:
        kind, name = each["kind"], each["metadata"]["name"]
        number, free = 1, name
        while (kind, free) in taken:
            number += 1
            free = f"{name}-{number}"
        if free != name:
            notes.lines.append(f"{kind} {name} is there already; this one is called {free}")
        taken.add((kind, free))
        found.append({**each, "metadata": {"name": free}})
    return found


class _WrittenOut(yaml.SafeDumper):
    """Policy files know no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(objects: Sequence[Mapping[str, Any]]) -> str:
    documents = [
        yaml.dump(
            {"apiVersion": "switchyard/v1", **each},
            Dumper=_WrittenOut,
            sort_keys=False,
            default_flow_style=None,
            width=120,
            allow_unicode=True,
        )
        for each in objects
    ]
    return "# Made by `switchyard import --from truefoundry`. Read it before you apply it.\n" + "---\n".join(documents)
