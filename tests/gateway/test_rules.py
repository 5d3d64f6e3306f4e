"""Rules on a real pod with a real counter store, in every protocol: what is allowed, counted, refused and told."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchyard_contract.counters import read_answer
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import (
    ALERT,
    BLOCK,
    CALIBRATED,
    ENFORCE,
    SHADOW,
    STRICT,
    a_daily_budget,
    a_pace,
    downgrade,
    when,
)
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI, RESPONSES, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.prices import DOLLAR
from tests.gateway.wire import Answer, until

Obey = Callable[..., None]
CALL = "sim-usage-in1000-out100"


@pytest.fixture
def obey(fleet: Fleet) -> Iterator[Obey]:
    """Publish rules; they are gone after the test."""

    def publish(**rules: Any) -> None:
        fleet.control.installation.change(rules=pb.PolicyShard(**rules))
        fleet.control.publish("policy")

    yield publish
    publish()


def about(key: KeyToken, **parts: Any) -> pb.Condition:
    return when(f"key:{key.id}", **parts)


def ask(
    fleet: Fleet,
    dialect: Dialect,
    key: KeyToken,
    *,
    model: str = "",
    streams: bool = False,
    body: bytes = b"",
    **more: str,
) -> Answer:
    name = model or dialect.model
    headers = dialect.headers(key, x_sim_behaviour=CALL, **more)
    return fleet.pod.call(
        "POST", dialect.target(name, streams=streams), headers, body or bounded(dialect, name, streams)
    )


def bounded(dialect: Dialect, model: str, streams: bool, limit: int = 200) -> bytes:
    """A small request that says how long its answer may be."""
    field: dict[str, Any] = {
        "openai_chat": {"max_completion_tokens": limit},
        "openai_responses": {"max_output_tokens": limit},
        "gemini_content": {"generationConfig": {"maxOutputTokens": limit}},
        "anthropic_messages": {"max_tokens": limit},
    }[dialect.name]
    return dialect.body(model, streams=streams, **field)


def events(fleet: Fleet, key: KeyToken, count: int) -> list[usage_pb2.UsageEvent]:
    return sorted(fleet.control.rows_of(key, count), key=lambda row: row.exchange_id)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_spent_budget_stops_every_protocol(
    fleet: Fleet, key: KeyToken, obey: Obey, dialect: Dialect, streams: bool
) -> None:
    rule = a_daily_budget(f"small-{key.id}", 0.02, when=about(key), bound=STRICT)
    obey(budgets=[rule])
    answers = [ask(fleet, dialect, key, streams=streams) for _ in range(8)]
    served = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]
    assert served
    assert refused
    assert {answer.status for answer in refused} == {402}
    assert served[0].header("x-switchyard-budget") == f"small-{key.id}:0"
    text = refused[0].text
    assert f"small-{key.id}" in text
    assert "0.02" in text
    assert "finance@example.com" in text
    assert refused[0].header("x-should-retry") == "false"
    rows = events(fleet, key, 8)
    spent = sum(row.cost_nano_usd for row in rows)
    assert 0 < spent <= 20_000_000
    assert all(row.charges for row in rows if row.outcome == usage_pb2.OUTCOME_SERVED)
    noes = [row for row in rows if row.outcome == usage_pb2.OUTCOME_REFUSED]
    assert [row.reason for row in noes] == ["budget_exceeded"] * len(refused)
    told = {answer.header("x-switchyard-decision"): answer.text for answer in refused}
    assert all(row.error_text and row.error_text in told[row.exchange_id] for row in noes)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_rate_is_waited_for(fleet: Fleet, key: KeyToken, obey: Obey, dialect: Dialect) -> None:
    obey(rate_limits=[a_pace(f"one-{key.id}", 1, when=about(key))])
    first, second = ask(fleet, dialect, key), ask(fleet, dialect, key)
    assert (first.status, second.status) == (200, 429)
    assert 50 <= int(second.header("retry-after") or 0) <= 60
    assert f"one-{key.id}" in second.text


@pytest.mark.parametrize("dialect", [ANTHROPIC, CHAT, GEMINI, RESPONSES], ids=str)
def test_output_is_cut_to_what_is_left(fleet: Fleet, key: KeyToken, marker: str, obey: Obey, dialect: Dialect) -> None:
    rule = a_daily_budget(f"left-{key.id}", 0.2, when=about(key), bound=STRICT)
    obey(budgets=[rule])
    answer = ask(fleet, dialect, key, body=bounded(dialect, dialect.model, False, 60_000), x_sim_marker=marker)
    assert answer.status == 200
    limit = int(answer.header("x-switchyard-output-limit") or 0)
    assert 1024 <= limit < 60_000
    sent = json.loads(fleet.provider.request(marker).body)
    found = sent.get("generationConfig", sent)
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
    assert [found[name] for name in names if name in found] == [limit]


def test_a_stream_runs_as_long_as_its_budget_has_room(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    """This provider writes as fast as it can: how much comes while the counters are asked differs."""
    rule = a_daily_budget(f"grows-{key.id}", 0.14, when=about(key), bound=CALIBRATED)
    obey(budgets=[rule])
    body = bounded(ANTHROPIC, ANTHROPIC.model, True, 60_000)
    headers = ANTHROPIC.headers(key, x_sim_behaviour="sim-text-40000")
    answer = fleet.pod.call("POST", "/v1/messages", headers, body)
    assert answer.status == 200
    assert answer.header("x-switchyard-output-limit") is None
    assert answer.is_cut
    assert b"no room for more" in answer.body
    row = events(fleet, key, 1)[0]
    assert row.reason == "budget_exceeded"
    assert row.tokens.output > 4_096
    assert row.cost_nano_usd > 0.06 * DOLLAR
    assert answer.body.count(b"event: content_block_delta") < 40_000


def test_a_shadow_counts_and_refuses_nobody(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    obey(
        budgets=[a_daily_budget(f"shadow-{key.id}", 0.001, when=about(key), mode=SHADOW)],
        rate_limits=[a_pace(f"shadow-rate-{key.id}", 1, when=about(key), mode=SHADOW)],
    )
    answers = [ask(fleet, CHAT, key) for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    assert answers[0].header("x-switchyard-budget") is None
    rows = events(fleet, key, 3)
    assert all([charge.is_shadow for charge in row.charges] == [True] for row in rows)


def test_a_turn_is_moved_to_the_cheaper_model_of_the_same_protocol(
    fleet: Fleet, key: KeyToken, marker: str, obey: Obey
) -> None:
    prices = fleet.control.installation.books.prices
    mini = pb.PriceRow(id="mini", vendor="openai", model="gpt-5.2-mini", rates=pb.Rates(input=10**8, output=10**9))
    stage = downgrade("claude-haiku-4-5", "gpt-5.2-mini", at=1, cache_aware=True)
    fleet.control.installation.change(prices=(*prices, mini))
    fleet.control.publish("global")
    try:
        obey(budgets=[a_daily_budget(f"d-{key.id}", 0.1, when=about(key), stages=[stage, BLOCK], bound=CALIBRATED)])
        answers = [ask(fleet, CHAT, key, x_sim_marker=f"{marker}-{number}") for number in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        second = answers[1]
        assert second.header("x-switchyard-model") == "gpt-5.2-mini"
        assert second.header("x-switchyard-downgraded-from") == "gpt-5.2"
        assert json.loads(fleet.provider.request(f"{marker}-1").body)["model"] == "gpt-5.2-mini"
        row = events(fleet, key, 2)[1]
        assert row.downgrade.is_taken
        assert row.downgrade.move_nano_usd < row.downgrade.stay_nano_usd
        assert row.model.startswith("gpt-5.2-mini")
        assert [dropped.model for dropped in row.dropped] == ["claude-haiku-4-5"]
    finally:
        fleet.control.installation.change(prices=prices)
        fleet.control.publish("global")


def test_access_is_denied_by_name_and_the_list_is_shorter(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    rule = pb.AccessRule(
        id="e" * 32, name="no opus", mode=ENFORCE, when=about(key), allow=pb.Parts(), deny=pb.Parts(models=["*opus*"])
    )
    everybody = pb.AccessRule(id="f" * 32, name="all", mode=ENFORCE, allow=pb.Parts())
    obey(access_rules=[rule, everybody])
    answer = ask(fleet, ANTHROPIC, key, model="claude-opus-5-5")
    assert answer.status == 403
    assert "no opus" in answer.text
    listed = fleet.pod.call("GET", "/v1/models", CHAT.headers(key)).json["data"]
    names = {model["id"] for model in listed}
    assert "claude-sonnet-4-6" in names
    assert not any("opus" in name for name in names)


def test_a_session_has_its_turns(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    obey(session_caps=[pb.SessionCap(id="c" * 32, name="short", mode=ENFORCE, when=about(key), max_turns=2)])
    answers = [ask(fleet, CHAT, key, x_switchyard_session="s1") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 402]
    assert ask(fleet, CHAT, key, x_switchyard_session="s2").status == 200
    assert events(fleet, key, 4)[2].reason == "session_cap"


def test_the_same_request_again_and_again_is_stopped(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    obey(session_caps=[pb.SessionCap(id="c" * 32, name="again", mode=ENFORCE, when=about(key), max_request_retries=2)])
    answers = [ask(fleet, CHAT, key, x_switchyard_session="s1") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 402]
    other = CHAT.body(CHAT.model, streams=False, prompt="something else")
    assert ask(fleet, CHAT, key, body=other, x_switchyard_session="s1").status == 200


def test_a_tool_loop_that_ran_may_go_on_for_its_grace(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    rule = a_daily_budget(f"grace-{key.id}", 0.001, when=about(key), bound=STRICT, grace=0.1)
    obey(budgets=[rule])
    begins = bounded(CHAT, CHAT.model, False)
    turns = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "README.md"},
    ]
    goes_on = json.dumps({"model": CHAT.model, "max_completion_tokens": 200, "messages": turns}).encode()
    assert ask(fleet, CHAT, key, body=begins).status == 402
    answer = ask(fleet, CHAT, key, body=goes_on)
    assert answer.status == 200, answer.text
    assert ask(fleet, CHAT, key, body=begins).status == 402
    facts = events(fleet, key, 3)[1].session_facts
    assert facts.is_tool_loop


def test_metadata_decides_which_budget(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    obey(
        budgets=[a_daily_budget(f"dev-{key.id}", 0.0001, when=about(key, metadata={"stage": ["dev"]}), bound=STRICT)],
        metadata_keys=[pb.MetadataKey(key="stage", values=["dev", "prod"])],
    )
    assert ask(fleet, CHAT, key, x_switchyard_metadata='{"stage":"prod"}').status == 200
    assert ask(fleet, CHAT, key, x_switchyard_metadata='{"stage":"dev"}').status == 402
    assert ask(fleet, CHAT, key, x_switchyard_metadata='{"stage":"qa"}').status == 400


def test_an_account_takes_so_many_at_once(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    supplier = fleet.control.installation.supplier("openai-main")
    shard = pb.PolicyShard(providers=[])
    fleet.control.installation.change(rules=shard)
    limits = pb.ProviderLimits(requests_per_minute=1)
    original = type(fleet.control.installation)._provider

    def limited(self: Any, each: Any) -> pb.Provider:
        provider = original(self, each)
        if each.id == supplier.id:
            provider.limits.CopyFrom(limits)
        return provider

    type(fleet.control.installation)._provider = limited  # type: ignore[method-assign]
    try:
        obey()
        assert ask(fleet, CHAT, key).status == 200
        refused = ask(fleet, CHAT, key)
        assert refused.status == 429
        assert "openai-main" in refused.text
    finally:
        type(fleet.control.installation)._provider = original  # type: ignore[method-assign]


def test_nothing_stays_reserved_after_a_failure(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    rule = a_daily_budget(f"fails-{key.id}", 1.0, when=about(key), bound=STRICT, per=("key",))
    obey(budgets=[rule], rate_limits=[
        a_pace(f"slots-{key.id}", 1, when=about(key), unit=pb.RATE_UNIT_CONCURRENT_REQUESTS,
             periods=pb.Periods(unit="lifetime")),
    ])  # fmt: skip
    for behaviour in ("sim-drop", "sim-status500", "sim-cut1"):
        headers = ANTHROPIC.headers(key, x_sim_behaviour=behaviour)
        answer = fleet.pod.call("POST", "/v1/messages", headers, bounded(ANTHROPIC, ANTHROPIC.model, True))
        assert answer.status in (200, 500, 502), answer.text
        # The only slot is free again.
        until(lambda: ask(fleet, ANTHROPIC, key).status == 200, "the slot is not freed", 5.0, 0.05)
    import redis

    client = redis.Redis.from_url(fleet.counters_url)
    organization = fleet.control.installation.organization_id

    def reserved() -> list[bytes]:
        keys = list(client.scan_iter(f"b:{{{organization}}}:{rule.id}:*"))
        assert len(keys) == 1
        return [value or b"0" for value in client.hmget(keys[0], "e", "s")]

    until(lambda: reserved() == [b"0", b"0"], "something stays reserved", 5.0)
    posted = int(client.hget(next(client.scan_iter(f"b:{{{organization}}}:{rule.id}:*")), "p") or 0)
    until(
        lambda: abs(posted - sum(row.cost_nano_usd for row in fleet.control.rows_of(key, 6)) // 1000) < 10,
        "the counter says something else than the books",
    )


def test_what_a_subscription_would_have_cost_counts_where_a_budget_says_so(
    fleet: Fleet, key: KeyToken, obey: Obey
) -> None:
    obey(
        budgets=[
            a_daily_budget(f"s-{key.id}", 0.03, when=about(key), counts="shadow", bound=CALIBRATED),
            a_daily_budget(f"p-{key.id}", 0.0001, when=about(key), bound=CALIBRATED),
        ]
    )
    headers = [*ANTHROPIC.headers(None, x_sim_behaviour=CALL), ("x-switchyard-key", key.text)]
    headers.append(("Authorization", "Bearer sk-ant-oat01-the-caller-s-own-sign-in-0123456789"))
    body = bounded(ANTHROPIC, "my-max", streams=False)
    statuses = [fleet.pod.call("POST", "/v1/messages", headers, body).status for _ in range(10)]
    assert sorted(statuses) == statuses
    ran = statuses.count(200)
    assert 1 <= ran <= 6
    rows = events(fleet, key, 10)
    # 1000 x 3 + 100 x 15 millionths of a dollar each.
    assert {(row.is_subscription, row.cost_nano_usd) for row in rows[:ran]} == {(True, 4_500_000)}
    assert [len(row.charges) for row in rows[:ran]] == [1] * ran
    assert {row.stage for row in rows[ran:]} == {"block"}


def test_the_alert_stage_is_told(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    obey(budgets=[a_daily_budget(f"a-{key.id}", 0.005, when=about(key), stages=[ALERT], bound=CALIBRATED)])
    for _ in range(4):
        answer = ask(fleet, CHAT, key)
        assert answer.status == 200
    assert answer.header("x-switchyard-stage") == "alert"
    assert [row.stage for row in events(fleet, key, 4)][-1] == "alert"


def test_a_shadow_decides_as_enforcing_does(fleet: Fleet, key: KeyToken, obey: Obey) -> None:
    """The same traffic under the same rules twice: refused by the one, marked by the other."""
    bodies = [bounded(CHAT, CHAT.model, False, limit) for limit in (200, 900, 200, 1_000, 400, 200) * 3]

    def rules(mode: pb.RuleMode, name: str) -> dict[str, Any]:
        condition = about(key)
        return {
            "budgets": [a_daily_budget(f"{name}-b-{key.id}", 0.03, when=condition, bound=STRICT, mode=mode)],
            "rate_limits": [
                a_pace(f"{name}-r-{key.id}", 15, when=condition, mode=mode, periods=pb.Periods(unit="lifetime"))
            ],
        }

    obey(**rules(ENFORCE, "real"))
    enforced = [ask(fleet, CHAT, key, body=body) for body in bodies]
    obey(**rules(SHADOW, "shadow"))
    shadowed = [ask(fleet, CHAT, key, body=body) for body in bodies]
    assert {answer.status for answer in shadowed} == {200}
    rows = events(fleet, key, 2 * len(bodies))[len(bodies) :]
    verdicts = []
    for row in rows:
        numbers = read_answer(row.counters_answer)
        verdicts.append(any(one.refused for one in (*numbers.rates, *numbers.budgets)))
    assert verdicts == [answer.status != 200 for answer in enforced]
    assert True in verdicts
    assert False in verdicts
