"""A budget's standing as headers."""

import pytest

from data_plane.protocols.meters import Gauge, budget_header, native_meter, percent_spent
from switchyard_contract.quantity import NanoUsd

DOLLAR = 1_000_000_000


def a_gauge(name: str = "engineer-daily", posted: int = 8_250_000_000, period: str = "day") -> Gauge:
    return Gauge(name, NanoUsd(posted), NanoUsd(10 * DOLLAR), period, 1_795_388_400_000)


def test_the_tightest_budget_is_a_name_and_whole_percent() -> None:
    assert budget_header(a_gauge()) == (b"x-switchyard-budget", b"engineer-daily:82")


@pytest.mark.parametrize("name", ["täglich: 100%", "a\r\nx-evil: 1", "日本"])
def test_no_name_breaks_out_of_the_header_or_hides_its_percent(name: str) -> None:
    _, value = budget_header(a_gauge(name))

    assert value.isascii()
    assert value.decode().isprintable()
    assert value.rpartition(b":")[2] == b"82"
    assert value.count(b":") == 1


def test_codex_gets_its_own_meter_and_others_get_none() -> None:
    assert native_meter("codex", a_gauge()) == (
        (b"x-codex-primary-used-percent", b"82.5"),
        (b"x-codex-primary-window-minutes", b"1440"),
        (b"x-codex-primary-reset-at", b"1795388400"),
    )
    assert native_meter("claude-code", a_gauge()) == ()


def test_a_meter_is_never_above_full_and_a_lifetime_has_no_window() -> None:
    gauge = Gauge("all", NanoUsd(11 * DOLLAR), NanoUsd(10 * DOLLAR), "lifetime", 0)

    assert native_meter("codex", gauge) == ((b"x-codex-primary-used-percent", b"100.0"),)
    assert native_meter("codex", Gauge("none", NanoUsd(0), NanoUsd(0), "day", 0)) == ()


def test_a_hundred_percent_means_the_limit_is_reached() -> None:
    assert percent_spent(NanoUsd(10 * DOLLAR - 1), NanoUsd(10 * DOLLAR)) == 99
    assert percent_spent(NanoUsd(0), NanoUsd(0)) == 100
