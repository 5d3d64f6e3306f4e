"""When the store counts as away."""

from data_plane.counters.breaker import FAILURES_IN_A_ROW, Breaker


def test_more_than_two_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed(0.0)
    assert not breaker.is_open
    breaker.answered(0.001, 0.0)
    for _ in range(FAILURES_IN_A_ROW):
        breaker.failed(0.1)
    assert not breaker.is_open
    breaker.failed(0.1)
    assert breaker.is_open


def test_one_in_ten_slower_than_fifty_milliseconds_for_a_second_opens_it() -> None:
    breaker = Breaker()
    breaker.close(0.0)
    for number in range(101):
        breaker.answered(0.06 if number % 10 == 0 else 0.001, number / 100)
    assert breaker.is_open


def test_one_in_a_hundred_does_not_and_neither_do_a_few_in_all() -> None:
    rare, few = Breaker(), Breaker()
    rare.close(0.0)
    few.close(0.0)
    for number in range(1000):
        rare.answered(0.06 if number % 100 == 0 else 0.001, number / 100)
    for number in range(10):
        few.answered(0.06, number)
    assert not rare.is_open
    assert not few.is_open


def test_what_was_before_it_closed_is_forgotten() -> None:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(0.0)
    breaker.close(1.0)
    breaker.failed(1.1)
    assert not breaker.is_open
    assert breaker.opened == 1
