"""One exchange from end to end, with fakes: whatever happens it is in the books exactly once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from data_plane.exchange.ledger import Entry
from data_plane.exchange.running import Running
from data_plane.policy.decision import Refusal
from data_plane.protocols.openai_chat.stream import ChatTap
from data_plane.upstream.failure import ConnectFailed, ConnectionLost
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from tests.data_plane.exchange.fakes import ORIGIN, FakeClient, FakeProvider, World
from tests.data_plane.policy.builders import NOW_MS, a_key, a_policy, a_policy_shard, a_provider, a_token

TOKEN = a_token()
ASKED = b'{"model": "gpt-5.1", "messages": [{"role": "user", "content": "hi"}]}'
STREAMED = b'{"model": "gpt-5.1", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'
ANSWER = (
    b'{"id": "c1", "model": "gpt-5.1", "choices": [{"finish_reason": "stop", "message": {"content": "hello"}}], '
    b'"usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}}'
)
WORD = b'data: {"id": "c1", "model": "gpt-5.1", "choices": [{"delta": {"content": "word "}}]}\n\n'
STOP = b'data: {"id": "c1", "model": "gpt-5.1", "choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
USAGE = (
    b'data: {"id": "c1", "model": "gpt-5.1", "choices": [], '
    b'"usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}}\n\n'
)
DONE = b"data: [DONE]\n\n"
PRICE = pb.PriceRow(id="p1", model="gpt-5.1", rates=pb.Rates(input=1_000_000, output=10_000_000))
COST = 10 * 1 + 4 * 10


def a_world(provider: FakeProvider, **key: Any) -> World:
    return World(a_policy(keys=[a_key(TOKEN, **key)], list_prices=[PRICE]), provider)


def a_loss() -> ConnectionLost:
    return ConnectionLost(origin=str(ORIGIN), bytes_received=1, was_reused=False, why="reset by the provider")


def only(events: list[usage_pb2.UsageEvent]) -> usage_pb2.UsageEvent:
    assert len(events) == 1
    return events[0]


async def test_a_served_request_passes_unchanged_and_is_billed_once() -> None:
    world, client = a_world(FakeProvider(ANSWER[:50], ANSWER[50:])), FakeClient(ASKED)
    await world.serve(client, TOKEN.text)
    assert (client.status, client.received, client.has_clean_end) == (200, ANSWER, True)
    assert world.provider.asked[0].body == ASKED
    assert client.headers[b"x-switchyard-provider"] == b"openai-main"
    event = only(world.usage.finals)
    assert (event.outcome, event.kind) == (usage_pb2.OUTCOME_SERVED, usage_pb2.USAGE_KIND_FINAL)
    assert (event.tokens.input_fresh, event.tokens.output, event.cost_nano_usd) == (10, 4, COST)
    assert (event.upstream_request_id, event.client_status, event.response_bytes) == ("req_1", 200, len(ANSWER))
    assert (event.reason, event.error_text) == ("", "")
    assert len(world.running) == 0


async def test_what_is_admitted_says_what_it_may_cost() -> None:
    world = a_world(FakeProvider(ANSWER))
    await world.serve(FakeClient(ASKED), TOKEN.text)
    admitted = only(world.usage.admissions)
    # 70 bytes are estimated at 20 tokens.
    assert (admitted.tokens.input_fresh, admitted.cost_nano_usd, admitted.price_version) == (20, 20, "p1")
    assert (admitted.provider_name, admitted.model, admitted.attempt) == ("openai-main", "gpt-5.1", 1)


async def test_a_model_that_is_not_offered_is_refused_without_asking_anybody() -> None:
    world, client = a_world(FakeProvider()), FakeClient(b'{"model": "unheard-of/x", "messages": []}')
    world.policy = a_policy(
        keys=[a_key(TOKEN)], policy=a_policy_shard(providers=[a_provider(models=["claude-*"])], models=[])
    )
    await world.serve(client, TOKEN.text)
    assert client.status == Reason.NO_TARGET.http_status
    assert (world.provider.asked, world.usage.admissions) == ([], [])
    event = only(world.usage.finals)
    assert (event.outcome, event.reason) == (usage_pb2.OUTCOME_REFUSED, "no_target")
    assert event.error_text.startswith("No model “unheard-of/x” is offered here. Closest names this key may use: ")
    assert f"Switchyard: {event.error_text} (decision " in client.received.decode()


async def test_a_key_that_is_none_of_ours_is_counted_and_in_nobodys_book() -> None:
    world, client = a_world(FakeProvider()), FakeClient(ASKED)
    await world.serve(client, a_token().text)
    assert client.status == 401
    assert (world.usage.finals, world.provider.asked) == ([], [])
    assert b'switchyard_failed_authentications_total{reason="unauthenticated"} 1.0' in world.metrics.render()


async def test_a_full_spool_admits_nothing() -> None:
    world, client = a_world(FakeProvider()), FakeClient(ASKED)
    world.usage.is_full = True
    await world.serve(client, TOKEN.text)
    assert client.status == 503
    assert world.provider.asked == []
    assert only(world.usage.finals).reason == "spool_unavailable"


async def test_a_provider_out_of_reach_is_named_and_nothing_is_billed() -> None:
    failure = ConnectFailed(origin=str(ORIGIN), why="connection refused", addresses=("192.0.2.1",))
    world, client = a_world(FakeProvider(refuses=failure)), FakeClient(ASKED)
    await world.serve(client, TOKEN.text)
    assert client.status == Reason.UPSTREAM_FAILED.http_status
    assert b"openai-main" in client.received
    event = only(world.usage.finals)
    assert (event.outcome, event.reason, event.cost_nano_usd) == (usage_pb2.OUTCOME_FAILED, "upstream_failed", 0)
    assert event.error_text.encode() in client.received
    assert "openai-main" in event.error_text


async def test_a_document_that_breaks_off_becomes_a_plain_error_and_is_charged_as_counted() -> None:
    world, client = a_world(FakeProvider(ANSWER[:50], a_loss())), FakeClient(ASKED)
    await world.serve(client, TOKEN.text)
    assert client.status == Reason.UPSTREAM_TRUNCATED.http_status
    assert not client.received.startswith(ANSWER[:50])
    event = only(world.usage.finals)
    assert (event.reason, event.outcome) == ("upstream_truncated", usage_pb2.OUTCOME_FAILED)
    assert event.error_text.startswith("Provider openai-main broke off in the middle of its answer")
    assert event.error_text.encode() in client.received
    # The provider had begun to answer, so it charges; what it told of that is lost, so it is counted.
    assert event.kind == usage_pb2.USAGE_KIND_COUNTED
    assert event.tokens.input_fresh > 0
    assert event.cost_nano_usd > 0


async def test_a_provider_that_refuses_our_credential_is_not_passed_on_as_401() -> None:
    world, client = a_world(FakeProvider(b"{}", status=401)), FakeClient(ASKED)
    await world.serve(client, TOKEN.text)
    assert client.status != 401
    assert only(world.usage.finals).upstream_status == 401


async def test_a_stream_passes_event_by_event_and_is_billed_once() -> None:
    events = [WORD, WORD, STOP, USAGE, DONE]
    world, client = a_world(FakeProvider(*events, streams=True)), FakeClient(STREAMED)
    await world.serve(client, TOKEN.text)
    assert (client.received, client.has_clean_end, client.was_aborted) == (b"".join(events), True, False)
    event = only(world.usage.finals)
    assert (event.outcome, event.tokens.output, event.chunks) == (usage_pb2.OUTCOME_SERVED, 4, 5)
    assert event.cost_nano_usd == COST


async def test_a_stream_writes_down_what_it_comes_to_every_two_seconds() -> None:
    def later() -> None:
        world.clock_s += 1.1

    steps = [WORD, later, WORD, later, WORD, WORD, later, WORD, later, WORD, STOP, USAGE, DONE]
    world, client = a_world(FakeProvider(*steps, streams=True)), FakeClient(STREAMED)
    await world.serve(client, TOKEN.text)
    # One more than there are words, for the blank that may begin the next one.
    assert [event.tokens.output for event in world.usage.progressed] == [4, 7]
    event = world.usage.progressed[-1]
    # The prompt by its size, until it is told.
    assert event.tokens.input_fresh == -(-len(STREAMED) * 10 // 35)
    assert event.cost_nano_usd == event.tokens.input_fresh * 1 + 7 * 10
    assert (event.model, event.price_version, event.chunks) == ("gpt-5.1", "p1", 6)
    assert only(world.usage.finals).cost_nano_usd == COST


async def test_a_stream_that_comes_fast_writes_it_down_by_its_bytes_and_not_too_often() -> None:
    def later() -> None:
        world.clock_s += 0.3

    much = WORD * 250
    steps = [much, much, later, much, much, later, WORD, STOP, USAGE, DONE]
    world, client = a_world(FakeProvider(*steps, streams=True)), FakeClient(STREAMED)
    await world.serve(client, TOKEN.text)
    assert [event.tokens.output for event in world.usage.progressed] == [751, 1002]


async def test_an_answer_without_usage_is_counted_in_its_model_s_own_measure() -> None:
    """Answers before it were told to have twice as many tokens as we count."""
    told = USAGE.replace(b'"completion_tokens": 4', b'"completion_tokens": 200')
    world = a_world(FakeProvider(WORD * 100, STOP, told, DONE, streams=True))
    await world.serve(FakeClient(STREAMED), TOKEN.text)
    client = FakeClient(STREAMED)
    await another(world, FakeProvider(WORD * 50, streams=True)).serve(client, TOKEN.text)
    event = world.usage.finals[-1]
    assert event.kind == usage_pb2.USAGE_KIND_COUNTED
    assert event.tokens.output == pytest.approx(100, abs=3)


def another(world: World, provider: FakeProvider) -> World:
    """The same pod, and what it has learned, with other answers to come."""
    other = a_world(provider)
    other.usage = world.usage
    learned = {"yardsticks": world.ports.yardsticks, "sessions": world.ports.sessions}
    other.ports = replace(other.ports, usage=world.usage, **learned)  # type: ignore[arg-type]
    return other


async def test_the_prompt_of_a_session_is_known_by_the_turn_before_it() -> None:
    details = b'"completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8000}'
    told = USAGE.replace(b'"prompt_tokens": 10', b'"prompt_tokens": 9000').replace(b'"completion_tokens": 4', details)
    session = (b"x-switchyard-session", b"s-1")
    world = a_world(FakeProvider(WORD, STOP, told, DONE, streams=True))
    await world.serve(FakeClient(STREAMED), TOKEN.text, session)
    await another(world, FakeProvider(WORD, streams=True)).serve(FakeClient(STREAMED), TOKEN.text, session)
    before, event = world.usage.finals
    assert (before.tokens.input_fresh, before.tokens.cache_read) == (1000, 8000)
    # All of it is in the provider's cache by now, as OpenAI's is.
    assert (event.kind, event.tokens.input_fresh, event.tokens.cache_read) == (usage_pb2.USAGE_KIND_COUNTED, 0, 9000)


async def test_an_answer_that_was_opened_and_never_began_is_billed_its_prompt() -> None:
    world, client = a_world(FakeProvider(a_loss(), streams=True)), FakeClient(STREAMED)
    await world.serve(client, TOKEN.text)
    event = only(world.usage.finals)
    assert (event.kind, event.tokens.output) == (usage_pb2.USAGE_KIND_COUNTED, 0)
    assert event.cost_nano_usd == event.tokens.input_fresh > 0


async def test_who_leaves_when_too_many_are_read_on_is_charged_what_passed() -> None:
    client = FakeClient(STREAMED)
    world = a_world(FakeProvider(WORD, client.leave, WORD, STOP, USAGE, DONE, streams=True))
    world.running = Running(most_drains=0)
    await world.serve(client, TOKEN.text)
    event = only(world.usage.finals)
    assert (event.outcome, event.kind) == (usage_pb2.OUTCOME_CANCELLED, usage_pb2.USAGE_KIND_COUNTED)
    assert event.tokens.output == 2
    assert world.provider.source.aborts == 1


@pytest.mark.parametrize("ending", [[], [a_loss()]], ids=["closed", "reset"])
async def test_a_stream_that_is_cut_ends_with_an_error_event_and_no_clean_end(ending: list[Exception]) -> None:
    world, client = a_world(FakeProvider(WORD, *ending, streams=True)), FakeClient(STREAMED)
    await world.serve(client, TOKEN.text)
    assert client.received.startswith(WORD)
    assert b'data: {"error"' in client.received[len(WORD) :]
    assert (client.has_clean_end, client.was_aborted) == (False, True)
    event = only(world.usage.finals)
    assert (event.outcome, event.reason) == (usage_pb2.OUTCOME_FAILED, "upstream_truncated")
    assert event.error_text.encode() in client.received
    assert event.error_text
    assert event.kind == usage_pb2.USAGE_KIND_COUNTED


async def test_a_stream_whose_caller_left_is_read_to_its_end_and_billed_once() -> None:
    client = FakeClient(STREAMED)
    world = a_world(FakeProvider(WORD, client.leave, WORD, STOP, USAGE, DONE, streams=True))
    await world.serve(client, TOKEN.text)
    assert client.received == WORD
    event = only(world.usage.finals)
    assert (event.outcome, event.kind) == (usage_pb2.OUTCOME_CANCELLED, usage_pb2.USAGE_KIND_FINAL)
    assert (event.tokens.output, event.cost_nano_usd) == (4, COST)


async def test_a_caller_that_leaves_before_its_body_came_costs_nothing() -> None:
    world, client = a_world(FakeProvider()), FakeClient(ASKED)
    client.leave()
    await world.serve(client, TOKEN.text)
    assert world.provider.asked == []
    event = only(world.usage.finals)
    assert (event.outcome, event.cost_nano_usd) == (usage_pb2.OUTCOME_CANCELLED, 0)


async def test_a_slow_caller_holds_the_provider_back_until_it_has_taken_what_there_is() -> None:
    client = FakeClient(STREAMED)

    def slow_down() -> None:
        client.is_slow = True

    world = a_world(FakeProvider(slow_down, WORD, STOP, USAGE, DONE, streams=True))
    await world.serve(client, TOKEN.text)
    assert (client.drains, world.provider.source.pauses, world.provider.source.resumes) == (1, 1, 1)
    assert client.received == WORD + STOP + USAGE + DONE


class Asleep(FakeClient):
    """Takes what it is sent for a while, and then nothing more, without hanging up."""

    async def drained(self) -> None:
        await asyncio.Event().wait()


async def test_a_caller_that_takes_nothing_any_more_has_left() -> None:
    client = Asleep(STREAMED)

    def falls_asleep() -> None:
        client.is_slow = True

    world = a_world(FakeProvider(WORD, falls_asleep, WORD, WORD, STOP, USAGE, DONE, streams=True))
    world.ports = replace(world.ports, limits=replace(world.ports.limits, caller_stalls_s=0.02))
    await world.serve(client, TOKEN.text)
    assert (client.was_aborted, client.has_clean_end) == (True, False)
    event = only(world.usage.finals)
    # Read on meanwhile, and billed as the provider says.
    assert (event.outcome, event.kind) == (usage_pb2.OUTCOME_CANCELLED, usage_pb2.USAGE_KIND_FINAL)
    assert event.cost_nano_usd == COST


async def test_a_key_revoked_in_mid_stream_ends_it_with_an_error_event() -> None:
    client = FakeClient(STREAMED)

    def revoke() -> None:
        world.running.cut_callers({TOKEN.id}, frozenset(), Refusal(Reason.KEY_REVOKED))

    world = a_world(FakeProvider(WORD, revoke, WORD, WORD, WORD, streams=True))
    await world.serve(client, TOKEN.text)
    assert client.received.startswith(WORD)
    assert b'data: {"error"' in client.received
    assert client.was_aborted
    event = only(world.usage.finals)
    assert (event.reason, event.outcome) == ("key_revoked", usage_pb2.OUTCOME_FAILED)


async def test_code_of_ours_that_breaks_shows_as_internal(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_tap: ChatTap, _chunk: bytes) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(ChatTap, "feed", break_down)
    world, client = a_world(FakeProvider(WORD, STOP, DONE, streams=True)), FakeClient(STREAMED)
    with pytest.raises(ZeroDivisionError):
        await world.serve(client, TOKEN.text)
    assert only(world.usage.finals).outcome == usage_pb2.OUTCOME_INTERNAL
    assert not client.has_clean_end
    assert len(world.running) == 0


async def test_an_entry_closes_once() -> None:
    world, client = a_world(FakeProvider(ANSWER)), FakeClient(ASKED)
    entries: list[Entry] = []
    original = Entry.__init__

    def note(entry: Entry, *arguments: Any) -> None:
        original(entry, *arguments)
        entries.append(entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Entry, "__init__", note)
        await world.serve(client, TOKEN.text)
    entries[0].break_off()
    entries[0].refuse(Refusal(Reason.DRAINING))
    assert only(world.usage.finals).outcome == usage_pb2.OUTCOME_SERVED


# What is remembered acts on the next request all the same.


async def test_a_key_that_worked_stops_at_once_when_it_is_revoked_expires_or_its_policy_changes() -> None:
    world = a_world(FakeProvider(ANSWER), expires_at_ms=NOW_MS + 1000)
    statuses: list[int] = []

    async def ask() -> None:
        client = FakeClient(ASKED)
        await world.serve(client, TOKEN.text)
        statuses.append(client.status)

    await ask()
    world.revoked.add(TOKEN.id)
    await ask()
    world.revoked.clear()
    await ask()
    world.now_ms += 1000
    await ask()
    world.now_ms -= 1000
    world.policy = a_policy(keys=[a_key(TOKEN)], deny=pb.DenyShard(keys=[pb.Revocation(key_id=TOKEN.id)]))
    await ask()
    assert statuses == [200, 401, 200, 401, 401]


async def test_a_credential_is_opened_once_per_policy_and_again_when_keys_are_replaced() -> None:
    sealed = pb.SealedCredential(ciphertext=b"sk-account")
    provider = a_provider("5" * 32, "openai-main", vendor="openai", models=["gpt-5.1"], credential=sealed)
    world = a_world(FakeProvider(ANSWER))
    world.policy = a_policy(
        keys=[a_key(TOKEN)], policy=a_policy_shard(providers=[provider], models=[], virtual_models=[])
    )
    for _ in range(2):
        await world.serve(FakeClient(ASKED), TOKEN.text)
    assert world.secrets.opened == 1
    world.secrets.revision += 1
    await world.serve(FakeClient(ASKED), TOKEN.text)
    assert world.secrets.opened == 2
    assert {(b"authorization", b"Bearer sk-account")} <= set(world.provider.asked[-1].headers)
    assert "sk-account" not in repr(world.policy.memory.credentials)
