"""What rows add to hours, days, sessions and keys."""

from datetime import date, timedelta

from control_plane.usage import rollups
from control_plane.usage.entries import reversal_of
from control_plane.usage.rollups import fold
from tests.control_plane.usage.events import KEY, NOW, a_row

HOUR = rollups.hour_of(NOW)


def test_rows_of_one_grain_become_one_hour_and_one_day() -> None:
    deltas = fold([a_row(1), a_row(2), a_row(3, at=NOW - timedelta(hours=1))])

    assert [(hour, measures.requests) for hour, _, measures in deltas.hours] == [
        (HOUR - timedelta(hours=1), 1),
        (HOUR, 2),
    ]
    ((day, _, measures),) = deltas.days
    assert day == date(2026, 11, 21)
    assert (measures.requests, measures.attempts, measures.cost_nano_usd) == (3, 3, 9_000_000)
    assert (measures.input_fresh, measures.cache_read, measures.output) == (300, 3000, 150)
    assert sum(measures.duration_counts) == sum(measures.gateway_counts) == 3


def test_a_row_and_its_reversal_add_nothing() -> None:
    row = a_row(kind="estimated")
    ((_, _, measures),) = fold([row, reversal_of(row)]).hours

    assert measures == rollups.Measures()


def test_a_refusal_is_a_request_without_an_attempt() -> None:
    ((_, grain, measures),) = fold([a_row(attempt=0, outcome="refused", client_status=403, first_token_us=0)]).hours

    assert (measures.requests, measures.attempts, measures.refusals, measures.errors) == (1, 0, 1, 0)
    assert sum(measures.duration_counts) == 0
    assert (grain.outcome, grain.status_class) == ("refused", "4xx")


def test_a_second_attempt_is_not_a_second_request() -> None:
    deltas = fold([a_row(outcome="failed"), a_row(attempt=2)])

    assert sum(measures.requests for _, _, measures in deltas.hours) == 1
    assert sum(measures.attempts for _, _, measures in deltas.hours) == 2
    assert sum(measures.errors for _, _, measures in deltas.hours) == 1


def test_what_a_subscription_paid_is_told_apart() -> None:
    ((_, _, measures),) = fold([a_row(1), a_row(2, is_subscription=True)]).days

    assert (measures.cost_nano_usd, measures.subscription_cost_nano_usd) == (6_000_000, 3_000_000)


def test_a_session_spans_its_rows() -> None:
    later = NOW + timedelta(minutes=3)
    (session,) = fold(
        [a_row(2, at=later, model="claude-haiku-4-5", agent_id="explorer", client_version="2.1.1"), a_row(1)]
    ).sessions

    assert (session.first_seen, session.last_seen) == (NOW, later)
    assert session.models == {"claude-sonnet-4-6", "claude-haiku-4-5"}
    assert session.agents == {"explorer"}
    assert session.client_version == "2.1.1"
    assert session.measures.cost_nano_usd == 6_000_000


def test_the_same_session_name_on_two_keys_is_two_sessions() -> None:
    assert len(fold([a_row(1), a_row(2, key_id="Key000000002")]).sessions) == 2


def test_the_last_use_of_a_key_is_its_newest_row() -> None:
    later = NOW + timedelta(minutes=3)
    (use,) = fold([a_row(2, at=later), a_row(1)]).last_uses

    assert (use.key_id, use.used_at) == (KEY, later)


def test_deltas_come_sorted_by_key() -> None:
    rows = [a_row(number, model=f"model-{number % 7}", key_id=f"key-{number % 5}") for number in range(50)]
    deltas = fold(rows)

    hours = [(hour, grain.id) for hour, grain, _ in deltas.hours]
    assert hours == sorted(hours)
    assert [session.id for session in deltas.sessions] == sorted(session.id for session in deltas.sessions)
