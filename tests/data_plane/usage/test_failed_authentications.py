"""Failed authentications are counted within bounds."""

from data_plane.usage.failed_authentications import MAX_SOURCES_PER_MINUTE, OTHER, FailedAuthentications

MINUTE_MS = 60_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = 10 * MINUTE_MS + 1234

    def __call__(self) -> int:
        return self.now_ms


def test_the_same_failure_is_one_row_a_minute() -> None:
    clock = Clock()
    counts = FailedAuthentications(clock)
    counts.count("unknown", "10.0.0.1")
    counts.count("unknown", "10.0.0.1")
    clock.now_ms += MINUTE_MS
    counts.count("unknown", "10.0.0.1")
    rows = counts.take(100)
    assert [(row.minute_ms, row.reason, row.source, row.count) for row in rows] == [
        (10 * MINUTE_MS, "unknown", "10.0.0.1", 2),
        (11 * MINUTE_MS, "unknown", "10.0.0.1", 1),
    ]
    assert counts.take(100) == []


def test_a_flood_of_sources_ends_in_other() -> None:
    counts = FailedAuthentications(Clock())
    for number in range(MAX_SOURCES_PER_MINUTE + 500):
        counts.count("unknown", f"source-{number}")
    rows = counts.take(1 << 30)
    assert len(rows) == MAX_SOURCES_PER_MINUTE + 1
    assert [row.count for row in rows if row.source == OTHER] == [500]


def test_an_outage_of_any_length_stays_within_memory() -> None:
    clock = Clock()
    counts = FailedAuthentications(clock)
    for _ in range(5):
        for number in range(MAX_SOURCES_PER_MINUTE):
            counts.count("unknown", f"source-{number}")
        clock.now_ms += MINUTE_MS
    assert len(counts) <= 2 * MAX_SOURCES_PER_MINUTE + 5


def test_what_is_given_back_is_counted_again() -> None:
    counts = FailedAuthentications(Clock())
    counts.count("revoked", "a")
    rows = counts.take(10)
    counts.count("revoked", "a")
    counts.give_back(rows)
    assert [row.count for row in counts.take(10)] == [2]
