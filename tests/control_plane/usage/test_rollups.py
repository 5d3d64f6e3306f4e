"""What rows add to minutes, hours, days, latencies, labels, sessions and keys."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from control_plane.usage.models import (
    ConversationSession,
    KeyLastUse,
    LabelDay,
    LabelHour,
    LatencyDay,
    LatencyMinute,
    TeamDay,
    TeamMinute,
    UsageDay,
    UsageHour,
)
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import an_organization, assert_books_agree, put_and_book
from tests.control_plane.usage.charges import a_rule_seen
from tests.control_plane.usage.events import KEY, NOW, a_batch, a_refusal, an_event, estimated
from tests.control_plane.usage.oracle import start_of

pytestmark = pytest.mark.django_db

HOUR = start_of(NOW, "hour")


@pytest.fixture(autouse=True)
def _organization(db: None) -> None:
    an_organization()


def booked(*events: usage_pb2.UsageEvent) -> None:
    put_and_book(a_batch(events))
    assert_books_agree()


def only(rows: Iterable[Any]) -> Any:
    (row,) = rows
    return row


def test_rows_of_one_grain_become_one_hour_and_one_day() -> None:
    booked(an_event(1), an_event(2), an_event(3, at=NOW - timedelta(hours=1)))

    assert list(UsageHour.objects.order_by("hour").values_list("hour", "requests")) == [
        (HOUR - timedelta(hours=1), 1),
        (HOUR, 2),
    ]
    day = UsageDay.objects.get()
    assert day.day == date(2026, 11, 21)
    assert (day.requests, day.attempts, day.cost_nano_usd) == (3, 3, 9_000_000)
    assert (day.input_fresh, day.cache_read, day.output) == (300, 3000, 150)
    latency = LatencyDay.objects.get()
    assert sum(latency.duration_counts) == sum(latency.gateway_counts) == sum(latency.inter_token_counts) == 3


def test_people_keys_and_versions_share_a_row_by_team() -> None:
    booked(
        an_event(1),
        an_event(2, principal_id="0e" * 16, key_id="Key000000002", client_version="2.1.1", requested_model="opus"),
        an_event(3, at=NOW - timedelta(minutes=1)),
    )

    assert TeamDay.objects.get().requests == 3
    assert sorted(TeamMinute.objects.values_list("requests", flat=True)) == [1, 2]
    assert sorted(UsageHour.objects.values_list("requests", flat=True)) == [1, 2]
    assert sorted(sum(row.duration_counts) for row in LatencyMinute.objects.all()) == [1, 2]


def test_a_row_and_its_reversal_add_nothing() -> None:
    put_and_book(a_batch([estimated(an_event(1))]))
    booked(an_event(1))

    undone = UsageHour.objects.get(outcome="internal")
    assert (undone.requests, undone.estimates, undone.cost_nano_usd) == (0, 0, 0)
    assert undone.failure == "internal"


def test_a_refusal_is_a_request_without_an_attempt() -> None:
    booked(a_refusal(1))

    hour = UsageHour.objects.get()
    assert (hour.requests, hour.attempts, hour.refusals, hour.errors) == (1, 0, 1, 0)
    assert (hour.outcome, hour.status_class, hour.reason) == ("refused", "4xx", "model_not_allowed")
    assert sum(LatencyDay.objects.get().duration_counts) == 0


def test_a_second_attempt_is_not_a_second_request() -> None:
    booked(an_event(1, outcome=usage_pb2.OUTCOME_FAILED, upstream_status=529), an_event(1, attempt=2))

    rows = UsageHour.objects.values_list("outcome", "failure", "requests", "attempts", "errors")
    assert sorted(rows) == [("failed", "overloaded", 1, 1, 1), ("served", "", 0, 1, 0)]


@pytest.mark.parametrize(
    ("status", "reason", "failure"),
    [
        (0, "upstream_failed", "unreachable"),
        (200, "upstream_truncated", "truncated"),
        (200, "", "told_in_answer"),
        (429, "", "rate_limited"),
        (504, "", "timeout"),
        (500, "", "server_error"),
        (401, "", "unauthorized"),
        (404, "", "rejected"),
    ],
)
def test_a_failure_has_a_kind(status: int, reason: str, failure: str) -> None:
    booked(an_event(1, outcome=usage_pb2.OUTCOME_FAILED, upstream_status=status, reason=reason))

    assert UsageHour.objects.get().failure == TeamDay.objects.get().failure == failure


def test_what_a_subscription_paid_is_told_apart() -> None:
    booked(an_event(1), an_event(2, is_subscription=True))

    day = UsageDay.objects.get()
    assert (day.cost_nano_usd, day.subscription_cost_nano_usd) == (6_000_000, 3_000_000)


def test_what_was_saved_and_what_has_no_price_is_summed() -> None:
    moved = usage_pb2.Downgrade(is_taken=True, stay_nano_usd=900, move_nano_usd=200, budget_id="0f" * 16)
    booked(
        an_event(1, saved_cache_nano_usd=50, downgrade=moved, stage="downgrade"),
        an_event(2, saved_cache_nano_usd=-7, price_version="", cost_nano_usd=0),
        an_event(3, price_note="dearest"),
    )

    total = {row.stage: row for row in UsageDay.objects.all()}
    assert total["downgrade"].saved_downgrade_nano_usd == 700
    assert (total["downgrade"].saved_cache_nano_usd, total[""].saved_cache_nano_usd) == (50, -7)
    assert (total[""].unpriced, total[""].dearest) == (1, 1)


def test_a_session_spans_its_rows() -> None:
    later = NOW + timedelta(minutes=3)
    booked(
        an_event(2, at=later, model="claude-haiku-4-5", agent_id="explorer", client_version="2.1.1"),
        an_event(1),
    )

    session = ConversationSession.objects.get()
    assert (session.first_seen, session.last_seen) == (NOW, later)
    assert session.model_names == ["claude-haiku-4-5", "claude-sonnet-4-6"]
    assert session.agent_ids == ["explorer"]
    assert session.client_version == "2.1.1"
    assert session.cost_nano_usd == 6_000_000
    assert sorted(UsageHour.objects.values_list("agent", flat=True)) == ["main", "subagent"]


def test_the_same_session_name_on_two_keys_is_two_sessions() -> None:
    booked(an_event(1), an_event(2, key_id="Key000000002"))

    assert ConversationSession.objects.count() == 2


def test_the_last_use_of_a_key_is_its_newest_row() -> None:
    later = NOW + timedelta(minutes=3)
    booked(an_event(2, at=later), an_event(1))

    use = KeyLastUse.objects.get()
    assert (use.key_id, use.used_at) == (KEY, later)


def test_rules_and_tags_have_sums_of_their_own() -> None:
    seen = usage_pb2.RulesSeen(rules=[a_rule_seen(), a_rule_seen(kind="access", matched=False, id="ff" * 16)])
    rule_id = seen.rules[0].id
    booked(
        an_event(1, rules=seen),
        an_event(2, request_tags={"environment": "prod", "repository": "switchyard"}, tags={"environment": "dev"}),
        an_event(3, tags={}, request_tags={}),
    )

    rows = LabelDay.objects.values_list("label", "value", "requests", "cost_nano_usd")
    assert sorted(rows) == [
        ("metadata.environment", "dev", 2, 6_000_000),
        ("metadata.repository", "switchyard", 2, 6_000_000),
        ("rule", rule_id, 1, 3_000_000),
    ]
    assert LabelHour.objects.count() == 3


def test_what_a_rule_was_about_is_taken_back_with_its_row() -> None:
    seen = usage_pb2.RulesSeen(rules=[a_rule_seen()])
    event = an_event(1, rules=seen)
    put_and_book(a_batch([estimated(event)]))
    booked(event)

    assert only(LabelDay.objects.filter(label="rule")).cost_nano_usd == 3_000_000


def test_names_cannot_be_made_to_fall_together() -> None:
    booked(an_event(1, client='a","b', client_version="c"), an_event(2, client="a", client_version='b","c'))

    assert UsageHour.objects.count() == 2
