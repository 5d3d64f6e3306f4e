"""What each rule did on each day, from the rows really added to the ledger. Pure.

Exchanges are counted, by their first row: retries of an exchange meet the same rules again. A row that takes another's
place was counted when the first one came; so is a reversal. Who wants one exchange's whole story asks
`control_plane.usage.explanation`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from control_plane.usage.decisions import unpack
from control_plane.usage.entries import REVERSAL, LedgerRow
from control_plane.usage.verdicts import Verdict, verdicts_of
from switchyard_contract.v1 import usage_pb2

RULE_SUMS = ("matched", "refused", "shadow_refused", "downgraded")
LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class RuleDelta:
    """What rows add to one rule's day, in the order of the table's columns."""

    organization_id: UUID
    day: date
    rule_id: str
    kind: str
    matched: int
    refused: int
    shadow_refused: int
    downgraded: int


def fold_rule_days(rows: Iterable[LedgerRow], rules: Mapping[UUID, usage_pb2.RulesSeen]) -> tuple[RuleDelta, ...]:
    """Sum what rules did, sorted by the table's key. rules: those that the rows name, by digest."""
    added = list(rows)
    replaced = {(row.exchange_id, row.attempt) for row in added if row.kind == REVERSAL}
    found: dict[tuple[UUID, date, str], list[int]] = {}
    kinds: dict[tuple[UUID, date, str], str] = {}
    for row in added:
        if row.attempt > 1 or row.rules_digest is None or (row.exchange_id, row.attempt) in replaced:
            continue
        seen = rules.get(row.rules_digest)
        if seen is None:
            continue
        event = unpack(row.decision)
        moved_by = event.downgrade.budget_id if event.downgrade.is_taken else ""
        # A rule with several counters comes several times: it refused when one of them did.
        matched: dict[str, tuple[usage_pb2.RuleSeen, bool]] = {}
        for rule, verdict, _ in verdicts_of(seen, event):
            if rule.matched and rule.id:
                before = matched.get(rule.id, (rule, False))[1]
                matched[rule.id] = (rule, before or verdict is Verdict.REFUSED)
        for rule, has_refused in matched.values():
            key = (row.organization_id, row.day, rule.id[:LONGEST_ID])
            sums = found.setdefault(key, [0, 0, 0, 0])
            kinds[key] = rule.kind[:20]
            sums[0] += 1
            sums[1] += has_refused and not rule.is_shadow
            sums[2] += has_refused and rule.is_shadow
            sums[3] += rule.id == moved_by and not rule.is_shadow
    return tuple(RuleDelta(*key, kinds[key], *found[key]) for key in sorted(found))
