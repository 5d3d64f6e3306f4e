"""What a pod says every few seconds of the attempts that it runs, so that nobody gives back what they hold."""

from collections.abc import Iterable, Sequence

from data_plane.counters.packing import bulk, encode_numbers, head, organization_keys
from data_plane.counters.scripts import RENEW

EVERY_S = 10.0
"""Leases last three times as long."""
AT_ONCE = 100
"""Attempts in one script call: some 100 µs of the store."""


def renewal_of(
    organization_id: str,
    held: Iterable[tuple[str, Sequence[str]]],
    *,
    generation: int,
    seen: tuple[int, int],
    most: int = AT_ONCE,
    at_us: int = 0,
) -> bytes:
    """Write the call that renews attempts. held: the member and the slots' names of each.

    generation, seen: what the policy names, and generation and sequence that were last seen. most: so many holds of
    pods that are gone are given back. at_us: 0: by the store's clock.
    """
    _, meta, held_key, due = organization_keys(organization_id)
    slots: dict[str, int] = {}
    members: list[str] = []
    pairs: list[int] = []
    for member, names in held:
        members.append(member)
        for name in names:
            pairs += (slots.setdefault(name, len(slots) + 1), len(members))
    told = encode_numbers([generation, *seen, most, len(members), *members, *pairs])
    return head(RENEW, (meta, held_key, due, *slots), 2) + bulk(told) + bulk(b"%d" % at_us)
