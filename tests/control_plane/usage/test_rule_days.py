"""What each rule did on each day."""

from uuid import UUID

import pytest

from control_plane.usage.models import RuleDay, RulesSeen
from switchyard_contract.counters import Verdict
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.charges import BUDGET, OTHER_BUDGET, a_budget_number, a_rate, a_rule_seen, an_answer
from tests.control_plane.usage.events import NOW, a_batch, a_refusal, an_event, estimated

pytestmark = pytest.mark.django_db
RATE = UUID("c1" * 16)
ACCESS = UUID("a1" * 16)
RULES = usage_pb2.RulesSeen(
    rules=[
        usage_pb2.RuleSeen(kind="access", id=ACCESS.hex, name="all", matched=True, verdict="allowed"),
        a_rule_seen(RATE, kind="rate", name="ci"),
        a_rule_seen(BUDGET),
        a_rule_seen(OTHER_BUDGET, name="trial", is_shadow=True),
        a_rule_seen(UUID("b3" * 16), matched=False, why_not="models", candidates=0),
    ]
)


def did() -> dict[str, tuple[int, int, int, int]]:
    """Matched, refused, refused in shadow, downgraded; by the beginning of the rule's id."""
    rows = RuleDay.objects.filter(day=NOW.date())
    return {row.rule_id[:2]: (row.matched, row.refused, row.shadow_refused, row.downgraded) for row in rows}


def test_rules_that_matched_are_counted_and_others_not() -> None:
    an_organization()
    said = an_answer([a_rate()], [a_budget_number(), a_budget_number()])

    put_and_book(a_batch([an_event(number, rules=RULES, counters_answer=said) for number in (1, 2, 3)]))

    assert did() == {"a1": (3, 0, 0, 0), "c1": (3, 0, 0, 0), "b1": (3, 0, 0, 0), "b2": (3, 0, 0, 0)}
    assert RulesSeen.objects.count() == 1
    assert set(RuleDay.objects.values_list("kind", flat=True)) == {"access", "rate", "budget"}


def test_the_rule_that_the_counters_refused_by_has_refused_and_shadows_have_their_own_count() -> None:
    an_organization()
    said = an_answer(
        [a_rate()],
        [a_budget_number(refused=True), a_budget_number(counted=False, refused=True)],
        verdict=Verdict.DENIED,
        index=1,
    )

    put_and_book(a_batch([a_refusal(1, reason="budget_exceeded", rules=RULES, counters_answer=said)]))

    assert did() == {"a1": (1, 0, 0, 0), "c1": (1, 0, 0, 0), "b1": (1, 1, 0, 0), "b2": (1, 0, 1, 0)}


def test_a_rule_that_needs_no_counters_refuses_by_its_verdict() -> None:
    an_organization()
    rules = usage_pb2.RulesSeen(
        rules=[
            usage_pb2.RuleSeen(kind="access", id=ACCESS.hex, matched=True, verdict="denied: models opus"),
            usage_pb2.RuleSeen(
                kind="access", id=RATE.hex, matched=True, is_shadow=True, verdict="would be denied: no rule allows it"
            ),
        ]
    )

    put_and_book(a_batch([a_refusal(1, rules=rules)]))

    assert did() == {"a1": (1, 1, 0, 0), "c1": (1, 0, 1, 0)}


def test_a_turn_that_was_moved_is_the_budgets_doing() -> None:
    an_organization()
    said = an_answer([a_rate()], [a_budget_number(), a_budget_number()], candidate=2)
    moved = usage_pb2.Downgrade(budget_id=BUDGET.hex, from_model="opus", to_model="haiku", is_taken=True)
    stayed = usage_pb2.Downgrade(budget_id=BUDGET.hex, from_model="opus", to_model="haiku")

    put_and_book(
        a_batch(
            [
                an_event(1, rules=RULES, counters_answer=said, downgrade=moved),
                an_event(2, rules=RULES, counters_answer=said, downgrade=stayed),
            ]
        )
    )

    assert did()["b1"] == (2, 0, 0, 1)


def test_an_exchange_counts_once_whatever_becomes_of_its_attempts() -> None:
    an_organization()
    said = an_answer([a_rate()], [a_budget_number(), a_budget_number()])
    event = an_event(1, rules=RULES, counters_answer=said)

    put_and_book(a_batch([estimated(event)]))
    put_and_book(a_batch([event, an_event(1, attempt=2, rules=RULES, counters_answer=said)], first_sequence=2))
    put_and_book(a_batch([event], first_sequence=9))

    assert did() == {"a1": (1, 0, 0, 0), "c1": (1, 0, 0, 0), "b1": (1, 0, 0, 0), "b2": (1, 0, 0, 0)}


def test_an_answer_of_a_form_that_is_not_known_tells_nothing_and_breaks_nothing() -> None:
    an_organization()

    put_and_book(a_batch([an_event(1, rules=RULES, counters_answer=b"\xff\x00nonsense")]))

    assert did()["b1"] == (1, 0, 0, 0)
