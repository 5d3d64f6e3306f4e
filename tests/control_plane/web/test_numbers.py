from datetime import UTC, datetime, timedelta

import pytest

from control_plane.web import numbers

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("nano_usd", "expected"),
    [
        (0, "$0.00"),
        (12_400_000_000, "$12.40"),
        (15_734_500, "$0.0157"),
        (999_949_999, "$0.9999"),
        (999_950_000, "$1.00"),
        (1, "<$0.0001"),
        (50_000, "$0.0001"),
        (1_234_567_890_000_000, "$1,234,567.89"),
        (-2_500_000_000, "-$2.50"),
    ],
)
def test_money_is_written_with_two_digits_and_below_a_dollar_with_four(nano_usd: int, expected: str) -> None:
    assert numbers.money(nano_usd) == expected


@pytest.mark.parametrize("nano_usd", [15_654_321, 4_270_000, 12_345_678, 999_960_000, 1_005_000_000])
def test_the_console_and_a_refusal_round_to_the_same_digit(nano_usd: int) -> None:
    # What the gateway says of it: tests/data_plane/protocols/test_refusal_text.py.
    said = {15_654_321: "$0.0157", 4_270_000: "$0.0043", 12_345_678: "$0.0123", 999_960_000: "$1.00"}
    assert numbers.money(nano_usd) == said.get(nano_usd, "$1.01")


def test_exact_money_keeps_every_nano_dollar() -> None:
    assert numbers.money_exact(1_234_015_734_500) == "$1,234.015734500"
    assert numbers.money_exact(-1) == "-$0.000000001"


@pytest.mark.parametrize(
    ("nano_usd", "expected"), [(3_000_000_000, "$3.00"), (75_000_000, "$0.075"), (0, "$0.00"), (312_500_000, "$0.3125")]
)
def test_a_rate_keeps_the_digits_it_needs(nano_usd: int, expected: str) -> None:
    assert numbers.rate(nano_usd) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0 k"),
        (45_300, "45.3 k"),
        (999_949, "999.9 k"),
        (999_950, "1.00 M"),
        (1_240_000, "1.24 M"),
        (3_100_000_000, "3.10 G"),
    ],
)
def test_counts_are_shortened(count: int, expected: str) -> None:
    assert numbers.compact(count) == expected


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [
        (None, "–"),
        (840, "840 µs"),
        (12_400, "12.4 ms"),
        (840_000, "840 ms"),
        (3_200_000, "3.2 s"),
        (245_000_000, "4 min 05 s"),
    ],
)
def test_durations_have_the_unit_people_think_in(microseconds: int | None, expected: str) -> None:
    assert numbers.duration(microseconds) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(250, "250 ms"), (1500, "1.5 s"), (5000, "5 s"), (600_000, "10 min"), (90_500, "90.5 s")],
)
def test_what_was_set_is_written_as_people_set_it(milliseconds: int, expected: str) -> None:
    assert numbers.wait(milliseconds) == expected


def test_a_share_of_nothing_is_a_dash() -> None:
    assert numbers.share(1, 0) == "–"
    assert numbers.share(42, 100) == "42 %"
    assert numbers.share(3, 1000) == "0.3 %"
    assert [numbers.share(part, 10_000) for part in (9_940, 9_980, 9_999, 10_000)] == [
        "99 %",
        "99.8 %",
        "99.9 %",
        "100 %",
    ]


def test_a_change_says_its_direction() -> None:
    assert numbers.change(253, 214) == "+18 %"
    assert numbers.change(97, 100) == "−3 %"
    assert numbers.change(5, 0) == "new"
    assert numbers.change(126, 1) == "+12,500 %"
    assert numbers.change(100, 100) == "unchanged"


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=4), "4 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=12), "12 days ago"),
        (-timedelta(days=5), "in 5 days"),
    ],
)
def test_relative_times(gap: timedelta, expected: str) -> None:
    assert numbers.ago(NOW - gap, NOW) == expected
