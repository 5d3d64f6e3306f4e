"""Which rows an arriving row adds to the ledger. Pure.

For one attempt at most one row stands. A surer row takes the place of a less sure one: the old row is taken back by a
reversal and the new one written, in one transaction. What is less sure than the standing row changes nothing. The
amounts are replaced, never summed. A row that was taken back without another in its place does not stand, either: then
none does, until somebody says more of the attempt.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from control_plane.usage.entries import REVERSAL, LedgerRow, reversal_of, reversal_revision

Attempt = tuple[str, int]
"""Exchange id and attempt."""
_in_order = attrgetter("day", "exchange_id", "attempt", "kind", "revision")


def attempt_of(row: LedgerRow) -> Attempt:
    return (row.exchange_id, row.attempt)


def standing(rows: Sequence[LedgerRow]) -> dict[Attempt, LedgerRow]:
    """Find the standing row of each attempt among all rows the ledger has of it."""
    undone = {(row.exchange_id, row.attempt, row.revision) for row in rows if row.kind == REVERSAL}
    found: dict[Attempt, LedgerRow] = {}
    for row in rows:
        if row.kind == REVERSAL:
            continue
        if undone and (row.exchange_id, row.attempt, reversal_revision(row.kind, row.revision)) in undone:
            continue
        before = found.get(attempt_of(row))
        if before is None or row.rank > before.rank:
            found[attempt_of(row)] = row
    return found


def additions(arrived: Iterable[LedgerRow], stored: Mapping[Attempt, LedgerRow]) -> list[LedgerRow]:
    """Say which rows to write, sorted by key, given the standing rows that are stored.

    The result does not depend on the order of arrival beyond which of the less sure rows were ever written; the sum of
    all rows of an attempt is always its surest row.
    """
    surest: dict[Attempt, LedgerRow] = {}
    for row in arrived:
        attempt = (row.exchange_id, row.attempt)
        before = surest.setdefault(attempt, row)
        if before is not row and row.rank > before.rank:
            surest[attempt] = row
    added = list(surest.values())
    if stored:
        added = []
        for attempt, row in surest.items():
            old = stored.get(attempt)
            if old is not None and old.rank >= row.rank:
                continue
            if old is not None:
                added.append(reversal_of(old))
            added.append(row)
    # Two workers that insert in one order wait for one another in one direction only.
    added.sort(key=_in_order)
    return added
