"""Labels: rules and tags of metadata that usage is summed up by, within a bound on how many there are.

A tool may put anything into a tag. So an organization has sums for so many keys of metadata and so many values of each;
the values beyond are summed together as `(other)`, and how much that was is kept where it can be seen
(`control_plane.usage.selectors.tag_bounds`). Keys beyond the bound have no sums of their own: what is asked of them is
answered from rows, over a limited range.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from control_plane.usage.entries import LedgerRow
from control_plane.usage.models import LabelValue, RulesSeen
from switchyard_contract.v1 import usage_pb2

RULE: Final = "rule"
METADATA: Final = "metadata."
OTHER: Final = "(other)"
NONE: Final = "(none)"
"""How addresses ask for what has no such value: refused requests reached no model."""
LONGEST_ID: Final = 200
# Any two fixed numbers of ours: the first names the application, the second the purpose.
LOCK: Final = (0x5377, 3)

Label = tuple[str, str]
"""Name and value."""


@dataclass(frozen=True, slots=True)
class LabelBounds:
    """How many keys of metadata an organization has sums for, and how many values of each."""

    keys: int
    values: int


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Which labels rows have. numbers: of each row's set, in their order; 0: none.

    overflow: how many rows of an organization have a value of a label that found no place.
    """

    numbers: Sequence[int]
    sets: Mapping[int, Sequence[Label]]
    overflow: Mapping[tuple[UUID, str], int]


@dataclass(slots=True)
class _Places:
    """The values of one label of one organization that have sums. None is ever taken away again, so what was seen once
    may be remembered."""

    values: set[str]
    is_full: bool


_known: dict[tuple[UUID, str], _Places] = {}


def forget_known() -> None:
    """For tests, whose transactions are undone."""
    _known.clear()


def label_sets(
    rows: Sequence[LedgerRow], rule_ids: Mapping[UUID, Sequence[str]], bounds: LabelBounds, *, now: datetime
) -> LabelSets:
    """Find the labels of rows; registers values that are new. Must run inside a transaction, before any row is locked.

    rule_ids: the rules that each digest names.
    """
    numbers: dict[tuple[int, str, str, int], int] = {}
    first: list[LedgerRow] = []
    found = []
    for row in rows:
        # A UUID hashes slowly; its number does not.
        digest = row.rules_digest.int if row.rules_digest else 0
        key = (row.organization_id.int, row.tags, row.request_tags, digest)
        number = numbers.get(key)
        if number is None:
            first.append(row)
            number = numbers[key] = len(first)
        found.append(number)
    wanted: dict[int, tuple[UUID, list[Label]]] = {}
    for number, row in enumerate(first, start=1):
        organization_id = row.organization_id
        ruled = rule_ids.get(row.rules_digest, ()) if row.rules_digest else ()
        labels = [*_metadata(row.tags, row.request_tags), *((RULE, each) for each in ruled)]
        if labels:
            wanted[number] = (organization_id, labels)
    if not wanted:
        return LabelSets([0] * len(rows), {}, {})
    values: dict[tuple[UUID, str], set[str]] = {}
    for organization_id, labels in wanted.values():
        for name, value in labels:
            values.setdefault((organization_id, name), set()).add(value)
    places = _places(values, bounds, now)
    sets: dict[int, list[Label]] = {}
    overflow: Counter[tuple[UUID, str]] = Counter()
    rows_of = Counter(found)
    for number, (organization_id, labels) in wanted.items():
        kept: list[Label] = []
        for name, value in labels:
            known = places.get((organization_id, name))
            if known is not None:
                kept.append((name, value if value in known else OTHER))
            if known is None or value not in known:
                overflow[organization_id, name if known is not None else METADATA + OTHER] += rows_of[number]
        if kept:
            sets[number] = kept
    return LabelSets([number if number in sets else 0 for number in found], sets, overflow)


def rule_ids_of(rules: usage_pb2.RulesSeen) -> tuple[str, ...]:
    """The rules that were about an exchange, each once."""
    return tuple(sorted({rule.id[:LONGEST_ID] for rule in rules.rules if rule.matched and rule.id}))


def stored_rule_ids(digests: Iterable[UUID]) -> dict[UUID, tuple[str, ...]]:
    """The same, of rules that earlier rows named."""
    rows = RulesSeen.objects.filter(digest__in=list(digests)).values_list("digest", "rule_ids")
    return {digest: tuple(rule_ids) for digest, rule_ids in rows}


@lru_cache(maxsize=16384)
def _metadata(tags: str, request_tags: str) -> tuple[Label, ...]:
    """What key, principal and team say wins over what the request's header said."""
    if tags == request_tags == "{}":
        return ()
    said = {**json.loads(request_tags), **json.loads(tags)}
    return tuple((METADATA + name, value) for name, value in said.items() if value)


def _places(
    wanted: Mapping[tuple[UUID, str], set[str]], bounds: LabelBounds, now: datetime
) -> dict[tuple[UUID, str], set[str]]:
    """The values that have sums, of each label that has; makes room for new ones up to the bounds."""
    unsure = [key for key, values in wanted.items() if not _is_settled(key, values)]
    fresh = _load(unsure, bounds) if unsure else {}
    if missing := [key for key in unsure if not fresh[key].is_full and not wanted[key] <= fresh[key].values]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK)
        fresh |= _load(missing, bounds)
        _register({key: wanted[key] for key in missing}, fresh, bounds, now)
    found = {key: fresh[key] if key in fresh else _known[key] for key in wanted}
    # Full and empty: a key of metadata that came when there were as many as the bound allows.
    return {key: places.values for key, places in found.items() if places.values}


def _is_settled(key: tuple[UUID, str], values: set[str]) -> bool:
    known = _known.get(key)
    return known is not None and (known.is_full or values <= known.values)


def _load(keys: Sequence[tuple[UUID, str]], bounds: LabelBounds) -> dict[tuple[UUID, str], _Places]:
    rows = LabelValue.objects.filter(
        organization_id__in={organization_id for organization_id, _ in keys}, label__in={name for _, name in keys}
    )
    found = {key: _Places(set(), False) for key in keys}
    for organization_id, name, value in rows.values_list("organization_id", "label", "value"):
        if (organization_id, name) in found:
            found[organization_id, name].values.add(value)
    for key, places in found.items():
        places.is_full = len(places.values) >= bounds.values
        _known[key] = _Places(set(places.values), places.is_full)
    return found


def _register(
    wanted: Mapping[tuple[UUID, str], set[str]],
    fresh: Mapping[tuple[UUID, str], _Places],
    bounds: LabelBounds,
    now: datetime,
) -> None:
    """Give new values a place while there is room; `fresh` then says what has one."""
    taken: dict[UUID, set[str]] = {organization_id: set() for organization_id, _ in wanted}
    rows = LabelValue.objects.filter(organization_id__in=taken, label__startswith=METADATA)
    for organization_id, name in rows.values_list("organization_id", "label").distinct():
        taken[organization_id].add(name)
    made = []
    refused = []
    for key, values in sorted(wanted.items()):
        organization_id, name = key
        places = fresh[key]
        if name != RULE and name not in taken[organization_id]:
            if len(taken[organization_id]) >= bounds.keys:
                refused.append(key)
                continue
            taken[organization_id].add(name)
        new = sorted(values - places.values)[: max(0, bounds.values - len(places.values))]
        places.values.update(new)
        made += [
            LabelValue(organization_id=organization_id, label=name, value=value, first_seen_at=now) for value in new
        ]
    LabelValue.objects.bulk_create(made)
    if refused:
        transaction.on_commit(lambda: _known.update((key, _Places(set(), True)) for key in refused))


def overflow_add(overflow: Mapping[tuple[UUID, str], int], *, now: datetime) -> None:
    """Keep how many rows found no place of their own."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO usage_labeloverflow AS known (organization_id, label, rows, first_at, last_at)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (organization_id, label) DO UPDATE"
            " SET rows = known.rows + excluded.rows, last_at = GREATEST(known.last_at, excluded.last_at)",
            [(organization_id, name, rows, now, now) for (organization_id, name), rows in sorted(overflow.items())],
        )
