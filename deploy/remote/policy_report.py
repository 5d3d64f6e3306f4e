"""A plan for the eye: what becomes of which object, field by field, and what that means. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploy.remote.policy_files import PolicyText

_COLOURS = {"create": "32", "change": "33", "delete": "31", "keep": "36", "bold": "1", "dim": "2", "error": "31;1"}
_SIGNS = {"create": "+", "change": "~", "delete": "-", "keep": "="}
_WORDS = {"keep": "cannot be taken away"}


class Paint:
    """Colours where somebody looks, none where something reads."""

    def __init__(self, *, is_coloured: bool) -> None:
        self._is_coloured = is_coloured

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._is_coloured else text


def plan_lines(plan: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    """A plan or what was applied, as the REST API tells it."""
    for change in plan["changes"]:
        yield from _change(change, paint)
    for each in plan["deferred"]:
        yield paint("dim", f"  {each['kind']} {each['name']}: kept in the file, not applied. {each['why']}")
    for gap in plan["gaps"]:
        yield paint("change", f"! {gap['kind']} {gap['name']} {gap['field']}: {gap['message']}")
    if plan["unmanaged"]:
        yield paint("dim", f"  {_unmanaged(plan['unmanaged'])}")
    effect = plan["effect"]
    if effect["sentences"]:
        yield ""
        yield paint("bold", "What it means")
        yield from (f"  {sentence}" for sentence in effect["sentences"])
    if effect["shards"]:
        yield paint("dim", f"  Pods get anew: {', '.join(effect['shards'])}.")
    if plan["changes"] or plan["deferred"] or plan["gaps"] or plan["unmanaged"]:
        yield ""
    verb = "Applied" if plan["is_applied"] and plan["has_changes"] else "Plan"
    tail = f" Revision {plan['revision']}." if plan["is_applied"] else ""
    yield paint("bold", f"{verb}: {plan['summary']}.{tail}")


def problem_lines(problem: Mapping[str, Any], text: PolicyText, paint: Paint) -> Iterator[str]:
    """What was refused, with each error at its file and line."""
    errors: Sequence[Mapping[str, Any]] = problem.get("errors", [])
    for error in errors:
        where = text.where(int(error.get("line") or 0))
        named = " ".join(str(error.get(part)) for part in ("kind", "name") if error.get(part))
        told = [str(error.get("message", ""))]
        if error.get("suggestion"):
            told.append(f"Did you mean {error['suggestion']}?")
        if error.get("expected"):
            told.append(f"Right would be: {error['expected']}.")
        place = ": ".join(part for part in (where, named, str(error.get("field") or "")) if part)
        yield f"{paint('error', 'error')} {place + ': ' if place else ''}{' '.join(told)}"
    if not errors:
        yield f"{paint('error', 'error')} {problem.get('detail') or problem.get('title') or 'refused'}"


def _change(change: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    action = change["action"]
    word = _WORDS.get(action, action)
    yield paint(action, f"{_SIGNS[action]} {word} {change['kind']} {change['name']}")
    if action == "keep":
        yield f"    {change['why']}"
        return
    for each in change["fields"]:
        before, after = each["before_text"], each["after_text"]
        match action:
            case "create":
                yield f"    {each['field']}: {paint('create', after)}"
            case "delete":
                yield f"    {each['field']}: {paint('delete', before)}"
            case _:
                yield f"    {each['field']}: {paint('delete', before)} → {paint('create', after)}"


def _unmanaged(keys: Sequence[Mapping[str, str]]) -> str:
    counts: dict[str, int] = {}
    for key in keys:
        counts[key["kind"]] = counts.get(key["kind"], 0) + 1
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    return f"In no file and left as they are: {told}. --prune takes them away."
