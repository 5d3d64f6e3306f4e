"""Counters of a budget as text from outside: whether it can be one, and whose it is. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from switchyard_contract.counters import PER_METADATA, counter_of, values_of

IDS = ("organization", "team", "principal", "user", "service_account", "provider")
LONGEST = 1000


def wrong_with_counter(per: Sequence[str], counter: str) -> str:
    """Say why a text is no counter of a rule that counts by `per`; empty: it may be one."""
    if not counter:
        return ""
    shape = "/".join(per) or "nothing: it has one counter"
    if len(counter) > LONGEST or "\x00" in counter:
        return f"A counter has at most {LONGEST} characters."
    values = values_of(counter)
    if len(values) != len(per):
        return f"This budget counts by {shape}; the text has {len(values)} values."
    if counter_of(values) != counter:
        return "Right: the values in the order of `per`, each percent-encoded, with / between them."
    for kind, value in zip(per, values, strict=True):
        if kind in IDS and not _is_id(value):
            return f"The value for {kind} is no id. Right: 32 hex digits."
    return ""


def parts_of(per: Sequence[str], counter: str) -> Mapping[str, str]:
    """What a counter is of: kind to value; empty for the one of all."""
    return dict(zip(per, values_of(counter), strict=False))


def is_open_to_anybody(kind: str) -> bool:
    """Whether a value of that kind says nothing of who spends."""
    return kind in ("organization", "model", "provider", "session") or kind.startswith(PER_METADATA)


def _is_id(value: str) -> bool:
    try:
        return UUID(value).hex == value
    except ValueError:
        return False
