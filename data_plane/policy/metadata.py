"""Tags: what an admin wrote on key, person or team wins over what a request says, for every rule."""

from collections.abc import Iterable, Mapping

from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.rules import MetadataKey
from data_plane.policy.seen import event_part
from switchyard_contract.counters import OTHER
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import usage_pb2 as usage

_SHOWN = 12
"""So many allowed values are told; of more, only that there are."""
_LONGEST_ECHO = 60


def tags_for_rules(
    keys: Iterable[MetadataKey], caller: Caller, request_tags: Mapping[str, str]
) -> dict[str, str] | Refusal:
    """The tags that rules see, or why the request is refused: a required one is missing, or holds what may not stand
    there.

    A value that is not allowed never counts as itself: where it is not refused, it counts as "other" together with all
    the rest of them.
    """
    tags = {**request_tags, **caller.tags}
    for key in keys:
        value = tags.get(key.key)
        if value is None:
            if key.is_required:
                return _refuse(f"This request needs the metadata “{key.key}”.", key, caller)
        elif not is_allowed(key, value):
            if not key.counts_unknown_as_other:
                source = f"the key {caller.key_name}" if key.key in caller.tags else "x-switchyard-metadata"
                shown = value if len(value) <= _LONGEST_ECHO else value[:_LONGEST_ECHO] + "…"
                return _refuse(f"The metadata “{key.key}” may not be “{shown}” (from {source}).", key, caller)
            tags[key.key] = OTHER
    return tags


def is_allowed(key: MetadataKey, value: str) -> bool:
    """Whether a value may stand there; listed values and a pattern both have to take it."""
    if key.values and value not in key.values:
        return False
    # RE2 reads UTF-8, which has no lone surrogates.
    text = value if value.isascii() else value.encode("utf-8", "replace").decode()
    return key.pattern is None or key.pattern.fullmatch(text) is not None


def _refuse(said: str, key: MetadataKey, caller: Caller) -> Refusal:
    allowed = []
    if key.values and len(key.values) <= _SHOWN:
        allowed.append(f"one of {', '.join(sorted(key.values))}")
    elif key.values:
        allowed.append(f"one of {len(key.values)} listed values")
    if key.pattern is not None:
        allowed.append(f"text like {key.pattern_text}")
    how = f'Send the header x-switchyard-metadata: {{"{key.key}": "…"}}'
    sentences = [said, f"{how} with {' that is also '.join(allowed)}." if allowed else f"{how}."]
    if caller.contact:
        sentences.append(f"Ask {caller.contact} for other values.")
    seen = usage.RuleSeen(kind="metadata", id=key.key, name=key.key, matched=True, verdict=f"denied: {said}")
    return Refusal(Reason.REQUEST_INVALID, " ".join(sentences), rules_seen=event_part((seen,)))
