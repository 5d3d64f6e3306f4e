"""Which exchanges a rule is about, as it is stored: subjects by id, everything else as it was written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ORGANIZATION = "organization"
"""The subject that takes in everybody; alone in its list."""
SUBJECT_KINDS = ("organization", "team", "role", "user", "service_account", "key", "kind")
PRINCIPAL_KINDS = ("user", "service_account")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PARTS = ("subjects", "models", "metadata", "clients", "protocols", "hours")


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody or something that acts. value: 32 hex digits of a team, user or service account, the public id of a
    key, a role, or a kind of principal; empty for the organization."""

    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind

    @classmethod
    def of(cls, text: str) -> "Subject":
        kind, _, value = text.partition(":")
        return cls(kind, value)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of certain days. until_minute may lie on the next day, or be before from_minute: then it goes over
    midnight. Minutes count from midnight of the wall clock."""

    days: tuple[str, ...]
    from_minute: int
    until_minute: int

    @property
    def is_over_midnight(self) -> bool:
        return self.until_minute <= self.from_minute


@dataclass(frozen=True, slots=True)
class Hours:
    timezone: str
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Every part that is given has to fit; alternatives inside a part; no part: every exchange."""

    subjects: tuple[Subject, ...] = ()
    models: tuple[str, ...] = ()
    metadata: tuple[tuple[str, tuple[str, ...]], ...] = ()
    clients: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    hours: Hours | None = None

    @property
    def is_about_everybody(self) -> bool:
        """Whether no subject narrows it."""
        return not self.subjects or any(subject.kind == ORGANIZATION for subject in self.subjects)

    @property
    def is_about_subjects_alone(self) -> bool:
        """Whether it says who, and nothing of what they ask for."""
        return bool(self.subjects) and not self._asks

    @property
    def is_about_everything(self) -> bool:
        return self.is_about_everybody and not self._asks

    @property
    def _asks(self) -> bool:
        return bool(self.models or self.metadata or self.clients or self.protocols or self.hours)


EVERYTHING = Condition()


def stored(condition: Condition) -> dict[str, Any]:
    """Write a condition for its column: only the parts that are given."""
    found: dict[str, Any] = {}
    if condition.subjects:
        found["subjects"] = [str(subject) for subject in condition.subjects]
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
                {"days": list(window.days), "from": window.from_minute, "until": window.until_minute}
                for window in condition.hours.windows
            ],
        }
    return found


def loaded(column: Mapping[str, Any]) -> Condition:
    """Read a condition back from its column."""
    hours = column.get("hours")
    return Condition(
        subjects=tuple(Subject.of(text) for text in column.get("subjects", ())),
        models=tuple(column.get("models", ())),
        metadata=tuple((key, tuple(values)) for key, values in sorted(column.get("metadata", {}).items())),
        clients=tuple(column.get("clients", ())),
        protocols=tuple(column.get("protocols", ())),
        hours=None
        if hours is None
        else Hours(
            hours["timezone"],
            tuple(Window(tuple(each["days"]), each["from"], each["until"]) for each in hours["windows"]),
        ),
    )


def loaded_all(column: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Read `when_not` back."""
    return tuple(loaded(each) for each in column)


def clock(minute: int) -> str:
    """Minutes since midnight as a wall clock shows them; the end of the day is 24:00."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def days_text(days: Sequence[str]) -> str:
    """Days as people write them: Mon-Fri, Sat."""
    numbers = sorted(DAYS.index(day) for day in days)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        DAYS[run[0]].capitalize() if len(run) == 1 else f"{DAYS[run[0]].capitalize()}-{DAYS[run[-1]].capitalize()}"
        for run in runs
    )


def hours_text(hours: Hours) -> str:
    """Hours as people write them: `Mon-Fri 09:00-18:00 Europe/Berlin`."""
    windows = ", ".join(
        f"{days_text(window.days)} {clock(window.from_minute)}-{clock(window.until_minute)}" for window in hours.windows
    )
    return f"{windows} {hours.timezone}"
