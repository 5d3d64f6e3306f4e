"""What rules say, in words: for lists, forms and pages. Pure but for the names it is handed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control_plane.access.models import AccessRule
from control_plane.budgets.models import Budget, Period
from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.rules.conditions import Condition, hours_text, loaded, loaded_all
from control_plane.rules.models import Mode, RuleFields
from control_plane.rules.subjects import Directory
from control_plane.web import numbers
from control_plane.web.key_words import ROUTE_NAMES
from switchyard_contract.counters import PER_METADATA

PERIOD_WORDS = {
    Period.MINUTE: "a minute",
    Period.HOUR: "an hour",
    Period.DAY: "a day",
    Period.WEEK: "a week",
    Period.MONTH: "a month",
    Period.QUARTER: "a quarter",
    Period.LIFETIME: "in all",
}
PER_WORDS = {
    "organization": "organization",
    "team": "team",
    "principal": "person or service account",
    "user": "person",
    "service_account": "service account",
    "key": "key",
    "model": "model",
    "provider": "provider",
    "session": "session",
}
MODE_TONES = {Mode.ENFORCE: "works", Mode.SHADOW: "told", Mode.OFF: "off"}
MODE_WORDS = {Mode.ENFORCE: "enforced", Mode.SHADOW: "shadow", Mode.OFF: "off"}
MOST_NAMED = 4
CAP_WORDS = (
    ("max_turns", "{} turns"),
    ("max_request_retries", "{} retries of the same request"),
    ("max_consecutive_failed_tool_results", "{} failed tool results in a row"),
    ("max_repeats_of_same_tool_call", "the same tool call {} times over"),
)


def listed(parts: Iterable[str], last: str = "or") -> str:
    """one, two or three; beyond a few: and so many more."""
    found = list(parts)
    if len(found) > MOST_NAMED:
        found = [*found[: MOST_NAMED - 1], f"{len(found) - MOST_NAMED + 1} more"]
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} {last} {found[-1]}"


def who(condition: Condition, directory: Directory) -> str:
    """everybody; team platform or ada@example.com."""
    if condition.is_about_everybody:
        return "everybody"
    return listed(directory.label(subject) for subject in condition.subjects)


def circumstances(condition: Condition) -> str:
    """The rest of a condition: on *opus* with environment dev, from claude-code, Mon-Fri 09:00-18:00 …; empty: none."""
    parts = []
    if condition.models:
        parts.append(f"on {listed(condition.models)}")
    parts += [f"with {key} {listed(values)}" for key, values in condition.metadata]
    if condition.clients:
        parts.append(f"from {listed(condition.clients)}")
    if condition.protocols:
        parts.append(f"in {listed(ROUTE_NAMES.get(name, name) for name in condition.protocols)}")
    if condition.hours is not None:
        parts.append(f"{hours_text(condition.hours)}")
    return ", ".join(parts)


def about(row: RuleFields, directory: Directory) -> str:
    """Whom and what a rule is about, exceptions included."""
    condition = loaded(row.when)
    text = ", ".join(part for part in (who(condition, directory), circumstances(condition)) if part)
    exceptions = [exception(each, directory) for each in loaded_all(row.when_not)]
    return f"{text}; not {listed(exceptions, 'nor')}" if exceptions else text


def exception(condition: Condition, directory: Directory) -> str:
    parts = [] if condition.is_about_everybody else [who(condition, directory)]
    return " ".join([*parts, circumstances(condition)]).strip()


def counted_for(per: Sequence[str]) -> str:
    """each person, each model; empty: all together."""
    words = [
        f"{key.removeprefix(PER_METADATA)} (metadata)" if key.startswith(PER_METADATA) else PER_WORDS.get(key, key)
        for key in per
    ]
    return f"each {' and '.join(words)}" if words else ""


def summary(row: RuleFields) -> str:
    """The rule in a few words, without whom it is about."""
    match row:
        case Budget():
            per = counted_for(row.per)
            amount = f"{numbers.money(row.limit_nano_usd)} {PERIOD_WORDS[Period(row.period)]}"
            return f"{amount} for {per}" if per else f"{amount}, together"
        case RateLimit():
            per = counted_for(row.per)
            return f"{unit_words(row.limit, row.unit)}{f' for {per}' if per else ', together'}"
        case SessionCap():
            return f"{listed(caps(row), 'and')} a session"
        case AccessRule():
            return access(row)
        case _:
            return ""


def mode_sentence(mode: str) -> str:
    match Mode(mode):
        case Mode.SHADOW:
            return "In shadow: nobody is refused. What it would have done is counted and shown."
        case Mode.OFF:
            return "Off: no pod knows of it."
        case _:
            return "Enforced: pods obey it within seconds of saving."


def unit_words(limit: int, unit: str) -> str:
    """60 requests a minute; 3 requests at the same time."""
    if unit == Unit.CONCURRENT_REQUESTS:
        return f"{limit:,} request{'' if limit == 1 else 's'} at the same time"
    what, _, time = unit.partition("_per_")
    things = what.replace("_", " ")
    return f"{limit:,} {things.removesuffix('s') if limit == 1 else things} {'an' if time == 'hour' else 'a'} {time}"


def caps(row: SessionCap) -> list[str]:
    found = [] if row.max_cost_nano_usd is None else [numbers.money(row.max_cost_nano_usd)]
    return found + [
        words.format(f"{value:,}") for name, words in CAP_WORDS if (value := getattr(row, name)) is not None
    ]


def access(row: AccessRule) -> str:
    """may use claude-haiku-*; never *opus*."""
    parts = []
    if row.allow is not None:
        parts.append(f"may use {_access_parts(row.allow) or 'everything'}")
    if row.deny:
        parts.append(f"never {_access_parts(row.deny)}")
    return "; ".join(parts)


def _access_parts(parts: Mapping[str, Any]) -> str:
    found = []
    if parts.get("models"):
        found.append(listed(parts["models"]))
    if parts.get("providers"):
        found.append(f"providers {listed(parts['providers'])}")
    if parts.get("regions"):
        found.append(f"regions {listed(parts['regions'])}")
    if parts.get("external") is True:
        found.append("external providers")
    if parts.get("external") is False:
        found.append("only providers inside the own networks")
    return ", ".join(found)
