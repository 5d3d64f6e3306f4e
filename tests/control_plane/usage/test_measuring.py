"""Models are measured from the ledger, a closed day at a time, and pods are told what moved."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from control_plane.catalog.models import KnownModel
from control_plane.usage import measuring
from control_plane.usage.measuring import facts_by_model, models_measure, undated
from control_plane.usage.models import ModelDay, ModelMeasure
from control_plane.usage.ratios import LEAST_EXCHANGES, LEAST_FOR_CALIBRATED, Facts
from switchyard_contract.counters import Verdict
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.charges import a_budget_number, an_answer
from tests.control_plane.usage.events import NOW, a_batch, a_refusal, an_event, estimated

pytestmark = pytest.mark.django_db
YESTERDAY = NOW - timedelta(days=1)
SONNET = ("anthropic", "claude-sonnet-4-6")
WORST_MICRO_USD = 500_000


@pytest.fixture(autouse=True)
def _catalogue() -> None:
    an_organization()
    KnownModel.objects.create(vendor="anthropic", model="claude-sonnet-4-6", context_tokens=200_000)


def one(number: int, at: datetime = YESTERDAY, per_mille: int = 30, **changes: Any) -> usage_pb2.UsageEvent:
    """30,000 bytes for 10,000 tokens, for 3 % of the worst case."""
    values: dict[str, Any] = {
        "at": at,
        "request_bytes": 30_000,
        "tokens": usage_pb2.Tokens(input_fresh=100, cache_read=9_900, output=50),
        "cost_nano_usd": per_mille * WORST_MICRO_USD,
        "counters_answer": an_answer([], [a_budget_number()]),
    }
    return an_event(number, **{**values, **changes})


_sequence = iter(range(1, 10**9, 500))


def book_all(events: Iterable[usage_pb2.UsageEvent]) -> None:
    waiting = list(events)
    for start in range(0, len(waiting), 500):
        put_and_book(a_batch(waiting[start : start + 500], first_sequence=next(_sequence)))


def test_a_model_is_measured_and_told() -> None:
    book_all(one(number) for number in range(LEAST_EXCHANGES))

    assert models_measure(now=NOW) == 1

    row = ModelMeasure.objects.get()
    assert (row.vendor, row.model, row.exchanges, row.prompts, row.above_worst) == (*SONNET, 200, 200, 0)
    assert row.measured_at == NOW
    told = facts_by_model()[SONNET]
    assert (told.calibrated_per_mille, told.bytes_per_token_milli) == (0, 2_400)
    assert 30 <= told.expected_per_mille <= 32


def test_the_calibrated_bound_needs_more_and_is_above_all_but_one_in_a_thousand() -> None:
    book_all(one(number, per_mille=400 if number < 5 else 30) for number in range(LEAST_FOR_CALIBRATED))

    models_measure(now=NOW)

    told = facts_by_model()[SONNET]
    assert told.expected_per_mille <= 32
    assert 400 <= told.calibrated_per_mille <= 420


def test_too_few_exchanges_say_nothing() -> None:
    book_all(one(number) for number in range(LEAST_EXCHANGES - 1))

    assert models_measure(now=NOW) == 0
    assert facts_by_model() == {}
    assert ModelMeasure.objects.get().exchanges == LEAST_EXCHANGES - 1


def test_a_dated_name_in_the_answer_is_the_model_that_was_asked_for() -> None:
    book_all(one(number, model="claude-sonnet-4-6-20260301") for number in range(LEAST_EXCHANGES))

    models_measure(now=NOW)

    assert facts_by_model().keys() == {SONNET}
    assert undated("gpt-5.1-2025-11-13") == "gpt-5.1"
    assert undated("claude-sonnet-4-6") == "claude-sonnet-4-6"


def test_models_that_are_in_no_price_list_are_nobody_elses_business() -> None:
    book_all(one(number, model="acme-secret", vendor="openai_compatible") for number in range(3))

    models_measure(now=NOW)

    assert not ModelDay.objects.exists()
    assert not ModelMeasure.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": 2},
        {"outcome": usage_pb2.OUTCOME_CANCELLED},
        {"kind": usage_pb2.USAGE_KIND_COUNTED},
        {"is_subscription": True},
        {"usage_is_inconsistent": True},
        {"web_searches": 1},
        {"price_version": ""},
        {"operation": "count_tokens"},
        {"tokens": usage_pb2.Tokens(input_fresh=9_000, input_tool=1_000, output=1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_compares_with_no_worst_case_is_not_counted(changes: dict[str, Any]) -> None:
    book_all([one(1, **changes), a_refusal(2, at=YESTERDAY), estimated(one(3))])

    models_measure(now=NOW)

    assert not ModelDay.objects.exists()


@pytest.mark.parametrize(
    "answer",
    [b"", an_answer([], [a_budget_number()], worst=0), an_answer([], [], verdict=Verdict.DENIED), b"\x91\x63"],
    ids=["not asked", "free", "denied", "not known here"],
)
def test_where_no_worst_case_was_told_the_prompt_counts_alone(answer: bytes) -> None:
    book_all([one(1, counters_answer=answer)])

    models_measure(now=NOW)

    row = ModelDay.objects.get()
    assert (sum(row.ratio_counts), row.prompts, row.least_bytes_per_token_milli) == (0, 1, 3_000)


def test_a_cost_above_the_worst_case_is_counted_apart() -> None:
    book_all([one(1, per_mille=1_200)])

    models_measure(now=NOW)

    assert ModelMeasure.objects.get().above_worst == 1


def test_a_day_is_read_when_it_closed_and_only_once() -> None:
    book_all([one(1), one(2, at=NOW)])
    models_measure(now=NOW)
    assert [row.day for row in ModelDay.objects.all()] == [YESTERDAY.date()]

    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert models_measure(now=NOW + timedelta(hours=3)) == 0
    assert not [query for query in captured if "usage_ledger" in query["sql"]]

    midnight = datetime.combine(NOW.date() + timedelta(days=1), datetime.min.time(), UTC)
    models_measure(now=midnight + timedelta(minutes=30))
    assert ModelDay.objects.count() == 1
    models_measure(now=midnight + timedelta(hours=2))
    assert {row.day for row in ModelDay.objects.all()} == {YESTERDAY.date(), NOW.date()}


def test_an_hour_is_not_read_beyond_its_share_and_one_day_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_ROWS_OF_AN_HOUR", 4)
    hours = [YESTERDAY.replace(hour=hour, minute=0) for hour in (0, 5, 23)]
    book_all(one(number, at=at) for at in hours for number in range(6))

    with CaptureQueriesContext(connection) as captured:
        models_measure(now=NOW)

    assert sum(ModelDay.objects.get().ratio_counts) == 12
    reads = [query["sql"] for query in captured if "usage_ledger" in query["sql"]]
    assert reads
    assert all("LIMIT 4" in sql and '"day" = ' in sql for sql in reads)


def test_costs_are_of_two_weeks_and_prompts_of_a_month() -> None:
    for days_ago, bytes_of_prompt in ((31, 20_000), (20, 25_000), (1, 30_000)):
        a_day(NOW.date() - timedelta(days=days_ago), bytes_of_prompt // 10)
    models_measure(now=NOW + timedelta(days=1))

    row = ModelMeasure.objects.get()
    assert (row.exchanges, row.prompts, row.bytes_per_token_milli) == (5_000, 10_000, 2_000)
    assert {row.day for row in ModelDay.objects.all()} == {NOW.date() - timedelta(days=days) for days in (20, 1)}


def a_day(day: date, bytes_per_token_milli: int, bucket: int = 20, count: int = 5_000) -> None:
    counts = [0] * measuring.BUCKETS
    counts[bucket] = count
    ModelDay.objects.create(
        day=day,
        vendor=SONNET[0],
        model=SONNET[1],
        ratio_counts=counts,
        above_worst=0,
        prompts=count,
        least_bytes_per_token_milli=bytes_per_token_milli,
    )


def test_what_hardly_moved_is_not_told_anew() -> None:
    a_day(NOW.date() - timedelta(days=2), 3_000)
    assert models_measure(now=NOW) == 1
    a_day(NOW.date() - timedelta(days=1), 2_900)

    assert models_measure(now=NOW + timedelta(days=1)) == 0
    row = ModelMeasure.objects.get()
    assert (row.found_bytes_per_token_milli, row.bytes_per_token_milli) == (2_320, 2_400)

    a_day(NOW.date(), 2_000)
    assert models_measure(now=NOW + timedelta(days=2)) == 1
    assert facts_by_model()[SONNET].bytes_per_token_milli == 1_600


def test_a_model_that_nobody_uses_any_more_is_unknown_again() -> None:
    a_day(NOW.date() - timedelta(days=2), 3_000)
    models_measure(now=NOW)
    assert SONNET in facts_by_model()

    models_measure(now=NOW + timedelta(days=40))

    assert facts_by_model() == {}
    assert ModelMeasure.objects.get().exchanges == 0


def test_days_of_other_buckets_say_nothing_of_costs() -> None:
    a_day(NOW.date() - timedelta(days=2), 3_000)
    ModelDay.objects.update(ratio_counts=[1, 2, 3])

    models_measure(now=NOW)

    assert facts_by_model()[SONNET] == Facts(bytes_per_token_milli=2_400)
