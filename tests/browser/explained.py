"""What pods said of two exchanges: one that was moved to a cheaper model, one that a budget refused."""

from datetime import UTC, datetime

from switchyard_contract.counters import Verdict, counter_of
from switchyard_contract.v1 import usage_pb2
from tests.browser.ruled import Ruled
from tests.control_plane.usage.charges import a_budget_number, a_charge, a_rate, a_rule_seen, an_answer


def explain_served(event: usage_pb2.UsageEvent, ruled: Ruled) -> None:
    """Moved, because the budget was at its second stage."""
    rules = _rules(event, ruled)
    # The newest session's model cost too much; what it was moved to is what the event says it used.
    event.requested_model = "claude-opus-4-8"
    event.rules.CopyFrom(usage_pb2.RulesSeen(rules=rules))
    event.counters_answer = an_answer(
        [a_rate(used=12)],
        [a_budget_number(posted=9_620_000, expected=140_000), a_budget_number(posted=43_000_000)],
        candidate=2,
        now_ms=event.started_at_ms,
    )
    event.downgrade.CopyFrom(
        usage_pb2.Downgrade(
            budget_id=ruled.daily.id.hex,
            from_model="claude-opus-4-8",
            to_model=event.model,
            is_taken=True,
            stay_nano_usd=72_400_000,
            move_nano_usd=31_850_000,
            why="cheaper for this turn, its cold cache counted",
        )
    )
    event.dropped.add(model="gpt-5.1-mini", why="speaks another protocol")
    event.charges.add().CopyFrom(a_charge(ruled.daily.id, counter_of([event.principal_id]), period_ms=_midnight(event)))


def explain_refused(event: usage_pb2.UsageEvent, ruled: Ruled) -> None:
    """Refused by a budget that was spent."""
    event.rules.CopyFrom(usage_pb2.RulesSeen(rules=_rules(event, ruled)))
    event.reason, event.client_status = "budget_exceeded", 402
    event.error_text = (
        f"The budget “{ruled.daily.name}” is spent: $10.02 of $10.00 a day. Ask finance@example.com, or ask "
        f"for more at https://console.example/budgets/{ruled.daily.id}/request?counter={event.principal_id}."
    )
    event.counters_answer = an_answer(
        [a_rate(used=31)],
        [
            a_budget_number(posted=10_020_000, expected=0, worst=0, refused=True),
            a_budget_number(posted=131_000_000, refused=True),
        ],
        verdict=Verdict.DENIED,
        index=1,
        now_ms=event.started_at_ms,
    )


def _rules(event: usage_pb2.UsageEvent, ruled: Ruled) -> list[usage_pb2.RuleSeen]:
    resets_ms = _midnight(event) + 86_400_000
    weekly = counter_of([event.principal_id, event.model or "claude-opus-4-6"])
    return [
        usage_pb2.RuleSeen(
            kind="access", id=ruled.access.id.hex, name=ruled.access.name, matched=True, verdict="allowed"
        ),
        a_rule_seen(
            ruled.rate.id,
            kind="rate",
            name=ruled.rate.name,
            counter=counter_of([event.key_id]),
            limit=60,
            resets_at_ms=0,
        ),
        a_rule_seen(
            ruled.daily.id,
            name=ruled.daily.name,
            counter=counter_of([event.principal_id]),
            limit=10_000_000_000,
            resets_at_ms=resets_ms,
            candidates=3,
        ),
        a_rule_seen(
            ruled.shadow.id,
            name=ruled.shadow.name,
            is_shadow=True,
            counter=weekly,
            limit=120_000_000_000,
            resets_at_ms=resets_ms,
        ),
        usage_pb2.RuleSeen(kind="budget", id="b9" * 16, name="opus-monthly", why_not="models"),
        usage_pb2.RuleSeen(kind="rate", id="b8" * 16, name="ci-tokens", why_not="subjects"),
        usage_pb2.RuleSeen(kind="budget", id="b7" * 16, name="seniors-daily", why_not=f"group: {ruled.daily.name}"),
    ]


def _midnight(event: usage_pb2.UsageEvent) -> int:
    at = datetime.fromtimestamp(event.started_at_ms / 1000, UTC)
    return int(at.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
