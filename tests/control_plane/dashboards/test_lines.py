from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from control_plane.dashboards.lines import UNIT_DURATION, Band, Line, Mark, line_chart

BERLIN = ZoneInfo("Europe/Berlin")
STARTS = [datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=hour) for hour in range(3)]


def test_a_line_chart_says_what_is_to_be_drawn_with_its_gaps() -> None:
    chart = line_chart(
        UNIT_DURATION,
        BERLIN,
        STARTS,
        3600,
        [Line("p50", (1000, None, 3000)), Line("p95", (5000, None, 9000), color=1, is_dashed=True)],
        bands=[Band("expected", (None, 1, 2), (None, 3, 4))],
        marks=[Mark("promised", 8000, "look")],
    )
    drawn = chart.as_json
    assert drawn["times"] == [int(start.timestamp()) for start in STARTS]
    assert drawn["lines"] == [
        {"label": "p50", "values": [1000, None, 3000], "color": 0, "dashed": False},
        {"label": "p95", "values": [5000, None, 9000], "color": 1, "dashed": True},
    ]
    assert drawn["bands"] == [{"label": "expected", "low": [None, 1, 2], "high": [None, 3, 4], "color": 0}]
    assert drawn["marks"] == [{"label": "promised", "value": 8000, "tone": "look"}]
    assert [value for _, value in chart.newest] == [3000, 9000]
    assert chart.rows[0] == (STARTS[2], (3000, 9000))


def test_a_chart_without_any_value_is_empty() -> None:
    assert line_chart(UNIT_DURATION, BERLIN, STARTS, 3600, [Line("p50", (None, None, None))]).is_empty
    assert line_chart(UNIT_DURATION, BERLIN, STARTS, 3600, []).rows == []


def test_a_line_needs_a_value_for_each_instant() -> None:
    with pytest.raises(ValueError, match="2 values for 3 instants"):
        line_chart(UNIT_DURATION, BERLIN, STARTS, 3600, [Line("p50", (1, 2))])


def test_the_newest_values_are_of_one_instant() -> None:
    starts = [datetime(2026, 11, 22, hour, tzinfo=UTC) for hour in range(3)]
    chart = line_chart(
        "duration",
        ZoneInfo("UTC"),
        starts,
        3600,
        [Line("p50", (1, 2, None)), Line("p95", (9, None, None)), Line("before", (3, 4, 5), is_dashed=True)],
    )
    # The p95 of an hour ago is not put beside the median of now; what was before says nothing of when that is.
    assert [value for _, value in chart.newest] == [2, None, 4]
    nothing = line_chart("duration", ZoneInfo("UTC"), starts, 3600, [Line("p50", (None, None, None))])
    assert [value for _, value in nothing.newest] == [None]
