"""What was decided, packed into a row and read back."""

from typing import Any

import pytest

from control_plane.usage.decisions import (
    MOST_CHARGES,
    MOST_DROPPED,
    Charge,
    charges_of,
    deflate_rules,
    inflate_rules,
    pack,
    rules_digest,
    unpack,
)
from control_plane.usage.judgement import Oddity, judge
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.charges import BUDGET, DAY_MS, a_charge, a_rule_seen
from tests.control_plane.usage.events import HORIZON, an_event


def test_an_event_that_says_nothing_of_a_decision_costs_its_row_nothing() -> None:
    event = an_event()

    assert pack(event) is None
    assert rules_digest(event) is None
    assert unpack(None) == usage_pb2.UsageEvent()
    assert charges_of(None) == ()


def test_what_is_packed_is_read_back() -> None:
    said: dict[str, Any] = {
        "charges": [a_charge(), a_charge(counter="ada", is_shadow=True)],
        "counters_answer": b"\x01\x02",
        "downgrade": usage_pb2.Downgrade(budget_id=BUDGET.hex, from_model="opus", to_model="haiku", is_taken=True),
        "dropped": [usage_pb2.Dropped(model="sonnet", why="retired")],
        "degraded": "bounded",
        "session_facts": usage_pb2.SessionFacts(turn=3, is_tool_loop=True),
    }

    packed = pack(an_event(rules=usage_pb2.RulesSeen(rules=[a_rule_seen()]), **said))

    assert unpack(packed) == usage_pb2.UsageEvent(**said)
    assert charges_of(packed) == (Charge(BUDGET, "", DAY_MS), Charge(BUDGET, "ada", DAY_MS))


def test_a_charge_said_twice_counts_once() -> None:
    assert charges_of(pack(an_event(charges=[a_charge(), a_charge()]))) == (Charge(BUDGET, "", DAY_MS),)


def test_eight_charges_of_one_exchange_take_less_than_half_their_size() -> None:
    event = an_event(charges=[a_charge(counter="3f" * 16, period_ms=DAY_MS + number) for number in range(8)])

    packed = pack(event)

    assert packed is not None
    assert len(packed) * 2 < len(usage_pb2.UsageEvent(charges=event.charges).SerializeToString())


def test_equal_rules_have_one_digest_and_are_read_back() -> None:
    rules = usage_pb2.RulesSeen(rules=[a_rule_seen(), a_rule_seen(kind="rate", matched=False, why_not="models")])

    assert rules_digest(an_event(1, rules=rules)) == rules_digest(an_event(2, rules=rules))
    assert rules_digest(an_event(1, rules=usage_pb2.RulesSeen(rules=rules.rules[:1]))) != rules_digest(
        an_event(1, rules=rules)
    )
    assert inflate_rules(deflate_rules(rules)) == rules


def test_what_only_explains_is_clipped_and_not_refused() -> None:
    event = an_event(dropped=[usage_pb2.Dropped(model=str(number)) for number in range(MOST_DROPPED + 5)])

    assert len(unpack(pack(event)).dropped) == MOST_DROPPED


@pytest.mark.parametrize(
    ("charges", "detail"),
    [
        ([usage_pb2.Charge(budget_id="", period="0")], "budget_id is no UUID"),
        ([usage_pb2.Charge(budget_id="nonsense", period="0")], "budget_id is no UUID"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="")], "period is no instant"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="-1")], "period is no instant"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="today")], "period is no instant"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="٣")], "period is no instant"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="9" * 16)], "period is beyond all time"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="0", counter="x" * 5000)], "counter is too long"),
        ([usage_pb2.Charge(budget_id=BUDGET.hex, period="0", counter="\x00")], "counter is too long"),
        ([a_charge(period_ms=number) for number in range(MOST_CHARGES + 1)], "65 charges"),
    ],
)
def test_charges_that_cannot_be_keep_the_event_aside(charges: list[usage_pb2.Charge], detail: str) -> None:
    verdict = judge(an_event(charges=charges), HORIZON)

    assert isinstance(verdict, Oddity)
    assert verdict.reason == "charge_malformed"
    assert detail in verdict.detail
