"""What each rule did on each day, from the rows really added to the ledger. Pure.

Exchanges are counted, by their first row: retries of an exchange meet the same rules again. A row that takes another's
place was counted when the first one came; so is a reversal. Who wants one exchange's whole story asks
`control_plane.usage.explanation`.
"""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from control_plane.usage.entries import REFUSED, REVERSAL, LedgerRow
from control_plane.usage.verdicts import DENIED, Verdict, verdicts_of
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


def fold_rule_days(
    decided: Sequence[tuple[LedgerRow, usage_pb2.UsageEvent]], rules: Mapping[UUID, usage_pb2.RulesSeen]
) -> tuple[RuleDelta, ...]:
    """Sum what rules did, sorted by the table's key.

    decided: rows with what was decided about them. rules: those that the rows name, by digest.
    """
    replaced = {(row.exchange_id, row.attempt) for row, _ in decided if row.kind == REVERSAL}
    shadowed = {digest for digest, seen in rules.items() if any(rule.is_shadow and rule.matched for rule in seen.rules)}
    sums = _Sums()
    # By numbers, because a UUID hashes slowly.
    brought = {digest.int: digest for digest in rules}
    plain: Tally[tuple[int, date, int]] = Tally()
    organizations: dict[int, UUID] = {}
    for row, event in decided:
        digest = row.rules_digest
        if row.attempt > 1 or digest is None or digest.int not in brought:
            continue
        if replaced and (row.exchange_id, row.attempt) in replaced:
            continue
        if row.outcome != REFUSED and not event.downgrade.is_taken and not (shadowed and digest in shadowed):
            # Nearly all: nothing but matched, alike for every exchange that names these rules.
            organizations[row.organization_id.int] = row.organization_id
            plain[row.organization_id.int, row.day, digest.int] += 1
            continue
        moved_by = event.downgrade.budget_id if event.downgrade.is_taken else ""
        # A rule with several counters comes several times: it refused when one of them did.
        matched: dict[str, tuple[usage_pb2.RuleSeen, bool]] = {}
        for rule, verdict, _ in verdicts_of(rules[digest], event):
            if rule.matched and rule.id:
                before = matched.get(rule.id, (rule, False))[1]
                matched[rule.id] = (rule, before or verdict is Verdict.REFUSED)
        for rule, has_refused in matched.values():
            sums.add(row.organization_id, row.day, rule, 1, has_refused, rule.id == moved_by)
    for (organization, day, number), count in plain.items():
        seen = rules[brought[number]]
        for rule in {rule.id: rule for rule in seen.rules if rule.matched and rule.id}.values():
            sums.add(organizations[organization], day, rule, count, rule.verdict.startswith(DENIED), False)
    return sums.deltas()


class _Sums:
    def __init__(self) -> None:
        self._found: dict[tuple[UUID, date, str], list[int]] = {}
        self._kinds: dict[tuple[UUID, date, str], str] = {}

    def add(
        self,
        organization_id: UUID,
        day: date,
        rule: usage_pb2.RuleSeen,
        count: int,
        has_refused: bool,
        has_moved: bool,
    ) -> None:
        key = (organization_id, day, rule.id[:LONGEST_ID])
        sums = self._found.setdefault(key, [0, 0, 0, 0])
        self._kinds[key] = rule.kind[:20]
        sums[0] += count
        sums[1] += count * (has_refused and not rule.is_shadow)
        sums[2] += count * (has_refused and rule.is_shadow)
        sums[3] += count * (has_moved and not rule.is_shadow)

    def deltas(self) -> tuple[RuleDelta, ...]:
        return tuple(RuleDelta(*key, self._kinds[key], *self._found[key]) for key in sorted(self._found))
