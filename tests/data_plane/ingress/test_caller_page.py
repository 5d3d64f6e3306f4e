"""What `GET /switchyard/v1/me` says of a key's budgets, rates and caps."""

import json
from collections.abc import Iterable
from typing import Any

from data_plane.counters.standing import BudgetStanding, RateStanding, Standing
from data_plane.ingress.caller_page import CallerPage
from data_plane.policy.claims import BudgetClaim, RateClaim
from data_plane.policy.decision import Caller
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import RequestHead
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.builders.rules import (
    DAY_MS,
    SHADOW,
    a_budget,
    a_price,
    a_rate_limit,
    a_session_cap,
    alert,
    block,
    every,
    usd,
    when,
)
from tests.data_plane.policy.builders import CLAUDE_MAIN, NOW_MS, USER, a_provider, policy_and_caller
from tests.data_plane.policy.builders import a_policy_shard as shard_of

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
DAYS = (NOW_MS - 1000, NOW_MS + DAY_MS, NOW_MS + 2 * DAY_MS)


class Counted:
    """Counters with the same spent in each, and what they were asked for."""

    def __init__(self, posted: float = 0, reserved: float = 0, used: int = 0, *, is_away: bool = False) -> None:
        self._posted, self._reserved, self._used, self._is_away = posted, reserved, used, is_away
        self.asked: list[tuple[list[RateClaim], list[BudgetClaim], str]] = []

    async def standing(
        self, organization_id: str, rates: Iterable[RateClaim], budgets: Iterable[BudgetClaim], session_id: str = ""
    ) -> Standing | None:
        rates, budgets = list(rates), list(budgets)
        self.asked.append((rates, budgets, session_id))
        if self._is_away:
            return None
        spent = (NanoUsd(usd(self._posted)), NanoUsd(usd(self._reserved)))
        return Standing(
            tuple(RateStanding(each, self._used) for each in rates),
            tuple(BudgetStanding(each, *spent) for each in budgets),
        )


def a_world(**rules: Any) -> tuple[PolicySnapshot, Caller]:
    models = [pb.Model(id=f"anthropic-main/{name}", provider_id=CLAUDE_MAIN, model=name) for name in (OPUS, HAIKU)]
    given = {
        "providers": [a_provider(models=[OPUS, HAIKU])],
        "models": models,
        "virtual_models": [],
        "prices": [a_price(OPUS, 5, 25), a_price(HAIKU, 1, 5)],
        **rules,
    }
    return policy_and_caller(policy=shard_of(**given))


async def page_of(
    world: tuple[PolicySnapshot, Caller], counted: Counted, query: str = "", page: CallerPage | None = None
) -> dict[str, Any]:
    head = RequestHead("GET", "/switchyard/v1/me", query, ((b"user-agent", b"curl/8"),))
    text = await (page or CallerPage(counted)).write(*world, head, NOW_MS)
    found: dict[str, Any] = json.loads(text)
    return found


async def test_who_the_key_is_and_what_it_may_use() -> None:
    page = await page_of(a_world(), Counted())

    assert page["user"] == {"id": USER, "name": "ada@acme.example"}
    assert page["team"]["name"] == "platform"
    assert page["models"] == [HAIKU, OPUS]
    assert (page["budgets"], page["rate_limits"], page["session_caps"]) == ([], [], [])
    assert page["counters"] == "ok"


async def test_a_budget_says_spent_left_reserved_stage_and_reset() -> None:
    budget = a_budget(
        "daily",
        10,
        per=["principal"],
        periods=every("day", DAYS, "Europe/Berlin"),
        stages=[alert(80, "team lead"), block()],
        contact="finance@acme.example",
    )
    page = await page_of(a_world(budgets=[budget]), Counted(8.25, 0.5))

    assert page["budgets"] == [
        {
            "name": "daily",
            "counts": "ada@acme.example",
            "period": "day",
            "timezone": "Europe/Berlin",
            "limit_usd": "10.000000000",
            "limit_nano_usd": usd(10),
            "resets_at": "2026-11-19T11:06:40+00:00",
            "resets_at_ms": NOW_MS + DAY_MS,
            "contact": "finance@acme.example",
            "spent_usd": "8.250000000",
            "spent_nano_usd": usd(8.25),
            "reserved_usd": "0.500000000",
            "reserved_nano_usd": usd(0.5),
            "left_usd": "1.750000000",
            "left_nano_usd": usd(1.75),
            "percent": 82,
            "stage": "alert",
        }
    ]


async def test_an_overspent_budget_has_less_than_nothing_left() -> None:
    page = await page_of(a_world(budgets=[a_budget("all", 1)]), Counted(1.5))

    [row] = page["budgets"]
    assert (row["left_usd"], row["percent"], row["stage"]) == ("-0.500000000", 150, "block")
    assert (row["resets_at"], row["period"]) == (None, "lifetime")


async def test_a_rule_about_some_models_names_them_and_one_about_all_does_not() -> None:
    budgets = [
        a_budget("opus", 5, when=when(models=("*opus*",))),
        a_budget("all", 5),
        a_budget("each", 5, per=["model"]),
    ]
    page = await page_of(a_world(budgets=budgets), Counted())

    named = {(row["name"], row["counts"]): row.get("models") for row in page["budgets"]}
    assert named[("opus", "")] == [OPUS]
    assert named[("all", "")] is None
    assert [models for (name, _), models in named.items() if name == "each"] == [[HAIKU], [OPUS]]

    narrowed = await page_of(a_world(budgets=budgets), Counted(), f"model={HAIKU}")
    assert [row["name"] for row in narrowed["budgets"]] == ["all", "each"]


async def test_a_key_without_listed_models_is_told_its_budgets_all_the_same() -> None:
    world = a_world(models=[], providers=[a_provider(models=["claude-*"])], budgets=[a_budget("daily", 10)])
    page = await page_of(world, Counted(1))

    assert page["models"] == []
    assert [row["name"] for row in page["budgets"]] == ["daily"]


async def test_rates_say_what_is_used_and_left() -> None:
    limits = [
        a_rate_limit("steady", limit=60, burst=5),
        a_rate_limit("at-once", unit=pb.RATE_UNIT_CONCURRENT_REQUESTS, limit=4),
        a_rate_limit("mine", unit=pb.RATE_UNIT_INPUT_TOKENS, limit=1000, periods=every("day", DAYS)),
    ]
    page = await page_of(a_world(rate_limits=limits), Counted(used=3))

    rows = {row["name"]: row for row in page["rate_limits"]}
    assert {name: (row["unit"], row["limit"], row["used"], row["left"]) for name, row in rows.items()} == {
        "steady": ("requests", 60, 3, 57),
        "at-once": ("concurrent_requests", 4, 3, 1),
        "mine": ("input_tokens", 1000, 3, 997),
    }
    assert (rows["steady"]["burst"], rows["steady"]["period"]) == (5, "minute")
    assert rows["mine"]["resets_at_ms"] == NOW_MS + DAY_MS


async def test_counters_of_a_session_are_told_to_who_names_it() -> None:
    world = a_world(
        budgets=[a_budget("session", 5, per=["session"])],
        session_caps=[a_session_cap("runaway", max_turns=400, max_request_retries=3)],
    )
    counted = Counted(used=7)
    without = await page_of(world, counted)
    within = await page_of(world, counted, "session=s-1")

    assert [row["counts"] for row in without["budgets"]] == ["requests without a session"]
    assert [row["counts"] for row in within["budgets"]] == ["this session"]
    assert [(row["name"], row["unit"], row["used"]) for row in within["session_caps"]] == [("runaway", "turns", 7)]
    assert counted.asked[1][2] == "s-1"


async def test_shadows_and_limits_of_accounts_are_not_the_callers_business() -> None:
    provider = a_provider(models=[OPUS, HAIKU], limits=pb.ProviderLimits(requests_per_minute=10))
    world = a_world(budgets=[a_budget("tried", mode=SHADOW)], providers=[provider])

    page = await page_of(world, Counted())

    assert (page["budgets"], page["rate_limits"]) == ([], [])


async def test_counters_that_are_away_leave_the_limits() -> None:
    page = await page_of(a_world(budgets=[a_budget("daily", 10)]), Counted(is_away=True))

    assert page["counters"] == "unavailable"
    [row] = page["budgets"]
    assert row["limit_usd"] == "10.000000000"
    assert "spent_usd" not in row


async def test_rules_about_a_tool_are_asked_for_the_tool_that_is_named() -> None:
    world = a_world(budgets=[a_budget("claude", 5, when=when(clients=["claude-code"]))])

    assert (await page_of(world, Counted()))["budgets"] == []
    assert len((await page_of(world, Counted(), "client=claude-code"))["budgets"]) == 1


async def test_what_was_found_is_kept_until_the_policy_changes() -> None:
    counted = Counted()
    page = CallerPage(counted)
    world = a_world(budgets=[a_budget("daily", 10)])
    await page_of(world, counted, page=page)
    await page_of(world, counted, page=page)
    other = a_world(budgets=[a_budget("weekly", 10)])

    assert [row["name"] for row in (await page_of(world, counted, page=page))["budgets"]] == ["daily"]
    assert counted.asked[0][1][0] is counted.asked[1][1][0]
    assert [row["name"] for row in (await page_of(other, counted, page=page))["budgets"]] == ["weekly"]


async def test_two_people_never_see_each_others_counters() -> None:
    counted = Counted()
    page = CallerPage(counted)
    for world in (
        a_world(budgets=[a_budget("own", 10, per=["key"])]),
        a_world(budgets=[a_budget("own", 10, per=["key"])]),
    ):
        await page_of(world, counted, page=page)

    [first], [second] = counted.asked[0][1], counted.asked[1][1]
    assert first.counter != second.counter
