"""Why an exchange was allowed, refused, moved or charged so: every rule that was looked at, with its numbers then."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from control_plane.budgets.models import Budget
from control_plane.limits.models import RateLimit
from control_plane.usage.decisions import SESSION, answer_in, charges_of, inflate_rules, unpack
from control_plane.usage.entries import LedgerRow
from control_plane.usage.models import RulesSeen
from control_plane.usage.refusals import counter_in_session
from control_plane.usage.selectors.counter_words import Of, counter_words
from control_plane.usage.selectors.exchanges import Exchange
from control_plane.usage.verdicts import Verdict, verdicts_of
from switchyard_contract.counters import MICRO, BudgetNumbers, CountersAnswer, RateNumbers
from switchyard_contract.v1 import usage_pb2

CANDIDATES = {1: "asked", 2: "downgrade"}


@dataclass(frozen=True, slots=True)
class RuleExplained:
    """One rule, or one counter of it. Amounts are as they stood before the exchange; money is nano-USD."""

    kind: str
    id: str
    name: str
    is_shadow: bool
    verdict: Verdict
    said: str
    """What was decided without counters, or why it did not match."""
    decided: bool
    """The exchange was refused by this one."""
    counter: str
    counter_text: str
    limit: int | None
    resets_at: datetime | None
    """None: never, or it flows off all the time."""
    candidates: tuple[str, ...]
    rate: RateNumbers | None = None
    posted_nano_usd: int | None = None
    expected_nano_usd: int | None = None
    """Reserved by what ran then, as it was expected to cost."""
    worst_nano_usd: int | None = None
    """Reserved by what ran then, at its bound."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that was decided about one exchange."""

    exchange: Exchange
    event: usage_pb2.UsageEvent
    """Downgrade, dropped candidates, degraded, facts of the session: as the pod said."""
    rules: tuple[RuleExplained, ...]
    answer: CountersAnswer | None
    """None: no counters were asked, or its form is not known here."""
    charges: tuple["ChargeExplained", ...]

    @property
    def is_told(self) -> bool:
        """Whether the pod said anything of its decision."""
        return bool(self.rules) or self.answer is not None

    @property
    def told(self) -> str:
        """What the caller was told in place of an answer, or of its rest; empty: nothing of ours, or not known."""
        last = self.exchange.last
        return last.error_text if last.reason and not last.error_type else ""

    @property
    def would_have_refused(self) -> tuple[RuleExplained, ...]:
        """Shadows that would have refused."""
        return tuple(rule for rule in self.rules if rule.is_shadow and rule.verdict is Verdict.REFUSED)

    @property
    def decided_at(self) -> datetime | None:
        """By the counter store's clock."""
        return None if self.answer is None else datetime.fromtimestamp(self.answer.now_ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class ChargeExplained:
    """A counter that the cost was posted to."""

    budget_id: UUID
    budget_name: str
    """Of today; empty: it is gone."""
    counter: str
    counter_text: str
    period_at: datetime | None
    """When it began; None: for ever."""
    nano_usd: int


def exchange_explained(exchange: Exchange) -> Explanation:
    """Read what was decided about an exchange. The caller has found it within a scope."""
    row = next((each for each in exchange.attempts if each.rules_digest or each.decision), exchange.first)
    event, seen = unpack(row.decision), _rules_of(row)
    posted = _posted(exchange.attempts)
    budgets = _budgets(row.organization_id, seen, posted)
    per = _per(row.organization_id, seen, budgets)
    words = counter_words(
        row.organization_id,
        [
            *(
                (per.get(rule.id, ()), counter_in_session(rule.counter, row.session_id))
                for rule in seen.rules
                if rule.counter
            ),
            *((per.get(budget_id.hex, ()), counter) for budget_id, counter, _ in posted),
        ],
    )
    answer = answer_in(event)
    return Explanation(
        exchange,
        event,
        tuple(
            _explained(rule, verdict, numbers, row, answer, per, words)
            for rule, verdict, numbers in verdicts_of(seen, event)
        ),
        answer,
        tuple(
            ChargeExplained(
                budget_id,
                budgets[budget_id].name if budget_id in budgets else "",
                counter,
                words[per.get(budget_id.hex, ()), counter],
                datetime.fromtimestamp(period_ms / 1000, UTC) if period_ms else None,
                nano_usd,
            )
            for (budget_id, counter, period_ms), nano_usd in posted.items()
        ),
    )


def _rules_of(row: LedgerRow) -> usage_pb2.RulesSeen:
    payload = None
    if row.rules_digest is not None:
        payload = RulesSeen.objects.filter(digest=row.rules_digest).values_list("payload", flat=True).first()
    return usage_pb2.RulesSeen() if payload is None else inflate_rules(bytes(payload))


def _posted(rows: Iterable[LedgerRow]) -> dict[tuple[UUID, str, int], int]:
    """What the standing rows posted, by budget, counter and period."""
    found: dict[tuple[UUID, str, int], int] = {}
    for row in rows:
        for charge in charges_of(row.decision):
            key = (charge.budget_id, charge.counter, charge.period_ms)
            found[key] = found.get(key, 0) + row.cost_nano_usd
    return found


def _budgets(
    organization_id: UUID, seen: usage_pb2.RulesSeen, posted: Iterable[tuple[UUID, str, int]]
) -> dict[UUID, Budget]:
    ids = {budget_id for budget_id, _, _ in posted} | set(_ids(seen, "budget"))
    return {row.id: row for row in Budget.objects.filter(organization_id=organization_id, id__in=ids)} if ids else {}


def _per(
    organization_id: UUID, seen: usage_pb2.RulesSeen, budgets: Mapping[UUID, Budget]
) -> dict[str, tuple[str, ...]]:
    """What rules count by, as they do today; a rule that was changed since may give fewer words."""
    found = {budget.id.hex: tuple(budget.per) for budget in budgets.values()}
    if rates := _ids(seen, "rate"):
        rows = RateLimit.objects.filter(organization_id=organization_id, id__in=rates)
        found |= {row_id.hex: tuple(per) for row_id, per in rows.values_list("id", "per")}
    found |= {rule.id: ("session",) for rule in seen.rules if rule.kind == "cap" and SESSION in rule.counter}
    return found


def _ids(seen: usage_pb2.RulesSeen, kind: str) -> list[UUID]:
    found = []
    for rule in seen.rules:
        if rule.kind == kind and len(rule.id) == 32:
            try:
                found.append(UUID(rule.id))
            except ValueError:
                continue
    return found


def _explained(
    rule: usage_pb2.RuleSeen,
    verdict: Verdict,
    numbers: RateNumbers | BudgetNumbers | None,
    row: LedgerRow,
    answer: CountersAnswer | None,
    per: Mapping[str, tuple[str, ...]],
    words: Mapping[Of, str],
) -> RuleExplained:
    counter = counter_in_session(rule.counter, row.session_id)
    budget = numbers if isinstance(numbers, BudgetNumbers) else None
    return RuleExplained(
        kind=rule.kind,
        id=rule.id,
        name=rule.name,
        is_shadow=rule.is_shadow,
        verdict=verdict,
        said=rule.verdict if rule.matched else rule.why_not,
        decided=verdict is Verdict.REFUSED and not rule.is_shadow and row.outcome == "refused",
        counter=counter,
        counter_text=words.get((per.get(rule.id, ()), counter), "") if counter else "",
        limit=rule.limit if rule.candidates else None,
        resets_at=datetime.fromtimestamp(rule.resets_at_ms / 1000, UTC) if rule.resets_at_ms else None,
        candidates=tuple(name for bit, name in CANDIDATES.items() if rule.candidates & bit),
        rate=numbers if isinstance(numbers, RateNumbers) else None,
        posted_nano_usd=None if budget is None else budget.posted * MICRO,
        expected_nano_usd=None if budget is None else budget.expected * MICRO,
        worst_nano_usd=None if budget is None else budget.worst * MICRO,
    )
