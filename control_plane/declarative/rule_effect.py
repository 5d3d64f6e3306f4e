"""What budgets and limits that differ mean now, and for how many: "12 people get $10 a day each (everybody)".

Who is counted: owners of keys that work, whom a rule is ever about. Of a group they count with the rule that is theirs:
another one that names them more closely, whatever they ask for, takes them away.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from control_plane.budgets.models import Budget, Period
from control_plane.declarative.access_effect import holds_for
from control_plane.declarative.differences import Action, ObjectChange
from control_plane.declarative.effect import KeyFacts, Picture
from control_plane.declarative.kinds.kind import Key, Present
from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.organizations.models import Organization
from control_plane.rules.conditions import PARTS, loaded, loaded_all
from control_plane.rules.models import GroupedRuleFields, Mode
from control_plane.rules.reading import usd
from control_plane.rules.sentences import listed, what_text
from switchyard_contract.quantity import NanoUsd

_MODELS: Mapping[str, type[GroupedRuleFields]] = {"Budget": Budget, "RateLimit": RateLimit, "SessionCap": SessionCap}
_CLOSENESS = {"key": 5, "user": 4, "service_account": 4, "team": 3, "role": 2, "kind": 2}
_OWN = frozenset({"principal", "user", "service_account", "key"})
_SPANS = {Period.HOUR: "an hour", Period.LIFETIME: "for ever"}


def rule_sentences(
    organization: Organization,
    changes: Sequence[ObjectChange],
    before: Picture,
    after: Picture,
    present: Mapping[Key, Present],
) -> tuple[str, ...]:
    """A sentence for each rule that differs. Runs when everything is done: the rows are those of afterwards."""
    told = [change for change in changes if change.key.kind in _MODELS and change.action is not Action.KEEP]
    rows = {
        kind: {row.name: row for row in model._default_manager.filter(organization=organization)}
        for kind, model in _MODELS.items()
        if any(change.key.kind == kind for change in told)
    }
    return tuple(_sentences(told, rows, before, after, present))


def _sentences(
    changes: Sequence[ObjectChange],
    rows: Mapping[str, Mapping[str, Any]],
    before: Picture,
    after: Picture,
    present: Mapping[Key, Present],
) -> Iterator[str]:
    for change in changes:
        name, siblings = change.key.name, list(rows[change.key.kind].values())
        if change.action is Action.DELETE:
            gone = present[change.key].row
            who = _who(_owners(gone, siblings, before))
            if gone.mode == Mode.ENFORCE and who:
                yield f"{who[0]} {_are(who[1])} no longer held by {name}."
            continue
        row = rows[change.key.kind][name]
        if row.mode == Mode.OFF:
            yield f"{name} is switched off."
            continue
        who = _who(_owners(row, siblings, after))
        if not who:
            yield f"{name} touches nobody now."
            continue
        earlier = present.get(change.key)
        words = _WORDS[change.key.kind](row, who[0], who[1] > 1, None if earlier is None else earlier.spec)
        shadow = ", in shadow, which stops nobody" if row.mode == Mode.SHADOW else ""
        yield f"{words} ({name}){shadow}."


def _owners(row: Any, siblings: Sequence[Any], picture: Picture) -> dict[str, bool]:
    """Whom a rule is about: their names, and whether each is a person."""
    rivals = [each for each in siblings if row.group and each.group == row.group and each.name != row.name]
    rivals = [each for each in rivals if each.mode == row.mode and not each.when_not and not _asks(each)]
    found: dict[str, bool] = {}
    decided: dict[tuple[frozenset[str], bool], bool] = {}
    for key in picture.keys.values():
        alike = key.subjects, key.is_personal
        if alike not in decided:
            decided[alike] = _is_about(row, key) and not any(
                _is_about(each, key) and _rank(each, key) > _rank(row, key) for each in rivals
            )
        if decided[alike]:
            found[key.owner] = key.is_personal
    return found


def _is_about(row: Any, key: KeyFacts) -> bool:
    per = getattr(row, "per", ())
    if ("user" in per and not key.is_personal) or ("service_account" in per and key.is_personal):
        return False
    return holds_for(loaded(row.when), loaded_all(row.when_not), key.subjects)


def _asks(row: Any) -> bool:
    return any(row.when.get(part) for part in PARTS if part != "subjects")


def _rank(row: Any, key: KeyFacts) -> tuple[int, int, int]:
    """How closely a rule names somebody (interface.md section 7.2)."""
    subjects = row.when.get("subjects", ())
    closeness = max((_CLOSENESS.get(each.partition(":")[0], 1) for each in subjects if each in key.subjects), default=1)
    limit = getattr(row, "limit_nano_usd", None) or getattr(row, "limit", None) or 0
    return closeness, sum(bool(row.when.get(part)) for part in PARTS), limit


def _who(owners: Mapping[str, bool]) -> tuple[str, int] | None:
    people = sum(owners.values())
    accounts = len(owners) - people
    parts = []
    if people:
        parts.append("1 person" if people == 1 else f"{people:,} people")
    if accounts:
        parts.append("1 service account" if accounts == 1 else f"{accounts:,} service accounts")
    return (listed(parts), len(owners)) if parts else None


def _budget_words(row: Budget, who: str, are_many: bool, earlier: Mapping[str, Any] | None) -> str:
    amount = f"{_dollars(row.limit_nano_usd)} {_SPANS.get(Period(row.period)) or f'a {row.period}'}"
    was = ""
    if earlier is not None and earlier["limit_usd"] != usd(NanoUsd(row.limit_nano_usd)):
        was = f" instead of ${earlier['limit_usd'].removesuffix('.00')}"
    what = _for(row)
    if _is_own(row.per):
        return f"{who} {'get' if are_many else 'gets'} {amount}{' each' if are_many else ''}{what}{was}"
    return f"{who} {'share' if are_many else 'has'} {amount}{what}{was}"


def _rate_words(row: RateLimit, who: str, are_many: bool, earlier: Mapping[str, Any] | None) -> str:
    if row.unit == Unit.CONCURRENT_REQUESTS:
        much = f"{row.limit:,} requests at once"
    else:
        what, _, span = str(row.unit).partition("_per_")
        much = f"{row.limit:,} {what.replace('_', ' ')} {'an' if span == 'hour' else 'a'} {span}"
    verb = "may have" if row.unit == Unit.CONCURRENT_REQUESTS or "token" in row.unit else "may make"
    shared = (" each" if _is_own(row.per) else " together") if are_many else ""
    return f"{who} {verb} {much}{shared}{_for(row)}"


def _cap_words(row: SessionCap, who: str, are_many: bool, earlier: Mapping[str, Any] | None) -> str:
    caps = [] if row.max_cost_nano_usd is None else [_dollars(row.max_cost_nano_usd)]
    for name, words in _CAPS.items():
        if (number := getattr(row, name)) is not None:
            caps.append(words.format(number))
    return f"Sessions of {who} end at {listed(caps, 'or')}{_for(row)}"


_CAPS = {
    "max_turns": "{:,} turns",
    "max_request_retries": "{:,} retries of a request",
    "max_consecutive_failed_tool_results": "{:,} failed tools in a row",
    "max_repeats_of_same_tool_call": "{:,} repeats of a tool call",
}
_WORDS: Mapping[str, Callable[[Any, str, bool, Mapping[str, Any] | None], str]] = {
    "Budget": _budget_words,
    "RateLimit": _rate_words,
    "SessionCap": _cap_words,
}


def _for(row: Any) -> str:
    """What they ask for, where the rule is about that."""
    text = what_text(loaded(row.when))
    return f" {text}" if text else ""


def _is_own(per: Collection[str]) -> bool:
    return not _OWN.isdisjoint(per)


def _dollars(amount: int) -> str:
    whole, _, rest = usd(NanoUsd(amount)).partition(".")
    return f"${int(whole):,}{'' if rest == '00' else f'.{rest}'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
