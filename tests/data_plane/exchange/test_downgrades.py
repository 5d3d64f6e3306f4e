"""Turns that a budget moves to a cheaper model, and those that it leaves where they are."""

import json

import pytest

from data_plane.exchange import reserving
from data_plane.policy.claims import SECOND, Claims
from data_plane.policy.downgrade import Offer
from data_plane.policy.grant import Ask, Grant
from switchyard_contract.counters import BudgetNumbers
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.builders.rules import BLOCK, downgrade
from tests.data_plane.exchange.fakes import FakeProvider, World, granted
from tests.data_plane.exchange.test_rules import a_budget, a_world, ask_of, serve
from tests.data_plane.exchange.test_run import ANSWER, ASKED, TOKEN
from tests.data_plane.policy.builders import a_key, a_policy, a_policy_shard

DOWNGRADE = a_budget("team", 1.0, stages=[downgrade("retired-1", "gpt-mini", at=95, cache_aware=True), BLOCK])
BIG = b'{"model": "gpt-5.1", "messages": [{"role": "user", "content": "' + b"word " * 20_000 + b'"}]}'
ANSWER_OF_MINI = ANSWER.replace(b"gpt-5.1", b"gpt-mini")


def moved(claims: Claims, ask: Ask) -> Grant:
    counters = (BudgetNumbers(True, False, 960_000, 0, 0, 0),)
    return granted(claims, ask, candidate=SECOND if ask.second is not None else 1, budgets=counters)


async def test_a_turn_goes_to_the_cheaper_model_and_says_so() -> None:
    world = a_world(ANSWER_OF_MINI, budgets=[DOWNGRADE])
    world.counters.answers.append(moved)
    client = await serve(world)
    assert client.status == 200
    assert json.loads(b"".join(bytes(part) for part in world.provider.asked[0].body))["model"] == "gpt-mini"
    assert client.headers[b"x-switchyard-model"] == b"gpt-mini"
    assert client.headers[b"x-switchyard-downgraded-from"] == b"gpt-5.1"
    event = world.usage.finals[0]
    assert (event.requested_model, event.model) == ("gpt-5.1", "gpt-mini")
    told = event.downgrade
    assert (told.is_taken, told.from_model, told.to_model) == (True, "gpt-5.1", "gpt-mini")
    assert 0 < told.move_nano_usd < told.stay_nano_usd
    assert told.budget_id == DOWNGRADE.id
    assert [(one.model, bool(one.why)) for one in event.dropped] == [("retired-1", True)]
    assert event.session_facts.turn == 1
    # Once more, from memory, and back again when nothing asks for it.
    world.counters.answers.append(moved)
    world.provider._steps = (ANSWER_OF_MINI,)
    assert (await serve(world)).headers[b"x-switchyard-model"] == b"gpt-mini"
    world.provider._steps = (ANSWER,)
    assert (await serve(world)).headers[b"x-switchyard-model"] == b"gpt-5.1"


async def test_a_turn_whose_prompt_is_cached_stays_where_it_is_cheaper() -> None:
    cached = json.dumps(
        {
            "id": "c1",
            "model": "gpt-5.1",
            "choices": [{"finish_reason": "stop", "message": {"content": "x"}}],
            "usage": {
                "prompt_tokens": 25_000,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 24_000},
            },
        }
    ).encode()
    price = pb.PriceRow(id="p1", model="gpt-5.1", rates=pb.Rates(input=1_000_000, cache_read=50_000, output=10_000_000))
    small = pb.PriceRow(id="p2", model="gpt-mini", rates=pb.Rates(input=900_000, output=9_000_000))
    shard = a_policy_shard(budgets=[DOWNGRADE])
    shard.providers[1].models.append("gpt-mini")
    world = World(a_policy(keys=[a_key(TOKEN)], policy=shard, list_prices=[price, small]), FakeProvider(cached))
    session = (b"x-switchyard-session", b"s1")
    await serve(world, BIG, session)
    world.counters.answers.append(moved)
    client = await serve(world, BIG, session)
    assert client.headers[b"x-switchyard-model"] == b"gpt-5.1"
    assert ask_of(world).second is None
    told = world.usage.finals[1].downgrade
    assert (told.is_taken, told.budget_id) == (False, DOWNGRADE.id)
    assert told.stay_nano_usd < told.move_nano_usd
    assert told.why


async def test_a_loop_signed_by_the_other_model_stays_there_and_is_weighed_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_world(ANSWER_OF_MINI, budgets=[DOWNGRADE, a_budget("per model", 5.0, per=["model"])])
    stays = Offer(True, True, "a tool loop goes on whose reasoning the other model signed", NanoUsd(9), NanoUsd(3))
    monkeypatch.setattr(reserving, "offer", lambda *_args, **_wishes: stays)
    client = await serve(world)
    assert client.status == 200
    assert client.headers[b"x-switchyard-model"] == b"gpt-mini"
    assert client.headers[b"x-switchyard-downgraded-from"] == b"gpt-5.1"
    (claims, ask) = world.counters.asked[0]
    assert ask.second is None
    assert [claim.counter for claim in claims.budgets if claim.budget_name == "per model"] == ["gpt-mini"]
    event = world.usage.finals[0]
    assert (event.requested_model, event.model) == ("gpt-5.1", "gpt-mini")
    assert (event.downgrade.is_taken, event.downgrade.stay_nano_usd) == (True, 9)
    assert {charge.counter for charge in event.charges} == {"", "gpt-mini"}
    # Whoever asks for the other model by name has terms of his own.
    await serve(world, ASKED.replace(b"gpt-5.1", b"gpt-mini"))
    assert world.usage.finals[1].requested_model == "gpt-mini"
