"""Summaries follow the rows: once, again, after corrections, and when settings change."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.sessions import tasks
from control_plane.sessions.analysis.turns import Target
from control_plane.sessions.models import (
    SessionDay,
    SessionFinding,
    SessionSettings,
    SessionSummary,
    SessionWatermark,
)
from control_plane.sessions.selectors.settings import settings_of
from control_plane.sessions.services import (
    EPOCH,
    session_analyse,
    session_settings_update,
    sessions_moved,
    watermark_advance,
)
from control_plane.usage.models import ConversationSession
from switchyard_contract.pricing import Price
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.sessions.booked import book_turns, event_of, opus
from tests.control_plane.sessions.conversations import MINUTE, Talk
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.events import NOW, ORGANIZATION, a_batch, a_refusal, estimated

pytestmark = pytest.mark.django_db
BEGIN = NOW - timedelta(hours=3)


@pytest.fixture(autouse=True)
def _organization(db: None) -> None:
    an_organization()


@pytest.fixture
def price() -> Price:
    return opus()


def a_talk() -> Talk:
    """Ten turns; the tools change at turn 5, and turn 8 comes after seven minutes."""
    talk = Talk(context=100_000)
    talk.go_on(4)
    talk.say(read=0, facts={"tools": b"more"})
    talk.go_on(2)
    talk.say(pause_ms=7 * MINUTE, read=0)
    talk.go_on(2)
    return talk


def state() -> tuple[object, ...]:
    """All that is kept, without ids and instants of the work itself."""
    return (
        list(SessionSummary.objects.order_by("session_id").values().all()),
        [{**row, "id": 0} for row in SessionDay.objects.order_by("id").values()],
        [{**row, "id": 0} for row in SessionFinding.objects.order_by("id").values()],
    )


def test_a_session_is_summed_up_from_its_rows(price: Price) -> None:
    talk = a_talk()
    session = book_turns(talk.turns, price, begin=BEGIN)
    assert session_analyse(session.id, now=NOW)
    summary = SessionSummary.objects.get()
    assert (summary.session_id, summary.organization_id) == (session.id, ORGANIZATION)
    assert (summary.turns, summary.cost_nano_usd) == (10, session.cost_nano_usd)
    assert summary.repository == "switchyard"
    assert summary.finding_kinds == ["cache_break", "cold_cache"]
    tools, cold = SessionFinding.objects.order_by("at")
    assert (tools.kind, tools.cause, tools.turn) == ("cache_break", "tools_changed", 5)
    assert tools.money_nano_usd == (100_000 + 4 * 998) * (6_250 - 500)
    assert (cold.kind, cold.cause, cold.turn, cold.detail["lifetime_s"]) == ("cold_cache", "idle", 8, 300)
    assert summary.avoidable_nano_usd == tools.money_nano_usd + cold.money_nano_usd
    (day,) = SessionDay.objects.all()
    assert (day.model, day.provider_name, day.turns) == ("claude-opus-4-8", "anthropic-main", 10)
    assert day.avoidable_nano_usd == summary.avoidable_nano_usd
    assert day.stop_reasons == {"tool_use": 10}


def test_the_same_rows_again_change_nothing(price: Price) -> None:
    session = book_turns(a_talk().turns, price, begin=BEGIN)
    session_analyse(session.id, now=NOW)
    before = state()
    session_analyse(session.id, now=NOW)
    assert state() == before


def test_only_what_moved_is_looked_at(price: Price) -> None:
    first = book_turns(a_talk().turns, price, begin=BEGIN)
    assert tasks.run(longest_s=5) == 1
    assert tasks.run(longest_s=5) == 0
    other = book_turns(a_talk().turns, price, begin=BEGIN, first_sequence=100, session_id="session-2")
    assert sessions_moved(now=NOW, most=10) == [other.id]
    assert tasks.run(longest_s=5) == 1
    assert set(SessionSummary.objects.values_list("session_id", flat=True)) == {first.id, other.id}


def test_a_run_that_ends_early_is_gone_on_with(price: Price) -> None:
    for number in range(5):
        book_turns(a_talk().turns, price, begin=BEGIN, first_sequence=1 + 100 * number, session_id=f"session-{number}")
    looked_at = 0
    for _ in range(5):
        looked_at += tasks.run(longest_s=0.0001)
    assert looked_at + tasks.run(longest_s=5) == 5
    assert SessionSummary.objects.count() == 5


def test_the_watermark_moves_only_past_what_was_looked_at(price: Price) -> None:
    session = book_turns(a_talk().turns, price, begin=BEGIN)
    sessions_moved(now=NOW, most=1)
    moved_at = session.moved_at
    watermark_advance(now=moved_at + timedelta(hours=1))
    assert EPOCH < SessionWatermark.objects.get().through < moved_at
    session_analyse(session.id, now=NOW)
    watermark_advance(now=moved_at + timedelta(hours=1))
    assert SessionWatermark.objects.get().through == moved_at + timedelta(minutes=50)


def test_a_long_session_that_runs_is_looked_at_less_often(price: Price) -> None:
    talk = Talk()
    talk.go_on(100)
    session = book_turns(talk.turns, price, begin=BEGIN)
    session_analyse(session.id, now=NOW)
    talk.say()
    put_and_book(a_batch([event_of(talk.turns[-1], 500, price, begin=BEGIN)], first_sequence=500))
    assert sessions_moved(now=NOW + timedelta(seconds=9), most=10) == []
    assert sessions_moved(now=NOW + timedelta(seconds=11), most=10) == [session.id]


def test_an_estimate_that_was_replaced_is_counted_once(price: Price) -> None:
    talk = Talk()
    talk.go_on(3)
    events = [event_of(turn, number, price, begin=BEGIN) for number, turn in enumerate(talk.turns)]
    put_and_book(a_batch([*events[:2], estimated(events[2], cost_nano_usd=777)]))
    session = ConversationSession.objects.get()
    session_analyse(session.id, now=NOW)
    put_and_book(a_batch([events[2]], first_sequence=9))
    session_analyse(session.id, now=NOW)
    session.refresh_from_db()
    summary = SessionSummary.objects.get()
    assert (summary.turns, summary.cost_nano_usd) == (3, session.cost_nano_usd)
    assert summary.cost_nano_usd == sum(event.cost_nano_usd for event in events)


def test_a_session_of_two_days_and_models_is_one_session(price: Price) -> None:
    talk = Talk()
    talk.go_on(2)
    talk.say(pause_ms=20 * 60 * MINUTE, read=0)
    talk.say(read=0, target=Target("anthropic-main", "", "claude-haiku-4-5"))
    session = book_turns(talk.turns, price, begin=NOW - timedelta(hours=22))
    session_analyse(session.id, now=NOW)
    rows = SessionDay.objects.order_by("day", "model").values_list("model", "turns", "begun", "joined")
    assert list(rows) == [
        ("claude-opus-4-8", 2, 1, 1),
        ("claude-haiku-4-5", 1, 0, 1),
        ("claude-opus-4-8", 1, 0, 0),
    ]


def test_refusals_and_counts_of_tokens_are_no_turns(price: Price) -> None:
    talk = Talk()
    talk.go_on(2)
    events = [event_of(turn, number, price, begin=BEGIN) for number, turn in enumerate(talk.turns)]
    events.append(event_of(talk.turns[0], 7, price, begin=BEGIN, operation="count_tokens"))
    put_and_book(a_batch([*events, a_refusal(8, at=BEGIN)]))
    session_analyse(ConversationSession.objects.get().id, now=NOW)
    assert SessionSummary.objects.get().turns == 2


def test_two_attempts_are_one_turn_and_a_failover(price: Price) -> None:
    talk = Talk()
    talk.go_on(2)
    events = [event_of(turn, number, price, begin=BEGIN) for number, turn in enumerate(talk.turns)]
    talk.say(read=0)
    failed = event_of(
        talk.turns[-1], 5, price, begin=BEGIN, tokens=usage_pb2.Tokens(), cost_nano_usd=0,
        outcome=usage_pb2.OUTCOME_FAILED,
    )  # fmt: skip
    moved = event_of(talk.turns[-1], 5, price, begin=BEGIN, attempt=2, provider_name="bedrock-main")
    put_and_book(a_batch([*events, failed, moved]))
    session_analyse(ConversationSession.objects.get().id, now=NOW)
    (finding,) = SessionFinding.objects.all()
    assert (finding.kind, finding.turn) == ("failover", 3)
    assert finding.detail["after"] == "bedrock-main/claude-opus-4-8"
    assert SessionSummary.objects.get().gateway_retries == 1


def test_another_key_for_repositories_is_read_from_the_rows_again(price: Price) -> None:
    session = book_turns(a_talk().turns, price, begin=BEGIN, request_tags={"service": "billing", "repo": "old"})
    tasks.run(longest_s=5)
    assert SessionSummary.objects.get().repository == "old"
    organization = settings_of(ORGANIZATION).organization
    session_settings_update(
        organization=organization, actor=Actor.system("test"), repository_keys=["service", " repo ", "service"]
    )
    assert settings_of(ORGANIZATION).repository_keys == ["service", "repo"]
    assert Change.objects.filter(action="session_settings.updated").exists()
    later = NOW + timedelta(days=365)
    assert sessions_moved(now=later, most=10) == [session.id]
    session_analyse(session.id, now=later)
    assert SessionSummary.objects.get().repository == "billing"


@pytest.mark.parametrize("keys", [[], ["  "], ["x" * 65], [f"k{number}" for number in range(9)]])
def test_keys_that_cannot_be_are_refused(keys: list[str]) -> None:
    organization = settings_of(ORGANIZATION).organization
    with pytest.raises(ValidationError):
        session_settings_update(organization=organization, actor=Actor.system("test"), repository_keys=keys)
    assert not SessionSettings.objects.exists()


def test_rows_that_the_ledger_no_longer_keeps_leave_the_summary_as_it_is(price: Price) -> None:
    session = book_turns(a_talk().turns, price, begin=BEGIN)
    session_analyse(session.id, now=NOW)
    before = state()
    # As if the partition were gone: the session's days no longer reach to its rows.
    ConversationSession.objects.update(first_seen=NOW - timedelta(days=90), last_seen=NOW - timedelta(days=80))
    SessionSummary.objects.update(moved_at=EPOCH)
    session_analyse(session.id, now=NOW)
    assert state() == before


def test_a_session_that_cannot_be_read_does_not_keep_the_others_waiting(
    price: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = book_turns(a_talk().turns, price, begin=BEGIN)
    good = book_turns(a_talk().turns, price, begin=BEGIN, first_sequence=100, session_id="session-2")
    real = tasks.session_analyse

    def failing(session_id: object, **how: object) -> bool:
        if session_id == bad.id:
            raise ValueError("no such thing")
        return real(session_id, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "session_analyse", failing)
    tasks.run(longest_s=5)
    assert dict(SessionSummary.objects.values_list("session_id", "turns")) == {bad.id: 0, good.id: 10}
