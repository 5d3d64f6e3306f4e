"""A caller that is known again gets what a stranger with the same request would get."""

from typing import Any

import pytest

from data_plane.exchange.regulars import Regular
from data_plane.exchange.terms import MAX_TERMS
from data_plane.upstream.request import encode_head
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from tests.data_plane.exchange.fakes import FakeClient, FakeProvider, World
from tests.data_plane.exchange.test_run import ANSWER, ASKED, TOKEN, a_world
from tests.data_plane.policy.builders import a_key, a_policy, a_policy_shard, a_provider

HEADERS = ((b"user-agent", b"OpenAI/Python 1.2"), (b"x-switchyard-metadata", b'{"task":"T-1"}'))


def regulars_of(world: World) -> list[Regular]:
    return [each for each in world.policy.memory.regulars.values() if isinstance(each, Regular)]


async def ask(world: World, *headers: tuple[bytes, bytes], **changes: Any) -> FakeClient:
    client = FakeClient(ASKED)
    await world.serve(client, TOKEN.text, *headers, **changes)
    return client


async def test_the_second_request_is_booked_and_sent_like_the_first() -> None:
    world = a_world(FakeProvider(ANSWER))
    for _ in range(3):
        await ask(world, *HEADERS)
    assert len(regulars_of(world)) == 1
    for events in (world.usage.admissions, world.usage.finals):
        assert events[0] == events[1] == events[2]
    assert world.usage.finals[0].request_tags == {"task": "T-1"}
    first, *others = world.provider.asked
    assert all(other == first for other in others)


async def test_the_opening_that_is_kept_says_what_the_headers_say() -> None:
    world = a_world(FakeProvider(ANSWER))
    await ask(world, *HEADERS)
    request = world.provider.asked[0]
    bare = type(request)(request.origin, request.method, request.target, request.headers, request.body)
    assert request.opening
    assert encode_head(request, b"") == encode_head(bare, request.origin.host_header())


async def test_a_trace_context_goes_on_though_the_caller_is_known() -> None:
    world = a_world(FakeProvider(ANSWER))
    await ask(world, *HEADERS)
    trace = (b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")
    await ask(world, *HEADERS, trace)
    request = world.provider.asked[-1]
    assert trace in request.headers
    assert not request.opening
    await ask(world, *HEADERS)
    assert trace not in world.provider.asked[-1].headers


@pytest.mark.parametrize("carrier", [b"authorization", b"x-api-key", b"x-switchyard-key"])
async def test_another_key_in_any_header_is_another_caller(carrier: bytes) -> None:
    world = a_world(FakeProvider(ANSWER))
    assert (await ask(world, *HEADERS)).status == 200
    wrong = TOKEN.text[:-1] + ("A" if TOKEN.text[-1] != "A" else "B")
    stranger = await ask(world, *HEADERS, (carrier, wrong.encode()))
    assert stranger.status in (400, 401)
    assert (await ask(world, *HEADERS)).status == 200


async def test_other_tags_are_another_tool() -> None:
    world = a_world(FakeProvider(ANSWER))
    await ask(world, *HEADERS)
    await ask(world, HEADERS[0], (b"x-switchyard-metadata", b'{"task":"T-2"}'))
    assert [each.request_tags["task"] for each in world.usage.finals] == ["T-1", "T-2"]


async def test_what_each_request_brings_is_its_own() -> None:
    world = a_world(FakeProvider(ANSWER))
    await ask(world, *HEADERS)
    client = FakeClient(ASKED.replace(b"{", b'{"user":"u",', 1))
    await world.serve(client, TOKEN.text, *HEADERS)
    first, second = world.usage.admissions
    assert second.request_bytes > first.request_bytes
    assert second.tokens.input_fresh > first.tokens.input_fresh


async def test_terms_are_bounded() -> None:
    provider = a_provider("5" * 32, "any", vendor="openai", models=["*"])
    world = a_world(FakeProvider(ANSWER))
    world.policy = a_policy(
        keys=[a_key(TOKEN)], policy=a_policy_shard(providers=[provider], models=[], virtual_models=[])
    )
    for number in range(MAX_TERMS + 3):
        client = FakeClient(ASKED.replace(b'"gpt-5.1"', b'"m-%d"' % number))
        await world.serve(client, TOKEN.text)
        assert client.status == 200
        assert world.usage.finals[-1].requested_model == f"m-{number}"
    assert len(regulars_of(world)[0].terms) == MAX_TERMS


async def test_what_is_kept_prints_no_secret() -> None:
    sealed = pb.SealedCredential(ciphertext=b"sk-account")
    provider = a_provider("5" * 32, "openai-main", vendor="openai", models=["gpt-5.1"], credential=sealed)
    world = a_world(FakeProvider(ANSWER))
    world.policy = a_policy(
        keys=[a_key(TOKEN)], policy=a_policy_shard(providers=[provider], models=[], virtual_models=[])
    )
    await ask(world)
    kept = repr(world.policy.memory.regulars) + repr(regulars_of(world)[0].terms)
    assert "sk-account" not in kept
    assert TOKEN.text not in kept
    assert world.usage.finals[-1].outcome == usage_pb2.OUTCOME_SERVED
