"""The picture of a session."""

from control_plane.sessions.analysis.session import Strand, analyse
from control_plane.web.session_chart import HEIGHT, MOST_COLUMNS, WIDTH, session_chart
from control_plane.web.templatetags.sessions import duration_ms
from tests.control_plane.sessions.conversations import PRICES, Talk


def a_strand(count: int) -> Strand:
    talk = Talk()
    talk.go_on(count - 1)
    talk.say(read=0, facts={"tools": b"more"})
    return analyse(talk.turns, PRICES).main


def test_each_turn_is_a_column_and_each_finding_a_marker() -> None:
    drawn = session_chart(a_strand(10))
    assert len(drawn.columns) == 10
    assert [(mark.tone, mark.words) for mark in drawn.markers] == [("look", "Broken cache, turn 10")]
    last = drawn.columns[-1]
    assert float(last.cost.height) == HEIGHT
    assert 0 < float(last.lost.height) < HEIGHT
    assert (last.cached.height, float(last.context.height)) == ("0.00", HEIGHT)
    assert "for a cache that was lost" in last.words
    assert drawn.sentence.startswith("10 turns for $")
    assert drawn.sentence.endswith("1 finding.")


def test_many_turns_share_columns_and_stay_within_the_box() -> None:
    drawn = session_chart(a_strand(1001))
    assert drawn.turns_per_column == 5
    assert len(drawn.columns) <= MOST_COLUMNS
    assert (drawn.first_turn, drawn.last_turn) == (1, 1001)
    for column in drawn.columns:
        for bar in (column.cost, column.lost, column.context, column.cached):
            assert 0 <= float(bar.x) <= float(bar.x) + float(bar.width) <= WIDTH + 0.02
            assert 0 <= float(bar.y) <= float(bar.y) + float(bar.height) <= HEIGHT + 0.02


def test_no_turn_is_an_empty_picture() -> None:
    drawn = session_chart(Strand("", (), ()))
    assert drawn.is_empty
    assert drawn.sentence == "No turn yet."


def test_long_times_are_told_in_hours() -> None:
    assert [duration_ms(value) for value in (0, 840, 61_000, 8_040_000)] == ["–", "840 ms", "61.0 s", "2 h 14 min"]
