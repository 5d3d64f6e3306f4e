"""TrueFoundry's gateway files to policy files of ours, with a report of what could not be carried. Pure.

Their lists apply the first rule that matches; ours apply all rules, and of a `group` the most specific one. So each
list becomes one group, and where the order of the list and the order by specificity could decide differently, the
report says so. Fields that have no place here are named one by one, never dropped silently.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from deploy.remote.refused import Refused
from deploy.remote.truefoundry_routes import is_route, routes_of

RATE_LIMITS = "gateway-rate-limiting-config"
BUDGETS = "gateway-budget-config"
LOAD_BALANCING = "gateway-load-balancing-config"

_RATE_UNITS = frozenset(f"{what}_per_{span}" for what in ("requests", "tokens") for span in ("minute", "hour", "day"))
_PERIODS = {"cost_per_minute": "minute", "cost_per_hour": "hour", "cost_per_day": "day", "cost_per_week": "week",
            "cost_per_month": "month"}  # fmt: skip
_DIMENSIONS = {"user": "user", "team": "team", "model": "model", "virtualaccount": "service_account",
               "virtual_account": "service_account"}  # fmt: skip
_SUBJECTS = {"user": "user", "team": "team", "virtualaccount": "service_account", "virtual_account": "service_account"}
_SPECIFICITY = {"user": 4, "service_account": 4, "team": 3, "role": 2}
_WHEN = ("subjects", "models", "metadata")


@dataclass(frozen=True, slots=True)
class Converted:
    """The policy file, and what to know about it, a line each."""

    text: str
    report: tuple[str, ...]


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
    counts = Counter(each["kind"] for each in objects)
    summary = "converted: " + ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
    return Converted(_text(objects), (summary, *notes.lines))


def named(text: Any, fallback: str) -> str:
    """A name of ours from one of theirs."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(text or "")).strip("-._")[:60]
    return name or fallback


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
            yield from _rules(document, "rate-limits", notes, _rate_limit)
        case "gateway-budget-config":
            yield from _rules(document, "budgets", notes, _budget)
            if isinstance(document.get("rules"), list) and len(document["rules"]) > 1:
                notes.add(
                    "there, cost is added to every rule that matches although only the first one decides; "
                    "here, a group counts only on the rule that applies"
                )
        case _ if is_route(document):
            yield from routes_of(document, notes)
        case other:
            notes.add(f"type {str(other)[:60]!r} is not carried")


def _rules(document: Mapping[str, Any], fallback: str, notes: Notes, convert_rule: Any) -> Iterator[dict[str, Any]]:
    rules = document.get("rules")
    if not isinstance(rules, list):
        notes.add("there are no rules")
        return
    notes.left_over(document, ("name", "type", "rules", "version"))
    group = named(document.get("name"), fallback)
    made: list[tuple[str, dict[str, Any]]] = []
    for number, rule in enumerate(rules, start=1):
        if not isinstance(rule, dict):
            notes.add(f"rule {number} is no rule and is not carried")
            continue
        here = notes.at(f"rule {rule.get('id', number)}")
        spec = convert_rule(rule, here)
        if spec is None:
            continue
        if len(rules) > 1:
            spec["group"] = group
        made.append((named(rule.get("id"), f"{fallback}-{number}"), spec))
    _check_order(made, notes)
    kind = "RateLimit" if convert_rule is _rate_limit else "Budget"
    for name, spec in made:
        yield {"kind": kind, "metadata": {"name": name}, "spec": spec}


def _rate_limit(rule: Mapping[str, Any], notes: Notes) -> dict[str, Any] | None:
    notes.left_over(rule, ("id", "when", "limit_to", "unit", "rate_limit_applies_per"))
    unit = str(rule.get("unit", ""))
    limit = _number(rule.get("limit_to"))
    if unit not in _RATE_UNITS or limit is None or limit != int(limit) or limit < 0:
        notes.add(f"limit_to {rule.get('limit_to')!r} {unit!r} is no rate limit that is known; the rule is not carried")
        return None
    return {
        "when": _when(rule.get("when"), notes),
        "limit": int(limit),
        "unit": unit,
        "per": _per(rule.get("rate_limit_applies_per"), notes),
    }


def _budget(rule: Mapping[str, Any], notes: Notes) -> dict[str, Any] | None:
    notes.left_over(rule, ("id", "when", "limit_to", "unit", "budget_applies_per", "audit_mode", "alerts"))
    period = _PERIODS.get(str(rule.get("unit", "")))
    limit = _number(rule.get("limit_to"))
    if period is None or limit is None or limit < 0:
        notes.add(
            f"limit_to {rule.get('limit_to')!r} {rule.get('unit')!r} is no budget that is known; "
            "the rule is not carried"
        )
        return None
    stages: list[dict[str, Any]] = [{"at": at, "do": "alert"} for at in _thresholds(rule.get("alerts"), notes)]
    stages.append({"at": 100, "do": "block"})
    return {
        "when": _when(rule.get("when"), notes),
        "limit_usd": _dollars(limit),
        "period": period,
        "timezone": "UTC",
        "per": _per(rule.get("budget_applies_per"), notes),
        "stages": stages,
        # Theirs counts and alerts but never refuses.
        "mode": "shadow" if rule.get("audit_mode") is True else "enforce",
    }


def _thresholds(alerts: Any, notes: Notes) -> list[int]:
    if alerts is None:
        return []
    if not isinstance(alerts, dict):
        notes.add("alerts are no fields and are not carried")
        return []
    notes.left_over(alerts, ("thresholds", "notification_target", "notification_enabled"))
    targets = alerts.get("notification_target") or []
    for target in targets if isinstance(targets, list) else [targets]:
        told = (
            " ".join(f"{name} {value}" for name, value in target.items()) if isinstance(target, dict) else str(target)
        )
        notes.add(f"alerts to {told[:200]} are not carried: make an alert channel, and name it in the stage's notify")
    found = set()
    for at in alerts.get("thresholds") or []:
        percent = _number(at)
        if percent is None or percent != int(percent) or not 0 < percent < 100:
            notes.add(f"a threshold at {at!r} is not carried: here alerts stand below 100 %, in whole percent")
        else:
            found.add(int(percent))
    return sorted(found)


def _when(given: Any, notes: Notes) -> dict[str, Any]:
    if given in (None, {}):
        return {}
    if not isinstance(given, dict):
        notes.add("when is no field list; the rule now matches everything")
        return {}
    notes.left_over(given, _WHEN)
    when: dict[str, Any] = {}
    if subjects := [mapped for each in _list(given.get("subjects")) if (mapped := _subject(str(each), notes))]:
        when["subjects"] = subjects
    elif given.get("subjects"):
        # Nothing of it could be carried: rather a rule for nobody than one for everybody.
        when["subjects"] = ["user:nobody@invalid"]
        notes.add("none of the subjects could be carried, so the rule matches nobody; name them yourself")
    if models := [str(each) for each in _list(given.get("models"))]:
        when["models"] = models
    metadata = given.get("metadata")
    if isinstance(metadata, dict) and metadata:
        when["metadata"] = {str(name): str(value) for name, value in metadata.items()}
    return when


def _subject(text: str, notes: Notes) -> str:
    kind, colon, name = text.partition(":")
    if text == "*":
        return "*"
    mapped = _SUBJECTS.get(kind.replace("-", "_")) or _SUBJECTS.get(kind.replace("-", ""))
    if not colon or mapped is None or not name:
        notes.add(f"the subject {text!r} is not carried; there are user:, team: and virtualaccount: only")
        return ""
    return f"{mapped}:{name}"


def _per(given: Any, notes: Notes) -> list[str]:
    """Their rules without a dimension have one counter for everybody."""
    found = []
    for each in _list(given):
        text = str(each)
        mapped = text if text.startswith("metadata.") else _DIMENSIONS.get(text.replace("-", "_"))
        if mapped is None:
            notes.add(f"counting per {text!r} is not carried")
        else:
            found.append(mapped)
    return found or ["organization"]


def _check_order(made: Sequence[tuple[str, Mapping[str, Any]]], notes: Notes) -> None:
    """Where a later rule of the list is the more specific one, ours would apply it and theirs would not."""
    for position, (first_name, first) in enumerate(made):
        for later_name, later in made[position + 1 :]:
            if _rank(later, "limit_usd" in later) > _rank(first, "limit_usd" in first) and _may_overlap(first, later):
                notes.add(
                    f"{first_name} stands before {later_name}, which is more specific: there {first_name} decides "
                    f"for what matches both, here {later_name} does"
                )


def _rank(spec: Mapping[str, Any], is_money: bool) -> tuple[int, int, Decimal]:
    when = spec["when"]
    subject = max((_SPECIFICITY.get(each.partition(":")[0], 1) for each in when.get("subjects", ())), default=0)
    return subject, len(when), Decimal(spec["limit_usd"] if is_money else spec["limit"])


def _may_overlap(first: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    one, other = first["when"], later["when"]
    for part in ("subjects", "models"):
        left, right = set(one.get(part, ())), set(other.get(part, ()))
        same_kind = {each.partition(":")[0] for each in left} == {each.partition(":")[0] for each in right}
        is_plain = not any(sign in each for each in left | right for sign in "*?[")
        # People may be in several teams; a user is one user, and a plain model is one model.
        is_exclusive = part == "models" or not any(each.startswith("team:") for each in left | right)
        if left and right and is_plain and is_exclusive and (part == "models" or same_kind) and left.isdisjoint(right):
            return False
    left_tags, right_tags = one.get("metadata", {}), other.get("metadata", {})
    return all(left_tags[name] == right_tags[name] for name in left_tags.keys() & right_tags.keys())


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value).replace("_", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _dollars(amount: Decimal) -> str:
    exponent = amount.normalize().as_tuple().exponent
    places = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{amount:.{places}f}"


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


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


def _text(objects: Sequence[Mapping[str, Any]]) -> str:
    documents = [
        yaml.safe_dump(
            {"apiVersion": "switchyard/v1", **each},
            sort_keys=False,
            default_flow_style=None,
            width=120,
            allow_unicode=True,
        )
        for each in objects
    ]
    return "# Made by `switchyard import --from truefoundry`. Read it before you apply it.\n" + "---\n".join(documents)
