"""What an exchange costs, from the provider's answer to REST, to the nano-dollar.

Every expected number was worked out by hand from the price pages that control_plane/catalog/price_lists cites. One
token at one dollar per million is 1,000 nano-dollars, so the sums below are in thousands of nano-dollars until the end.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import pytest

from switchyard_contract.usage import KINDS
from tests.end_to_end.extra_pod import ask
from tests.end_to_end.stack import Stack, until
from tests.end_to_end.test_revocation import mint_key
from tests.gateway.asks import ANTHROPIC, CHAT, GEMINI, RESPONSES, Dialect

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


@dataclass(frozen=True, slots=True)
class Golden:
    """A usage as the provider tells it, the tokens it has to be booked as, and its price."""

    name: str
    dialect: Dialect
    vendor: str
    model: str
    usage: str
    tokens: dict[str, int]
    nano_usd: int


def tokens(**counts: int) -> dict[str, int]:
    return {kind: counts.get(kind, 0) for kind in KINDS}


GOLDEN = (
    # $3, read $0.30, 5 m $3.75, 1 h $6, out $15:
    # 1200 x 3 + 300 x 0.30 + 100 x 3.75 + 50 x 6 + (80 + 20) x 15 = 3600 + 90 + 375 + 300 + 1500 = 5865
    Golden(
        "reads, 5 m and 1 h writes, thinking",
        ANTHROPIC,
        "anthropic",
        "claude-sonnet-4-6",
        "in1200-read300-w5m100-w1h50-out80-think20",
        tokens(input_fresh=1200, cache_read=300, cache_write_5m=100, cache_write_1h=50, output=80, reasoning=20),
        5_865_000,
    ),
    # No long-context price since 4.6: 900000 x 3 + 10 x 15 = 2700150
    Golden(
        "a million tokens of context at one price",
        ANTHROPIC,
        "anthropic",
        "claude-sonnet-4-6",
        "in900000-out10",
        tokens(input_fresh=900_000, output=10),
        2_700_150_000,
    ),
    # 200000 x 3 + 10 x 15 = 600150
    Golden(
        "just below the long context",
        ANTHROPIC,
        "anthropic",
        "claude-sonnet-4-5",
        "in200000-out10",
        tokens(input_fresh=200_000, output=10),
        600_150_000,
    ),
    # One token more, and all of it costs $6, read $0.60, 5 m $7.50, 1 h $12, out $22.50:
    # 1 x 6 + 150000 x 0.60 + 49000 x 7.50 + 1000 x 12 + 1 x 22.50 = 6 + 90000 + 367500 + 12000 + 22.5 = 469528.5
    Golden(
        "long context, reached by what is cached",
        ANTHROPIC,
        "anthropic",
        "claude-sonnet-4-5",
        "in1-read150000-w5m49000-w1h1000-out1",
        tokens(input_fresh=1, cache_read=150_000, cache_write_5m=49_000, cache_write_1h=1000, output=1),
        469_528_500,
    ),
    # $1.25, read $0.125, out $10; writes have no price of their own and are input:
    # 1000 x 1.25 + 300 x 0.125 + 100 x 1.25 + (80 + 20) x 10 = 1250 + 37.5 + 125 + 1000 = 2412.5
    Golden(
        "reads, writes and reasoning in chat",
        CHAT,
        "openai",
        "gpt-5.1",
        "in1000-read300-w30m100-out80-think20",
        tokens(input_fresh=1000, cache_read=300, cache_write_30m=100, output=80, reasoning=20),
        2_412_500,
    ),
    # $10, read $1, writes $12.50, out $50:
    # 1000 x 10 + 500 x 1 + 200 x 12.50 + 100 x 12.50 + (60 + 40) x 50 = 10000 + 500 + 2500 + 1250 + 5000 = 19250
    Golden(
        "30 m and 12 h writes in responses",
        RESPONSES,
        "openai",
        "gpt-6-astra",
        "in1000-read500-w30m200-w12h100-out60-think40",
        tokens(input_fresh=1000, cache_read=500, cache_write_30m=200, cache_write_12h=100, output=60, reasoning=40),
        19_250_000,
    ),
    # 272000 x 10 + 1 x 50 = 2720050
    Golden(
        "the last prompt at the short price",
        RESPONSES,
        "openai",
        "gpt-6-astra",
        "in272000-out1",
        tokens(input_fresh=272_000, output=1),
        2_720_050_000,
    ),
    # $20, read $2, writes $25, out $75: 1 x 20 + 271000 x 2 + 1000 x 25 + (10 + 10) x 75 = 20 + 542000 + 25000 + 1500
    Golden(
        "the first prompt at the long price",
        CHAT,
        "openai",
        "gpt-6-astra",
        "in1-read271000-w30m1000-out10-think10",
        tokens(input_fresh=1, cache_read=271_000, cache_write_30m=1000, output=10, reasoning=10),
        568_520_000,
    ),
    # $1.25, read $0.125, out $10; a tool's prompt is input, thoughts are output:
    # 1000 x 1.25 + 40 x 1.25 + 200 x 0.125 + (60 + 30) x 10 = 1250 + 50 + 25 + 900 = 2225
    Golden(
        "tool prompt, reads and thoughts",
        GEMINI,
        "gemini",
        "gemini-2.5-pro",
        "in1000-tool40-read200-out60-think30",
        tokens(input_fresh=1000, input_tool=40, cache_read=200, output=60, reasoning=30),
        2_225_000,
    ),
    # $4, read $0.40, out $18: 150000 x 4 + 1 x 4 + 50000 x 0.40 + (10 + 5) x 18 = 600000 + 4 + 20000 + 270 = 620274
    Golden(
        "long context, reached by a tool's prompt",
        GEMINI,
        "gemini",
        "gemini-3.1-pro-preview",
        "in150000-tool1-read50000-out10-think5",
        tokens(input_fresh=150_000, input_tool=1, cache_read=50_000, output=10, reasoning=5),
        620_274_000,
    ),
    # One cached token at $0.125: 1 x 0.125
    Golden("one cached token", CHAT, "openai", "gpt-5.1", "read1-out0", tokens(cache_read=1), 125),
)
# 5865 + 2700150 + 600150 + 469528.5 + 2412.5 + 19250 + 2720050 + 568520 + 2225 + 620274 + 0.125 = 7708425.125
SUM_NANO_USD = 7_708_425_125


def send(stack: Stack, key: str, golden: Golden, *, streams: bool) -> str:
    """Ask, and give back the id under which the exchange is booked."""
    dialect = golden.dialect
    answer = ask(
        stack.gateway_url + dialect.target(golden.model, streams=streams),
        json.loads(dialect.body(golden.model, streams=streams)),
        dict(dialect.headers(key, x_sim_behaviour=f"sim-usage-{golden.usage}")),
    )
    assert answer.status == 200, answer.body
    return answer.headers["x-switchyard-request-id"]


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
def test_every_cost_is_the_one_worked_out_by_hand(stack: Stack, streams: bool) -> None:
    key_id, key = mint_key(stack, f"costs, streams {streams}")
    sent = {send(stack, key, golden, streams=streams): golden for golden in GOLDEN}

    def booked() -> dict[str, dict[str, Any]] | None:
        rows = stack.api("GET", f"exchanges?key={key_id}&limit=200")["results"]
        return {row["id"]: row for row in rows} if len(rows) == len(sent) else None

    rows = until(booked, 20, "not all exchanges are booked")
    found = {golden.name: (rows[request]["cost_nano_usd"], rows[request]["tokens"]) for request, golden in sent.items()}
    assert found == {golden.name: (golden.nano_usd, golden.tokens) for golden in GOLDEN}
    for request, golden in sent.items():
        row = rows[request]
        assert row["price_version"].startswith(f"{golden.vendor}/{golden.model}@"), row["price_version"]
        assert row["kind"] == "final"
        assert row["cost_usd"] == f"{golden.nano_usd // 10**9}.{golden.nano_usd % 10**9:09d}"
        (attempt,) = stack.api("GET", f"exchanges/{request}")["attempt_list"]
        cost = attempt["cost"]
        assert (cost["agrees"], cost["computed_nano_usd"]) == (True, golden.nano_usd)

    def spend() -> bool:
        total = stack.api("GET", f"usage?key={key_id}&group_by=model")["total"]
        return bool(total["requests"] == len(GOLDEN) and total["cost_nano_usd"] == SUM_NANO_USD)

    until(spend, 20, "the sum on the spend page differs")


def test_embeddings_and_counting_have_their_prices_too(stack: Stack) -> None:
    key_id, key = mint_key(stack, "costs of small things")
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    embedded = ask(
        f"{stack.gateway_url}/v1/embeddings",
        {"model": "openai-main/text-embedding-3-small", "input": "hi"},
        {**headers, "x-sim-behaviour": "sim-usage-in1000"},
    )
    assert embedded.status == 200, embedded.body
    counted = ask(
        f"{stack.gateway_url}/v1/messages/count_tokens",
        {"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "hi"}]},
        {**headers, "anthropic-version": "2023-06-01"},
    )
    assert counted.status == 200, counted.body

    def booked() -> dict[str, dict[str, Any]] | None:
        rows = stack.api("GET", f"exchanges?key={key_id}")["results"]
        return {row["id"]: row for row in rows} if len(rows) == 2 else None

    rows = until(booked, 20, "not all exchanges are booked")
    # $0.02: 1000 x 0.02 = 20
    embedding = rows[embedded.headers["x-switchyard-request-id"]]
    assert (embedding["cost_nano_usd"], embedding["tokens"]) == (20_000, tokens(input_fresh=1000))
    counting = rows[counted.headers["x-switchyard-request-id"]]
    assert (counting["cost_nano_usd"], counting["operation"]) == (0, "count_tokens")


def one_row(stack: Stack, request: str) -> dict[str, Any] | None:
    """The attempt of an exchange, once it is booked."""
    try:
        (attempt,) = stack.api("GET", f"exchanges/{request}")["attempt_list"]
    except HTTPError:
        return None
    return dict(attempt)


def test_a_discount_reaches_pods_and_is_explained(stack: Stack) -> None:
    _, key = mint_key(stack, "costs with a discount")
    golden = Golden("", CHAT, "openai", "gpt-5.1-mini", "in1000-read300-out80", {}, 0)
    made = stack.api("POST", "discounts", {"vendor": "openai", "model_glob": "gpt-5.1-mini", "per_mille": 850})

    def discounted() -> dict[str, Any] | None:
        request = send(stack, key, golden, streams=False)
        row = until(lambda: one_row(stack, request), 20, "the exchange is not booked")
        return {**row, "id": request} if made["version"] in row["cost"]["price_version"] else None

    row = until(discounted, 20, "pods did not take the discount over")
    stack.api("DELETE", f"discounts/{made['id']}")

    # $0.25, read $0.025, out $2, less 15 %: 1000 x 0.2125 + 300 x 0.02125 + 80 x 1.7 = 212.5 + 6.375 + 136
    assert row["cost"]["computed_nano_usd"] == 354_875
    assert (row["cost"]["agrees"], row["cost"]["discount"]["per_mille"]) == (True, 850)
    (explained,) = stack.api("GET", f"exchanges/{row['id']}/explain")["costs"]
    assert [(line["kind"], line["exact_nano_usd"]) for line in explained["lines"]] == [
        ("input_fresh", "212500"),
        ("cache_read", "6375"),
        ("output", "136000"),
    ]


def test_what_has_no_price_is_billed_by_the_dearest_and_repriced_once_it_has_one(stack: Stack) -> None:
    key_id, key = mint_key(stack, "costs of something new")
    golden = Golden("", CHAT, "openai", "gpt-brand-new", "in1000-out10", {}, 0)
    request = send(stack, key, golden, streams=True)
    dearest = until(lambda: one_row(stack, request), 20, "the exchange is not booked")
    assert (dearest["cost"]["note"], dearest["cost"]["agrees"]) == ("dearest", True)
    assert dearest["cost"]["computed_nano_usd"] > 0
    assert "gpt-brand-new" in {one["model"] for one in stack.api("GET", "unpriced-models")}

    rates = {"input": 2_000_000_000, "output": 8_000_000_000}
    stack.api("POST", "prices", {"vendor": "openai", "model": "gpt-brand-new", "rates": rates, "source": "their page"})
    now = datetime.now(UTC)
    window = {"since": (now - timedelta(hours=1)).isoformat(), "until": now.isoformat(), "models": ["gpt-brand-*"]}
    run = stack.api("POST", "repricings", {**window, "reason": "It has a price now."})
    address = f"repricings/{run['id']}"
    until(lambda: stack.api("GET", address)["state"] == "ready", 30, "the window was not worked out")
    told = stack.api("GET", address)
    # 1000 x 2 + 10 x 8
    assert (told["rows_changed"], told["new_nano_usd"]) == (1, 2_080_000)
    stack.api("POST", f"{address}/apply", {})
    until(lambda: stack.api("GET", address)["state"] == "done", 30, "the repricing was not booked")

    repriced = one_row(stack, request)
    assert repriced is not None
    assert (repriced["revision"], repriced["cost"]["computed_nano_usd"], repriced["cost"]["agrees"]) == (
        1,
        2_080_000,
        True,
    )
    assert stack.api("GET", f"usage?key={key_id}&group_by=model")["total"]["cost_nano_usd"] == 2_080_000
