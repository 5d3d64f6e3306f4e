"""Lists of rate limits and budgets of TrueFoundry to rules of ours. Pure.

Their lists apply the first rule that matches; ours apply all rules, and of a `group` the most specific one. So each
list becomes one group, and where the order of the list and the order by specificity could decide differently, the
notes say so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from deploy.remote.truefoundry_conditions import Notes, as_list, head_of, per_of

_RATE_UNITS = frozenset(f"{what}_per_{span}" for what in ("requests", "tokens") for span in ("minute", "hour", "day"))
_PERIODS = {"cost_per_minute": "minute", "cost_per_hour": "hour", "cost_per_day": "day", "cost_per_week": "week",
            "cost_per_month": "month"}  # fmt: skip
_SPECIFICITY = {"user": 4, "service_account": 4, "team": 3, "role": 2}
_MOST_NAME = 100
_FULL = 100
NOTHING_AT_ALL = "a limit of 0 refuses everything; write an AccessRule that denies it; the rule is not carried"


def rate_limits_of(document: Mapping[str, Any], notes: Notes) -> Iterator[dict[str, Any]]:
    """The rules of a gateway-rate-limiting-config."""
    yield from _rules(document, "rate-limits", notes, _rate_limit)
    if any(str(rule.get("unit", "")).endswith("_per_day") for rule in _dicts(document.get("rules"))):
        notes.add("there, a day is the last 24 hours; here it begins at midnight in UTC")


def budgets_of(document: Mapping[str, Any], notes: Notes) -> Iterator[dict[str, Any]]:
    """The rules of a gateway-budget-config, and the channels that their alerts go to."""
    channels = Channels()
    found = list(_rules(document, "budgets", notes, partial(_budget, channels)))
    yield from channels.objects
    yield from found
    if len(found) > 1:
        notes.add(
            "there, cost is added to every rule that matches although only the first one decides; "
            "here, a group counts only on the rule that applies"
        )


def rule_named(text: Any, fallback: str) -> str:
    """A name of ours for a rule, a group or a channel: lower-case, ending as plainly as it begins."""
    return re.sub(r"[^a-z0-9._-]+", "-", str(text or "").lower()).strip("-._")[:_MOST_NAME].strip("-._") or fallback


def _rules(document: Mapping[str, Any], fallback: str, notes: Notes, convert_rule: Any) -> Iterator[dict[str, Any]]:
    rules = document.get("rules")
    if not isinstance(rules, list):
        notes.add("there are no rules")
        return
    notes.left_over(document, ("name", "type", "rules", "version"))
    group = rule_named(document.get("name"), fallback)
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
        made.append((rule_named(rule.get("id"), f"{fallback}-{number}"), spec))
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
    if limit == 0:
        notes.add(NOTHING_AT_ALL)
        return None
    return {
        **head_of(rule.get("when"), notes),
        "limit": int(limit),
        "unit": unit,
        "per": per_of(rule.get("rate_limit_applies_per"), notes),
    }


def _budget(channels: "Channels", rule: Mapping[str, Any], notes: Notes) -> dict[str, Any] | None:
    notes.left_over(rule, ("id", "when", "limit_to", "unit", "budget_applies_per", "audit_mode", "alerts"))
    period = _PERIODS.get(str(rule.get("unit", "")))
    limit = _number(rule.get("limit_to"))
    if period is None or limit is None or limit < 0:
        notes.add(
            f"limit_to {rule.get('limit_to')!r} {rule.get('unit')!r} is no budget that is known; "
            "the rule is not carried"
        )
        return None
    if limit == 0:
        notes.add(NOTHING_AT_ALL)
        return None
    head = head_of(rule.get("when"), notes)
    told = channels.named_for(rule.get("alerts"), notes)
    thresholds = _thresholds(rule.get("alerts"), notes)
    notify = {"notify": told} if told else {}
    stages: list[dict[str, Any]] = [{"at": at, "do": "alert", **notify} for at in thresholds if at < _FULL]
    stages.append({"at": _FULL, "do": "block", **(notify if _FULL in thresholds else {})})
    if thresholds and not told:
        notes.add("its alerts go to the team lead, since nobody else could be carried")
    if rule.get("audit_mode") is True:
        # Theirs counts and alerts but never refuses.
        head["mode"] = head.get("mode", "shadow")
        if thresholds:
            notes.add(
                "audit_mode becomes shadow, which is counted and shown and sends no alerts; "
                "for alerts alone set mode: enforce and take the block out of its stages"
            )
    return {
        **head,
        "limit_usd": _dollars(limit),
        "period": period,
        "timezone": "UTC",
        "per": per_of(rule.get("budget_applies_per"), notes),
        "stages": stages,
    }


@dataclass(slots=True)
class Channels:
    """The alert channels that one list of budgets needs; the same addresses are one channel."""

    by_addresses: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def objects(self) -> Iterator[dict[str, Any]]:
        for addresses, name in self.by_addresses.items():
            spec = {"type": "email", "addresses": list(addresses)}
            yield {"kind": "AlertChannel", "metadata": {"name": name}, "spec": spec}

    def named_for(self, alerts: Any, notes: Notes) -> list[str]:
        """The channels of a rule's alerts; whoever cannot be reached here is told of."""
        found: dict[str, None] = {}
        for target in as_list(alerts.get("notification_target")) if isinstance(alerts, dict) else []:
            given = target if isinstance(target, dict) else {}
            addresses = tuple(dict.fromkeys(str(each).strip() for each in as_list(given.get("to_emails"))))
            if str(given.get("type", "email")) == "email" and addresses and all("@" in each for each in addresses):
                notes.left_over(given, ("type", "to_emails", "name", "id", "notification_channel"))
                wished = rule_named(given.get("name") or given.get("id"), f"alerts-{len(self.by_addresses) + 1}")
                found[self.by_addresses.setdefault(addresses, self._free(wished))] = None
                continue
            told = " ".join(f"{name} {value}" for name, value in given.items()) or str(target)
            notes.add(
                f"alerts to {told[:200]} are not carried: make an alert channel of the type webhook, "
                "and name it in the stage's notify"
            )
        return list(found)

    def _free(self, name: str) -> str:
        taken, number, free = set(self.by_addresses.values()), 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        return free


def _thresholds(alerts: Any, notes: Notes) -> list[int]:
    if alerts is None:
        return []
    if not isinstance(alerts, dict):
        notes.add("alerts are no fields and are not carried")
        return []
    notes.left_over(alerts, ("thresholds", "notification_target", "notification_enabled"))
    if alerts.get("notification_enabled") is False:
        notes.add("its alerts are switched off there and are not carried")
        return []
    found = set()
    for at in as_list(alerts.get("thresholds")):
        percent = _number(at)
        if percent is None or percent != int(percent) or not 0 < percent <= _FULL:
            notes.add(f"a threshold at {at!r} is not carried: here alerts stand at 100 % or below, in whole percent")
        else:
            found.add(int(percent))
    return sorted(found)


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


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in as_list(value) if isinstance(each, dict)]
