"""Rules in the life of an exchange: one round trip or none, a no in words, and everything settled exactly once."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from data_plane.exchange.regulars import Regular
from data_plane.policy.claims import Claims
from data_plane.policy.grant import NOTHING_SPENT, Ask, Denial, Grant, Refused, Restart
from data_plane.upstream.failure import ConnectFailed, UpstreamTimeout
from switchyard_contract.counters import BudgetNumbers
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from tests.builders.rules import (
    ALERT,
    BLOCK,
    ENFORCE,
    SHADOW,
    STRICT,
    a_daily_budget,
    a_pace,
    days,
    when,
)
from tests.data_plane.exchange.fakes import FakeClient, FakeProvider, Step, World, denied, granted
from tests.data_plane.exchange.test_run import ANSWER, ASKED, COST, DONE, PRICE, STOP, STREAMED, TOKEN, USAGE, WORD
from tests.data_plane.policy.builders import NOW_MS, a_key, a_policy, a_policy_shard

SMALL_PRICE = pb.PriceRow(id="p2", model="gpt-mini", rates=pb.Rates(input=100_000, output=1_000_000))
DAYS = days(first_ms=NOW_MS - NOW_MS % 86_400_000)
USD = 10**9


def a_budget(name: str = "daily", dollars: float = 1.0, **wishes: Any) -> pb.Budget:
    return a_daily_budget(name, dollars, periods=DAYS, **wishes)


def a_world(*steps: Step, provider: FakeProvider | None = None, **rules: Any) -> World:
    shard = a_policy_shard(**rules)
    shard.models.add(id="openai-main/gpt-mini", provider_id="5" * 32, model="gpt-mini")
    shard.providers[1].models.append("gpt-mini")
    policy = a_policy(keys=[a_key(TOKEN)], policy=shard, list_prices=[PRICE, SMALL_PRICE])
    return World(policy, provider or FakeProvider(*(steps or (ANSWER,))))


async def serve(world: World, body: bytes = ASKED, *headers: tuple[bytes, bytes]) -> FakeClient:
    client = FakeClient(body)
    await world.serve(client, TOKEN.text, *headers)
    return client


def ask_of(world: World, place: int = -1) -> Ask:
    return world.counters.asked[place][1]


def denying(refused: Refused, index: int, **changes: Any) -> Callable[[Claims, Ask], Denial]:
    return lambda claims, ask: denied(claims, ask, refused, index, **changes)


async def test_without_a_rule_nobody_is_asked() -> None:
    world = a_world()
    client = await serve(world)
    assert client.status == 200
    assert world.counters.asked == world.counters.settled == []
    assert b"x-switchyard-budget" not in client.headers


async def test_a_rule_about_others_asks_nobody_and_is_written_down() -> None:
    world = a_world(budgets=[a_budget(when=when(models=["claude-*"]))])
    assert (await serve(world)).status == 200
    assert world.counters.asked == []
    seen = world.usage.finals[0].rules.rules
    assert [(rule.name, rule.matched, rule.why_not) for rule in seen] == [("daily", False, "models")]


async def test_an_exchange_is_held_then_settled_with_what_it_cost() -> None:
    world = a_world(budgets=[a_budget()], rate_limits=[a_pace("often", 100)])
    client = await serve(world)
    assert client.status == 200
    (claims, ask), (grant, spent) = world.counters.asked[0], world.counters.settled[0]
    assert [claim.budget_name for claim in claims.budgets] == ["daily"]
    assert ask.first.worst >= ask.first.calibrated >= ask.first.expected > 0
    assert (spent.cost, spent.input_tokens, spent.output_tokens) == (COST, 10, 4)
    assert grant.ask is ask
    event = world.usage.finals[0]
    (charge,) = event.charges
    assert (charge.budget_id, charge.counter, charge.period) == (
        claims.budgets[0].budget_id,
        "",
        str(DAYS.starts_ms[0]),
    )
    assert event.counters_answer == grant.answer
    assert [rule.name for rule in event.rules.rules] == ["often", "daily"]
    admitted = world.usage.admissions[0]
    assert (list(admitted.charges), admitted.counters_answer) == ([charge], grant.answer)
    assert not admitted.rules.rules


async def test_the_second_request_finds_its_terms_ready_until_they_end() -> None:
    world = a_world(budgets=[a_budget()])
    await serve(world)
    await serve(world)
    (regular,) = world.policy.memory.regulars.values()
    assert isinstance(regular, Regular)
    assert world.counters.asked[0][0] is world.counters.asked[1][0]
    world.counters.now_ms = DAYS.starts_ms[1]
    await serve(world)
    claims = world.counters.asked[2][0]
    assert claims is not world.counters.asked[1][0]
    assert claims.budgets[0].period == str(DAYS.starts_ms[1])


async def test_other_tags_have_other_terms() -> None:
    world = a_world(budgets=[a_budget(when=when(metadata={"project": ["apollo"]}))])
    tagged = (b"x-switchyard-metadata", b'{"project": "apollo"}')
    await serve(world, ASKED, tagged)
    await serve(world)
    await serve(world, ASKED, tagged)
    assert len(world.counters.asked) == 2


async def test_a_session_is_part_of_the_counter_that_is_charged() -> None:
    world = a_world(budgets=[a_budget(per=["session"])])
    await serve(world, ASKED, (b"x-switchyard-session", b"s/1"))
    assert ask_of(world).session_id == "s/1"
    assert world.usage.finals[0].charges[0].counter == "s%2F1"


@pytest.mark.parametrize(
    ("refused", "status", "reason"),
    [(Refused.BUDGET, 402, "budget_exceeded"), (Refused.RATE, 429, "rate_limited")],
)
async def test_a_denial_is_a_refusal_with_its_numbers(refused: Refused, status: int, reason: str) -> None:
    world = a_world(budgets=[a_budget(dollars=1.0)], rate_limits=[a_pace("often", 100)])
    spent = (BudgetNumbers(True, True, 999_990, 0, 0, 0),)
    world.counters.answers.append(
        denying(refused, 1 if refused is Refused.BUDGET else 0, budgets=spent, retry_after_ms=1_500)
    )
    client = await serve(world, ASKED.replace(b"{", b'{"max_tokens": 10, ', 1))
    assert client.status == status
    assert (b"daily" if refused is Refused.BUDGET else b"often") in client.received
    assert world.provider.asked == world.counters.settled == world.usage.admissions == []
    event = world.usage.finals[0]
    assert (event.outcome, event.reason) == (usage_pb2.OUTCOME_REFUSED, reason)
    said = json.loads(client.received)["error"]["message"]
    assert said == f"Switchyard: {event.error_text} (decision {event.exchange_id})"
    assert event.counters_answer
    assert [rule.name for rule in event.rules.rules] == ["often", "daily"]
    assert not event.charges
    if refused is Refused.RATE:
        assert client.headers[b"retry-after"] == b"2"


async def test_counters_that_are_away_are_no_verdict() -> None:
    world = a_world(budgets=[a_budget()])
    world.counters.answers.append(denying(Refused.UNAVAILABLE, 0))
    client = await serve(world)
    assert client.status == 503
    assert world.usage.finals[0].reason == "counters_unavailable"


async def test_what_decided_in_an_outage_is_told_and_written_down() -> None:
    world = a_world(budgets=[a_budget()])
    world.counters.answers.append(lambda claims, ask: granted(claims, ask, degraded="bounded", index=-1))
    client = await serve(world)
    assert client.headers[b"x-switchyard-degraded"] == b"bounded"
    assert world.usage.finals[0].degraded == "bounded"


async def test_a_period_that_just_ended_is_asked_about_once_more() -> None:
    world = a_world(budgets=[a_budget()])
    world.counters.answers.append(lambda _claims, _ask: Restart(DAYS.starts_ms[1]))
    assert (await serve(world)).status == 200
    assert [claims.budgets[0].period for claims, _ in world.counters.asked] == [
        str(each) for each in DAYS.starts_ms[:2]
    ]
    assert world.usage.finals[0].charges[0].period == str(DAYS.starts_ms[1])


async def test_a_period_that_ends_twice_is_no_verdict() -> None:
    world = a_world(budgets=[a_budget()])
    world.counters.answers += [lambda _claims, _ask: Restart(DAYS.starts_ms[1])] * 2
    client = await serve(world)
    assert client.status == 503
    assert world.counters.settled == []


@pytest.mark.parametrize(
    ("failure", "cost"),
    [
        (ConnectFailed(origin="x", why="refused"), 0),
        (UpstreamTimeout(origin="x", phase="first_byte", limit_ms=1), 20),
    ],
)
async def test_an_attempt_that_failed_is_settled_with_what_is_billed(failure: Any, cost: int) -> None:
    world = a_world(provider=FakeProvider(refuses=failure), budgets=[a_budget()])
    await serve(world)
    (_grant, spent) = world.counters.settled[0]
    assert spent.cost == cost == world.usage.finals[0].cost_nano_usd


async def test_a_caller_who_leaves_is_charged_for_what_was_produced() -> None:
    client = FakeClient(STREAMED)
    world = a_world(
        provider=FakeProvider(WORD, client.leave, WORD, STOP, USAGE, DONE, streams=True), budgets=[a_budget()]
    )
    await world.serve(client, TOKEN.text)
    assert [spent.cost for _, spent in world.counters.settled] == [COST]


async def test_a_plan_that_cannot_be_made_gives_everything_back() -> None:
    world = a_world(budgets=[a_budget()])
    broken = world.policy.organizations["a" * 32].policy
    assert broken is not None
    world.secrets.open_credential = _fails  # type: ignore[method-assign]
    shard = a_policy_shard(budgets=[a_budget()])
    shard.providers[1].credential.ciphertext = b"x"
    world.policy = a_policy(keys=[a_key(TOKEN)], policy=shard, list_prices=[PRICE])
    client = await serve(world)
    assert client.status == 502
    assert [spent for _, spent in world.counters.settled] == [NOTHING_SPENT]


def _fails(*_: object) -> str:
    from switchyard_contract.envelope import EnvelopeFailure

    raise EnvelopeFailure("sealed for another")


# The header of answers.


async def test_an_answer_tells_how_the_tightest_budget_stands() -> None:
    world = a_world(budgets=[a_budget("my budget", 10.0, stages=[ALERT, BLOCK])])
    counters = (BudgetNumbers(True, False, 8_300_000, 0, 0, 0),)
    world.counters.answers.append(lambda claims, ask: granted(claims, ask, budgets=counters))
    client = await serve(world)
    assert client.headers[b"x-switchyard-budget"] == b"my budget:83"
    assert client.headers[b"x-switchyard-budget-used"] == b"8.30/10.00 USD"
    assert client.headers[b"x-switchyard-stage"] == b"alert"
    assert int(client.headers[b"x-switchyard-budget-reset"]) * 1000 == DAYS.starts_ms[1]


async def test_codex_is_told_in_its_own_meter() -> None:
    world = a_world(budgets=[a_budget("b", 10.0)])
    counters = (BudgetNumbers(True, False, 2_500_000, 0, 0, 0),)
    world.counters.answers.append(lambda claims, ask: granted(claims, ask, budgets=counters))
    client = await serve(world, ASKED, (b"user-agent", b"codex_cli_rs/0.50.0"))
    assert client.headers[b"x-codex-primary-used-percent"] == b"25.0"


# Output that is cut to fit.


async def test_output_is_cut_where_only_it_does_not_fit() -> None:
    world = a_world(budgets=[a_budget(dollars=0.05, bound=STRICT)])
    # $0.01 a token of input would not fit at all; the price is a thousandth of a cent: 10^7 nano per million output.
    body = b'{"max_tokens": 4000, ' + ASKED[1:]
    left_micro = 30
    spent = (BudgetNumbers(True, True, 50_000 - left_micro, 0, 0, 0),)
    world.counters.answers.append(denying(Refused.BUDGET, 0, budgets=spent))
    client = await serve(world, body)
    assert client.status == 200
    sent = json.loads(b"".join(bytes(part) for part in world.provider.asked[0].body))
    assert 1024 <= sent["max_tokens"] < 4000
    assert client.headers[b"x-switchyard-output-limit"] == str(sent["max_tokens"]).encode()
    assert ask_of(world, 0).first.worst > left_micro * 1000 >= ask_of(world, 1).first.worst
    assert sent["model"] == "gpt-5.1"


async def test_output_is_not_cut_below_what_is_of_use() -> None:
    world = a_world(budgets=[a_budget(dollars=0.05, bound=STRICT)])
    spent = (BudgetNumbers(True, True, 49_999, 0, 0, 0),)
    world.counters.answers.append(denying(Refused.BUDGET, 0, budgets=spent))
    client = await serve(world, b'{"max_tokens": 4000, ' + ASKED[1:])
    assert client.status == 402
    assert len(world.counters.asked) == 1


# Caps, access, metadata.


async def test_a_session_gone_astray_is_stopped_without_a_round_trip() -> None:
    cap = pb.SessionCap(id="c" * 32, name="runaway", mode=ENFORCE, max_repeats_of_same_tool_call=2)
    world = a_world(session_caps=[cap])
    call = {"id": "t1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    turns: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    for _ in range(4):
        turns += [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "t1", "content": "no"}]
    client = await serve(world, json.dumps({"model": "gpt-5.1", "messages": turns}).encode())
    assert client.status == 402
    assert b"runaway" in client.received
    assert world.counters.asked == []
    event = world.usage.finals[0]
    assert event.reason == "session_cap"
    assert event.session_facts.same_tool_call == 4


async def test_a_rule_of_access_refuses_and_is_written_down() -> None:
    rule = pb.AccessRule(id="d" * 32, name="no mini", mode=ENFORCE, allow=pb.Parts(), deny=pb.Parts(models=["gpt-5.*"]))
    world = a_world(access_rules=[rule])
    client = await serve(world)
    assert client.status == 403
    assert b"no mini" in client.received
    event = world.usage.finals[0]
    assert event.reason == "model_not_allowed"
    assert [seen.name for seen in event.rules.rules] == ["no mini"]


async def test_a_shadow_refuses_nobody() -> None:
    rule = pb.AccessRule(id="d" * 32, name="no mini", mode=SHADOW, deny=pb.Parts(models=["gpt-5.*"]))
    world = a_world(access_rules=[rule], budgets=[a_budget(mode=SHADOW)])
    assert (await serve(world)).status == 200
    event = world.usage.finals[0]
    assert [charge.is_shadow for charge in event.charges] == [True]
    assert event.rules.rules[0].verdict.startswith("would be denied")


async def test_required_metadata_is_asked_for() -> None:
    world = a_world(metadata_keys=[pb.MetadataKey(key="project", is_required=True)])
    client = await serve(world)
    assert client.status == 400
    assert b"project" in client.received


async def test_accounts_that_are_full_are_told_as_their_providers() -> None:
    shard = a_policy_shard()
    shard.providers[1].limits.concurrent_requests = 1
    world = World(a_policy(keys=[a_key(TOKEN)], policy=shard, list_prices=[PRICE]), FakeProvider(ANSWER))
    world.counters.answers.append(denying(Refused.CONCURRENCY, 0, retry_after_ms=1_000))
    client = await serve(world)
    assert client.status == 429
    assert b"openai-main" in client.received
    assert world.usage.finals[0].reason == "concurrency_limited"


async def test_a_tool_loop_is_said_to_be_one_where_a_grace_is_given() -> None:
    world = a_world(budgets=[a_budget(grace=0.5)])
    turns = [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}],
        },
        {"role": "tool", "tool_call_id": "t", "content": "ok"},
    ]
    await serve(world, json.dumps({"model": "gpt-5.1", "messages": turns}).encode())
    assert ask_of(world).is_tool_loop
    await serve(world)
    assert not ask_of(world).is_tool_loop


async def test_a_key_that_is_revoked_while_the_rules_are_asked_goes_nowhere() -> None:
    world = a_world(budgets=[a_budget()])

    def revoked(claims: Claims, ask: Ask) -> Grant:
        world.revoked.add(TOKEN.id)
        return granted(claims, ask)

    world.counters.answers.append(revoked)
    client = await serve(world)
    assert client.status == 401
    assert world.provider.asked == []
    assert [spent for _, spent in world.counters.settled] == [NOTHING_SPENT]


# Those who leave while the counters are asked.


@pytest.mark.parametrize("more", [{}, {"grace": 1.0}], ids=["plainly", "with a look at the session"])
async def test_who_is_cut_off_while_the_counters_are_asked_leaves_nothing_behind(more: dict[str, Any]) -> None:
    world = a_world(budgets=[a_budget(**more)])
    serving = asyncio.create_task(serve(world))
    while not world.counters.asked:
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert (world.counters.withdrawn, world.counters.settled) == (1, [])
