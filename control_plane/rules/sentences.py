"""What a rule means, in one or two sentences: stands beside forms as they are filled in, and in REST."""

from collections.abc import Sequence

from control_plane.rules.conditions import Condition, hours_text
from control_plane.rules.models import Mode
from control_plane.rules.subjects import Directory
from switchyard_contract.counters import PER_METADATA

_EACH = {
    "organization": "the organization",
    "team": "each team",
    "principal": "each person or service account",
    "user": "each person",
    "service_account": "each service account",
    "key": "each key",
    "model": "each model",
    "provider": "each provider",
    "session": "each session",
}


def listed(parts: Sequence[str], word: str = "and") -> str:
    """a, b and c; nothing of nothing."""
    if not parts:
        return ""
    *most, last = parts
    return f"{', '.join(most)} {word} {last}" if most else last


def who_text(condition: Condition, directory: Directory) -> str:
    """Who acts: `everybody`, `team platform or ada@example.com`."""
    if condition.is_about_everybody:
        return "everybody"
    directory.learn(condition.subjects)
    return listed([directory.label(subject) for subject in condition.subjects], "or")


def what_text(condition: Condition) -> str:
    """What is asked for, as the end of a sentence; empty: anything."""
    parts = []
    if condition.models:
        parts.append(f"for {listed(condition.models, 'or')}")
    if condition.metadata:
        matches = [f"{key} = {listed(values, 'or')}" for key, values in condition.metadata]
        parts.append(f"with {listed(matches)}")
    if condition.clients:
        parts.append(f"from {listed(condition.clients, 'or')}")
    if condition.protocols:
        parts.append(f"in {listed([each.replace('_', ' ') for each in condition.protocols], 'or')}")
    if condition.hours is not None:
        parts.append(f"during {hours_text(condition.hours)}")
    return " ".join(parts)


def when_text(when: Condition, when_not: Sequence[Condition], directory: Directory) -> str:
    """Which exchanges a rule is about: `What team platform asks for *opus*, but not from codex`."""
    text = f"what {who_text(when, directory)} asks {what_text(when)}".rstrip()
    return f"{text}{but_not_text(when_not, directory)}"


def but_not_text(when_not: Sequence[Condition], directory: Directory) -> str:
    """The exceptions, as the end of a sentence; empty: there are none."""
    return f", but not {listed(_exceptions(when_not, directory), 'nor')}" if when_not else ""


def exceptions_text(when_not: Sequence[Condition], directory: Directory) -> str:
    """The exceptions as a sentence of their own; empty: there are none."""
    found = _exceptions(when_not, directory)
    return f"Exception{'' if len(found) == 1 else 's'}: {'; '.join(found)}." if found else ""


def _exceptions(when_not: Sequence[Condition], directory: Directory) -> list[str]:
    return [
        " ".join(
            part for part in ("" if each.is_about_everybody else who_text(each, directory), what_text(each)) if part
        )
        for each in when_not
    ]


def per_text(per: Sequence[str]) -> str:
    """Who has a counter of its own: `each person or service account and each model`; empty: all together."""
    return (
        listed([_EACH.get(each) or f"each value of {each.removeprefix(PER_METADATA)}" for each in per]) if per else ""
    )


def mode_text(mode: str) -> str:
    """What the mode adds to a rule's sentence; empty: it is enforced."""
    match mode:
        case Mode.SHADOW:
            return " In shadow: it is only counted and shown, and stops nobody."
        case Mode.OFF:
            return " It is switched off."
        case _:
            return ""


def group_text(group: str) -> str:
    if not group:
        return ""
    return f" In group {group} only the most specific rule that matches applies."


def sentence(text: str) -> str:
    """A text as a sentence: its first letter large, one full stop."""
    text = " ".join(text.split()).replace(" ,", ",")
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
