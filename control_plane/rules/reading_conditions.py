"""Read `when` from names, and write it back by names."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import available_timezones

from control_plane.organizations.models import Organization
from control_plane.rules.channels import channel_names
from control_plane.rules.conditions import (
    DAYS,
    ORGANIZATION,
    PARTS,
    Condition,
    Hours,
    Subject,
    Window,
    clock,
    hours_text,
    loaded_all,
    stored,
)
from control_plane.rules.globs import LONGEST_GLOB
from control_plane.rules.models_named import ModelNames
from control_plane.rules.periods import zone_of
from control_plane.rules.problems import Problems, did_you_mean, shown
from control_plane.rules.reading import SpecReader, is_plain_text
from control_plane.rules.subjects import Directory, UnknownSubject
from switchyard_contract.counters import PER, PER_METADATA
from switchyard_contract.routes import ROUTES

MOST_CONDITIONS = 20
MOST_WINDOWS = 50
METADATA_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_WINDOW = re.compile(r"(?P<days>[A-Za-z]{3}(?:\s*[-,]\s*[A-Za-z]{3})*)\s+(?P<from>\S+?)\s*-\s*(?P<until>\S+?)")


@dataclass(frozen=True, slots=True)
class World:
    """Whom and what rules of an organization may name."""

    organization: Organization
    directory: Directory
    models: ModelNames

    @classmethod
    def of(cls, organization: Organization) -> "World":
        return cls(organization, Directory(organization), ModelNames.of(organization))

    def channels(self) -> Collection[str] | None:
        """The names of its alert channels; None: they cannot be checked."""
        return channel_names(self.organization.id)


@dataclass(frozen=True, slots=True)
class When:
    """`when` with its `not`."""

    when: Condition = field(default_factory=Condition)
    when_not: tuple[Condition, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return (self.when, *self.when_not)

    @property
    def columns(self) -> dict[str, Any]:
        return {"when": stored(self.when), "when_not": [stored(each) for each in self.when_not]}


def read_when(reader: SpecReader, world: World, kept: Collection[Subject] = ()) -> When:
    """Read the field `when` of a rule. kept: subjects that it names already, which may stay although they are gone."""
    inner = reader.inner("when")
    if inner is None:
        return When()
    excluded = inner.given("not")
    condition = _condition(inner, world, kept)
    found: list[Condition] = []
    if isinstance(excluded, Mapping):
        # Each part of it excludes on its own; a list of conditions excludes where all parts of one fit.
        whole = _condition(SpecReader(excluded, inner.problems, inner.field("not")), world, kept)
        found = _parts_of(whole)
        if not excluded:
            inner.wrong("not", "Nothing is excluded. Name what is, or leave the field out.")
    elif isinstance(excluded, list | tuple):
        if not excluded or len(excluded) > MOST_CONDITIONS:
            inner.wrong("not", f"A list of 1 to {MOST_CONDITIONS} conditions, or one object with parts.")
        for position, each in enumerate(excluded[:MOST_CONDITIONS]):
            path = f"{inner.field('not')}[{position}]"
            found.append(_condition(SpecReader(each, inner.problems, path), world, kept))
    elif excluded is not None:
        inner.wrong("not", f"{shown(excluded)} is no object with parts.")
    if any(each.is_about_everything for each in found) and not inner.problems:
        inner.wrong("not", "This excludes every exchange. Name what is excluded, or leave the field out.")
    return When(condition, tuple(found))


def when_spec(when: Condition, when_not: Sequence[Condition], directory: Directory) -> dict[str, Any]:
    """Write `when` by names. `not` is an object where each of its conditions has one part, and a part of its own."""
    found = _condition_spec(when, directory)
    specs = [_condition_spec(each, directory) for each in when_not]
    names = [name for spec in specs for name in spec]
    if not specs:
        return found
    is_plain = len(names) == len(specs) == len(set(names))
    return {**found, "not": {name: spec[name] for spec in specs for name in spec} if is_plain else specs}


def missing_subjects(conditions: Iterable[Condition], directory: Directory) -> list[str]:
    """Subjects that the conditions name and that are gone, as they are written."""
    named = (directory.named(subject) for condition in conditions for subject in condition.subjects)
    return sorted({str(each) for each in named if each.is_missing})


def subjects_of(when: Mapping[str, Any], when_not: Sequence[Mapping[str, Any]]) -> frozenset[Subject]:
    """All subjects that stored conditions name."""
    return frozenset(subject for condition in loaded_all([when, *when_not]) for subject in condition.subjects)


def read_per(reader: SpecReader) -> tuple[str, ...]:
    """Read `per`: what a rule has a counter of its own for."""

    def wrong_with(text: str) -> str:
        if text in PER:
            return ""
        if text.startswith(PER_METADATA):
            key = text.removeprefix(PER_METADATA)
            return "" if METADATA_KEY.fullmatch(key) else f"{shown(key)} is no key of metadata. Right: metadata.team."
        near = did_you_mean(text, PER)
        return f"{shown(text)} is nothing to count by.{near} Right: {', '.join(PER)}, metadata.<key>."

    found = reader.texts("per", what=f"{', '.join(PER)} or metadata.<key>", check=wrong_with, may_be_empty=True)
    if "user" in found and "service_account" in found:
        reader.wrong("per", "Nothing is of a user and of a service account at once. Right: principal, which is either.")
    elif len(found) > 4:
        reader.wrong("per", f"At most 4 together; these are {len(found)}.")
    return found


def read_timezone(reader: SpecReader, name: str = "timezone") -> str:
    """Read an IANA zone; UTC where none is given."""
    text = reader.text(name, most=64, default="UTC")
    if zone_of(text) is None:
        reader.wrong(name, _no_zone(text))
        return "UTC"
    return text


def wrong_with_glob(glob: str) -> str:
    if len(glob) > LONGEST_GLOB or not is_plain_text(glob):
        return f"Text of at most {LONGEST_GLOB} characters; * stands for any text, ? for one character."
    return ""


def _condition(reader: SpecReader, world: World, kept: Collection[Subject]) -> Condition:
    condition = Condition(
        subjects=_subjects(reader, world, kept),
        models=reader.texts("models", what="models or globs", check=world.models.wrong_with),
        metadata=_metadata(reader),
        clients=reader.texts("clients", what="tools such as claude-code, or globs", check=wrong_with_glob),
        protocols=reader.texts("protocols", what=", ".join(ROUTES), check=_wrong_with_protocol),
        hours=_hours(reader),
    )
    reader.refuse_unknown()
    return condition


def _subjects(reader: SpecReader, world: World, kept: Collection[Subject]) -> tuple[Subject, ...]:
    found: list[Subject] = []
    for position, text in enumerate(reader.items("subjects", what="subjects such as team:platform")):
        try:
            if not isinstance(text, str) or not is_plain_text(text):
                raise UnknownSubject(f"{shown(text)} is no subject. Right: team:platform.")
            subject = world.directory.find(text, kept=kept)
        except UnknownSubject as failure:
            reader.wrong(f"subjects[{position}]", str(failure))
            continue
        if subject not in found:
            found.append(subject)
    if len(found) > 1 and Subject(ORGANIZATION) in found:
        reader.wrong("subjects", "organization takes in everybody, so nobody else can be named beside it.")
    return tuple(found)


def _metadata(reader: SpecReader) -> tuple[tuple[str, tuple[str, ...]], ...]:
    inner = reader.inner("metadata")
    if inner is None:
        return ()
    keys = list(reader.given("metadata")) if isinstance(reader.given("metadata"), Mapping) else []
    if not keys:
        reader.wrong("metadata", "Without a key it fits nothing. Name one, or leave the field out.")
    found = []
    for key in sorted(map(str, keys)):
        if not METADATA_KEY.fullmatch(key):
            inner.wrong(key[:60], "No key of metadata. Right: letters, digits, dots, dashes, underscores; at most 64.")
            continue
        found.append((key, inner.texts(key, what="values or globs", check=wrong_with_glob, longest=256)))
    return tuple(found)


def _wrong_with_protocol(text: str) -> str:
    if text in ROUTES:
        return ""
    return f"{shown(text)} is no protocol.{did_you_mean(text, ROUTES)} Right: {', '.join(ROUTES)}."


def _hours(reader: SpecReader) -> Hours | None:
    given = reader.given("hours")
    if given is None:
        return None
    where = reader.field("hours")
    if isinstance(given, str):
        given = _hours_fields(given, reader.problems, where)
        if given is None:
            return None
    inner = SpecReader(given, reader.problems, where)
    timezone = read_timezone(inner)
    windows = tuple(
        window
        for position, each in enumerate(inner.items("windows", what="windows", most=MOST_WINDOWS))
        if (window := _window(SpecReader(each, inner.problems, f"{where}.windows[{position}]"))) is not None
    )
    if not inner.has("windows"):
        inner.wrong("windows", "Say when: days, from, until.")
    inner.refuse_unknown()
    return Hours(timezone, windows)


def _hours_fields(text: str, problems: Problems, where: str) -> dict[str, Any] | None:
    """Read `Mon-Fri 09:00-18:00, Sat 10:00-14:00 Europe/Berlin` as fields."""
    spans, space, timezone = text.strip().rpartition(" ")
    windows: list[dict[str, str]] = []
    for part in re.split(r",\s*(?=[A-Za-z]{3}\b[^,]*\d)", spans) if space else []:
        read = _WINDOW.fullmatch(part.strip())
        if read is None:
            windows = []
            break
        windows.append({"days": read["days"], "from": read["from"], "until": read["until"]})
    if not windows:
        problems.add(where, f"{shown(text)} are no hours. Right: Mon-Fri 09:00-18:00 Europe/Berlin.")
        return None
    return {"timezone": timezone, "windows": windows}


def _window(reader: SpecReader) -> Window | None:
    days = _days(reader)
    start, end = _minute(reader, "from"), _minute(reader, "until")
    reader.refuse_unknown()
    if start == 24 * 60:
        reader.wrong("from", "A day begins at 00:00; 24:00 is its end.")
    if start is None or end is None or not days:
        return None
    if start == end:
        reader.wrong("until", "The window is empty. Right for a whole day: from 00:00 until 24:00.")
        return None
    return Window(days, start, end)


def _days(reader: SpecReader) -> tuple[str, ...]:
    given = reader.given("days")
    if given is None:
        return DAYS
    parts = re.split(r"\s*,\s*", given.strip()) if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not parts:
        reader.wrong("days", f"{shown(given)} are no days. Right: mon-fri, or a list of {', '.join(DAYS)}.")
        return ()
    found: set[str] = set()
    for part in parts:
        first, dash, last = str(part).strip().lower().partition("-")
        first, last = first.strip(), last.strip() if dash else first.strip()
        if first not in DAYS or last not in DAYS:
            reader.wrong("days", f"{shown(part)} is no day. Right: {', '.join(DAYS)}, or mon-fri.")
            return ()
        start, length = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7 + 1
        found.update(DAYS[(start + offset) % 7] for offset in range(length))
    return tuple(day for day in DAYS if day in found)


def _minute(reader: SpecReader, name: str) -> int | None:
    given = reader.given(name)
    read = _CLOCK.fullmatch(given.strip()) if isinstance(given, str) else None
    minute = None if read is None else int(read[1]) * 60 + int(read[2])
    if minute is None or minute > 24 * 60:
        reader.wrong(name, f"{'Nothing' if given is None else shown(given)} is no time of day. Right: 09:00, or 24:00.")
        return None
    return minute


def _no_zone(text: str) -> str:
    return f"There is no time zone {shown(text)}.{did_you_mean(text, available_timezones())} Right: Europe/Berlin, UTC."


def _parts_of(condition: Condition) -> list[Condition]:
    """One condition for each part that is given."""
    given = [name for name in PARTS if getattr(condition, name)]
    return [Condition(**{name: getattr(condition, name)}) for name in given]


def _condition_spec(condition: Condition, directory: Directory) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if condition.subjects:
        found["subjects"] = [str(directory.named(subject)) for subject in condition.subjects]
    if condition.models:
        found["models"] = list(condition.models)
    if condition.metadata:
        found["metadata"] = {key: list(values) for key, values in condition.metadata}
    if condition.clients:
        found["clients"] = list(condition.clients)
    if condition.protocols:
        found["protocols"] = list(condition.protocols)
    if condition.hours is not None:
        found["hours"] = {
            "timezone": condition.hours.timezone,
            "windows": [
                {"days": list(window.days), "from": clock(window.from_minute), "until": clock(window.until_minute)}
                for window in condition.hours.windows
            ],
        }
    return found


__all__ = [
    "When",
    "World",
    "hours_text",
    "missing_subjects",
    "read_per",
    "read_timezone",
    "read_when",
    "subjects_of",
    "when_spec",
    "wrong_with_glob",
]
