"""Lengths of time in words."""

import pytest

from control_plane.usage.spans import span_text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (840, "840 ms"),
        (12_900, "12 s"),
        (912_000, "15 min 12 s"),
        (3_600_000, "1 h"),
        (11_100_000, "3 h 5 min"),
        (86_403_000, "1 day"),
        (187_200_000, "2 days 4 h"),
        (86_400_000_000 * 2, "2,000 days"),
    ],
)
def test_the_two_greatest_units_are_said(milliseconds: int, text: str) -> None:
    assert span_text(milliseconds) == text
