"""What rules of access let a key ask for, as far as it can be said beforehand. Pure.

A part of `when` that looks at the request (metadata, clients, protocols, hours) fits some requests and not others: what
is allowed under it counts as allowed, what is denied under it does not count as denied. So a name is lost where no
request at all gets it. Source: interface.md section 7.3, as the pods do it (`data_plane/policy/access_rules.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control_plane.rules.conditions import Condition
from control_plane.rules.globs import fits


@dataclass(frozen=True, slots=True)
class Upstream:
    """What rules look at of a provider."""

    region: str = ""
    is_external: bool = True


@dataclass(frozen=True, slots=True)
class AccessLine:
    """An enforced rule. allow: {}: everything; None: nothing. deny: None: nothing."""

    when: Condition
    when_not: tuple[Condition, ...]
    allow: Mapping[str, Any] | None
    deny: Mapping[str, Any] | None


def lets(
    rules: Sequence[AccessLine], subjects: Collection[str], asked: str, target: str, upstreams: Mapping[str, Upstream]
) -> bool:
    """Whether somebody may ever ask for a name. subjects: theirs, as conditions write them. target: where it leads,
    `<provider>/<model>`. Without a rule everything is allowed."""
    if not rules:
        return True
    provider, _, model = target.partition("/")
    upstream = upstreams.get(provider, Upstream())
    names = tuple(dict.fromkeys((asked, target, model)))
    is_granted = False
    for rule in rules:
        denies = rule.deny is not None and _denies(rule.deny, provider, upstream, names)
        if denies and _holds_always(rule, subjects, names):
            return False
        if not is_granted and rule.allow is not None and _holds_ever(rule, subjects, names):
            is_granted = _grants(rule.allow, provider, upstream, names)
    return is_granted


def holds_for(when: Condition, when_not: Sequence[Condition], subjects: Collection[str]) -> bool:
    """Whether a rule is ever about somebody, whatever they ask for."""
    return _names_somebody(when, subjects) and not any(
        each.is_about_subjects_alone and _names_somebody(each, subjects) for each in when_not
    )


def _holds_ever(rule: AccessLine, subjects: Collection[str], names: Sequence[str]) -> bool:
    return _fits_ever(rule.when, subjects, names) and not any(
        _fits_always(each, subjects, names) for each in rule.when_not
    )


def _holds_always(rule: AccessLine, subjects: Collection[str], names: Sequence[str]) -> bool:
    return _fits_always(rule.when, subjects, names) and not any(
        _fits_ever(each, subjects, names) for each in rule.when_not
    )


def _fits_ever(condition: Condition, subjects: Collection[str], names: Sequence[str]) -> bool:
    return _names_somebody(condition, subjects) and (
        not condition.models or any(fits(condition.models, name) for name in names)
    )


def _fits_always(condition: Condition, subjects: Collection[str], names: Sequence[str]) -> bool:
    looks_at_requests = condition.metadata or condition.clients or condition.protocols or condition.hours
    return not looks_at_requests and _fits_ever(condition, subjects, names)


def _names_somebody(condition: Condition, subjects: Collection[str]) -> bool:
    return condition.is_about_everybody or any(str(subject) in subjects for subject in condition.subjects)


def _grants(allow: Mapping[str, Any], provider: str, upstream: Upstream, names: Sequence[str]) -> bool:
    return (
        (not allow.get("models") or any(fits(allow["models"], name) for name in names))
        and (not allow.get("providers") or fits(allow["providers"], provider))
        and (not allow.get("regions") or fits(allow["regions"], upstream.region))
        and not (allow.get("external") is False and upstream.is_external)
    )


def _denies(deny: Mapping[str, Any], provider: str, upstream: Upstream, names: Sequence[str]) -> bool:
    return (
        any(fits(deny.get("models", ()), name) for name in names)
        or fits(deny.get("providers", ()), provider)
        or fits(deny.get("regions", ()), upstream.region)
        or (deny.get("external") is True and upstream.is_external)
    )
