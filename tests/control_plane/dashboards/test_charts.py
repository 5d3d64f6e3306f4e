from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from control_plane.dashboards.charts import OTHER, Chart, flagged, interval_starts, sparkline, stacked
from control_plane.usage.selectors.series import Interval

ZONE = ZoneInfo("Europe/Berlin")
DAY = datetime(2026, 11, 1, tzinfo=ZONE)
DAYS = interval_starts(DAY, DAY + timedelta(days=3), Interval.DAY, ZONE)


def drawn(points: list[tuple[datetime, str, int]]) -> Chart:
    return stacked(points, DAYS, unit="money", zone=ZONE, interval=Interval.DAY)


def test_quiet_days_stand_as_zeros() -> None:
    chart = drawn([(DAYS[2], "opus", 5)])
    assert [series.values for series in chart.series] == [(0, 0, 5)]
    assert chart.totals == (0, 0, 5)
    assert chart.peak == (DAYS[2], 5)


def test_the_dearest_comes_first_and_beyond_eight_is_other() -> None:
    chart = drawn([(DAYS[0], f"model-{number}", 100 - number) for number in range(11)])
    assert [series.label for series in chart.series] == [f"model-{number}" for number in range(8)] + [OTHER]
    assert chart.series[-1].total == sum(100 - number for number in range(8, 11))
    assert chart.total == sum(100 - number for number in range(11))


def test_a_fixed_few_keep_their_places_and_so_their_colours() -> None:
    points = [(DAYS[0], "loops", 7), (DAYS[1], "cold", 1)]
    chart = stacked(points, DAYS, unit="money", zone=ZONE, interval=Interval.DAY, order=("cold", "broken", "loops"))
    assert [(series.label, series.total) for series in chart.series] == [("cold", 1), ("broken", 0), ("loops", 7)]


def test_equal_labels_are_added_up() -> None:
    assert drawn([(DAYS[0], "a", 1), (DAYS[0], "a", 2)]).series[0].values == (3, 0, 0)


def test_nothing_is_an_empty_chart_with_its_days() -> None:
    chart = drawn([])
    assert chart.is_empty
    assert chart.peak is None
    assert chart.totals == (0, 0, 0)


def test_days_follow_the_clock_of_the_zone_over_its_jump() -> None:
    starts = interval_starts(
        datetime(2026, 10, 24, tzinfo=ZONE), datetime(2026, 10, 27, tzinfo=ZONE), Interval.DAY, ZONE
    )
    assert [start.astimezone(UTC).hour for start in starts] == [22, 22, 23]


def test_hours_are_absolute_over_the_jump() -> None:
    starts = interval_starts(
        datetime(2026, 10, 25, tzinfo=ZONE), datetime(2026, 10, 26, tzinfo=ZONE), Interval.HOUR, ZONE
    )
    assert len(starts) == 25


def test_changes_of_one_interval_share_a_flag() -> None:
    at = DAYS[1] + timedelta(hours=3)
    chart = flagged(
        drawn([]),
        [
            (DAYS[0], "route.added", "/audit/1"),
            (at, "a", "/audit/2"),
            (at, "b", "/audit/3"),
            (DAYS[0] - timedelta(1), "c", ""),
        ],
        many="/audit",
    )
    assert [(flag.start, flag.label, flag.address) for flag in chart.flags] == [
        (DAYS[0], "route.added", "/audit/1"),
        (DAYS[1], "2 changes of policy", "/audit"),
    ]


def test_a_sparkline_needs_two_values() -> None:
    assert sparkline([1]) == ""
    assert sparkline([0, 4], width=10, height=10) == "0.0,9.0 10.0,1.0"
