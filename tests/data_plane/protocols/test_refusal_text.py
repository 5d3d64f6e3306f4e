"""What a refused person reads."""

from dataclasses import replace

import pytest

from data_plane.policy.decision import Refusal, RuleNumbers
from data_plane.protocols.refusal_text import dollars, instant_of, sentence_of, text_of
from switchyard_contract.reason import Reason

DOLLAR = 1_000_000_000
RESETS_AT_MS = 1_795_388_400_000
BUDGET = RuleNumbers(
    kind="budget",
    rule_name="engineer-daily",
    unit="nano_usd",
    used=10_020_000_000,
    limit=10 * DOLLAR,
    period="day",
    resets_at_ms=RESETS_AT_MS,
    timezone="Europe/Berlin",
    contact="finance@example.com",
    told=("the team lead", "#finance"),
    more_url="https://console.example.com/more/7",
    counts="ada@example.com",
)


def said(reason: Reason, numbers: RuleNumbers, **fields: int) -> str:
    return sentence_of(Refusal(reason, numbers=numbers, **fields))  # type: ignore[arg-type]  # whole numbers alone


def test_a_spent_budget_says_rule_numbers_reset_whom_to_ask_and_who_knows() -> None:
    assert text_of(Refusal(Reason.BUDGET_EXCEEDED, numbers=BUDGET), "01K0DEC") == (
        "Switchyard: The budget “engineer-daily” is spent: $10.02 of $10.00 a day, counted for ada@example.com. "
        "It starts anew at 2026-11-23 00:00 Europe/Berlin (2026-11-22 23:00 UTC). "
        "Ask finance@example.com, or ask for more at https://console.example.com/more/7. "
        "Told already: the team lead, #finance. (decision 01K0DEC)"
    )


def test_a_budget_with_something_left_says_what_the_request_may_cost() -> None:
    nearly = replace(BUDGET, used=9_600_000_000, needed=1_234_000_000, told=(), contact="", more_url="")

    assert said(Reason.BUDGET_EXCEEDED, nearly).startswith(
        "The budget “engineer-daily” has no room for this request: $9.60 of $10.00 a day, counted for "
        "ada@example.com is taken, and it may cost $1.23. It starts anew"
    )


def test_a_budget_for_ever_names_no_reset() -> None:
    total = replace(BUDGET, period="lifetime", resets_at_ms=0, told=(), more_url="", counts="")

    assert said(Reason.BUDGET_EXCEEDED, total) == (
        "The budget “engineer-daily” is spent: $10.02 of $10.00 in all. Ask finance@example.com."
    )


def test_a_rate_limit_says_when_there_is_room_again() -> None:
    rate = RuleNumbers("rate", "ci", "input_tokens", used=120_000, limit=100_000, period="minute", contact="ops@x")

    assert said(Reason.RATE_LIMITED, rate, retry_after_s=12) == (
        "The limit “ci” is reached: 120,000 of 100,000 input tokens a minute. There is room again in 12 s. Ask ops@x."
    )
    assert said(Reason.RATE_LIMITED, rate, retry_after_s=600).endswith("There is room again in 10 min. Ask ops@x.")
    assert said(Reason.RATE_LIMITED, rate, retry_after_s=30_000).endswith("again in 8 h 20 min. Ask ops@x.")
    burst = RuleNumbers("rate", "ci", "requests", used=1, limit=60, period="minute")
    assert said(Reason.RATE_LIMITED, burst, retry_after_s=1) == (
        "The limit “ci” is reached: 60 requests a minute. There is room again in 1 s."
    )
    at_once = RuleNumbers("concurrency", "gpu", "requests", used=4, limit=4)
    assert said(Reason.CONCURRENCY_LIMITED, at_once, retry_after_s=1) == (
        "The limit “gpu” is reached: 4 of 4 requests at once. There is room again in 1 s."
    )


@pytest.mark.parametrize(
    ("reason", "unit", "used", "limit", "expected"),
    [
        (
            Reason.SESSION_CAP,
            "nano_usd",
            51 * DOLLAR,
            50 * DOLLAR,
            "The cost cap “c” is spent: $51.00 of $50.00 a session.",
        ),
        (Reason.SESSION_CAP, "turns", 400, 400, "The cap “c” is reached: 400 of 400 turns a session."),
        (
            Reason.RETRY_CAP,
            "retries",
            4,
            3,
            "The same request came too often: 4 times; the cap “c” allows 3 repetitions.",
        ),
        (
            Reason.SESSION_CAP,
            "failed_tool_results",
            6,
            6,
            "6 tool results in a row have failed, and the cap “c” is 6. "
            "Tell the tool what to do differently, and it goes on.",
        ),
        (
            Reason.SESSION_CAP,
            "tool_calls",
            8,
            8,
            "The same tool call was made 8 times in a row, and the cap “c” is 8. "
            "Tell the tool what to do differently, and it goes on.",
        ),
    ],
)
def test_caps_say_what_was_reached(reason: Reason, unit: str, used: int, limit: int, expected: str) -> None:
    assert said(reason, RuleNumbers("session_cap", "c", unit, used=used, limit=limit, period="session")) == expected


def test_a_message_of_the_refusal_wins() -> None:
    assert sentence_of(Refusal(Reason.BUDGET_EXCEEDED, "Said already.", numbers=BUDGET)) == "Said already."
    assert sentence_of(Refusal(Reason.BUDGET_EXCEEDED)) == "The budget is spent."


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [
        (0, "$0.00"),
        (10 * DOLLAR, "$10.00"),
        (1_234_567 * DOLLAR, "$1,234,567.00"),
        (1_005_000_000, "$1.01"),
        (310_000_000, "$0.31"),
        (4_270_000, "$0.0043"),
        (15_654_321, "$0.0157"),
        (999_960_000, "$1.00"),
        (123_456, "$0.00012"),
        (12_345_678, "$0.0123"),
        (1, "$0.000000001"),
        (-500_000_000, "-$0.50"),
    ],
)
def test_money_is_said_in_cents_or_as_small_as_it_is(nano_usd: int, text: str) -> None:
    assert dollars(nano_usd) == text


def test_an_instant_is_said_once_where_the_zone_is_utc_or_unknown() -> None:
    assert instant_of(RESETS_AT_MS, "UTC") == instant_of(RESETS_AT_MS, "Nowhere/At_all") == "2026-11-22 23:00 UTC"
