"""What an answer costs, to the nano-dollar: every expected number was worked out by hand from tests/gateway/prices.py.

One token at one dollar per million is 1,000 nano-dollars.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from switchyard_contract.usage import KINDS, TokenCounts
from switchyard_contract.v1 import usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, GEMINI, RESPONSES, Dialect
from tests.gateway.conftest import Fleet


@dataclass(frozen=True, slots=True)
class Golden:
    """A usage as the provider tells it, and its price."""

    name: str
    dialect: Dialect
    usage: str
    tokens: TokenCounts
    nano_usd: int


GOLDEN = (
    # 1200 x 3 + 300 x 0.30 + 100 x 3.75 + 50 x 6 + (80 + 20) x 15 = 3600 + 90 + 375 + 300 + 1500
    Golden(
        "anthropic: reads, 5m and 1h writes, thinking",
        ANTHROPIC,
        "in1200-read300-w5m100-w1h50-out80-think20",
        TokenCounts(input_fresh=1200, cache_read=300, cache_write_5m=100, cache_write_1h=50, output=80, reasoning=20),
        5_865_000,
    ),
    # 200000 x 3 + 10 x 15
    Golden(
        "anthropic: just below the long context",
        ANTHROPIC,
        "in200000-out10",
        TokenCounts(input_fresh=200_000, output=10),
        600_150_000,
    ),
    # 200001 x 6 + 10 x 22.50
    Golden(
        "anthropic: long context",
        ANTHROPIC,
        "in200001-out10",
        TokenCounts(input_fresh=200_001, output=10),
        1_200_231_000,
    ),
    # 1 x 6 + 150000 x 0.60 + 50000 x 7.50 + 1 x 22.50: cached tokens are part of the prompt that decides
    Golden(
        "anthropic: long context by its cache",
        ANTHROPIC,
        "in1-read150000-w5m50000-out1",
        TokenCounts(input_fresh=1, cache_read=150_000, cache_write_5m=50_000, output=1),
        465_028_500,
    ),
    # 1 x 0.30
    Golden("anthropic: one cached token", ANTHROPIC, "read1-out0", TokenCounts(cache_read=1), 300),
    # 1200 x 1.25 + 300 x 0.125 + 150 x 1.5625 + 100 x 10; chat does not tell lifetimes, 30 minutes are the default
    Golden(
        "chat: reads, writes, reasoning",
        CHAT,
        "in1200-read300-w30m150-out80-think20",
        TokenCounts(input_fresh=1200, cache_read=300, cache_write_30m=150, output=80, reasoning=20),
        2_771_875,
    ),
    # 1 x 1.5625 = 1562.5, half up
    Golden("chat: half a nano-dollar", CHAT, "w30m1-out0", TokenCounts(cache_write_30m=1), 1_563),
    # 1200 x 1.25 + 300 x 0.125 + 100 x 1.5625 + 50 x 2.50 + 100 x 10
    Golden(
        "responses: reads, 30m and 12h writes, reasoning",
        RESPONSES,
        "in1200-read300-w30m100-w12h50-out80-think20",
        TokenCounts(input_fresh=1200, cache_read=300, cache_write_30m=100, cache_write_12h=50, output=80, reasoning=20),
        2_818_750,
    ),
    # 1000 x 1.25 + 40 x 1.25 + 200 x 0.31 + 60 x 10 + 30 x 7: reasoning has a rate of its own here
    Golden(
        "gemini: tool input, reads, thoughts",
        GEMINI,
        "in1000-tool40-read200-out60-think30",
        TokenCounts(input_fresh=1000, input_tool=40, cache_read=200, output=60, reasoning=30),
        2_172_000,
    ),
    # 200001 x 2.50 + (10 + 10) x 15: the band has no rate for reasoning, so it is output
    Golden(
        "gemini: long context",
        GEMINI,
        "in200001-out10-think10",
        TokenCounts(input_fresh=200_001, output=10, reasoning=10),
        500_302_500,
    ),
)


def counts_of(tokens: usage_pb2.Tokens) -> TokenCounts:
    return TokenCounts(**{kind: getattr(tokens, kind) for kind in KINDS})


def billed(usage: dict[str, Any]) -> TokenCounts:
    """The provider's own books."""
    return TokenCounts(**{kind: usage[kind] for kind in KINDS})


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_cost_is_exact(fleet: Fleet, key: KeyToken, marker: str, golden: Golden, streams: bool) -> None:
    dialect = golden.dialect
    answer = fleet.pod.call(
        "POST",
        dialect.target(dialect.model, streams=streams),
        dialect.headers(key, x_sim_marker=marker, x_sim_behaviour=f"sim-usage-{golden.usage}"),
        dialect.body(dialect.model, streams=streams),
    )
    assert answer.status == 200, answer.text
    row = fleet.control.rows_of(key)[0]
    assert counts_of(row.tokens) == golden.tokens
    assert row.cost_nano_usd == golden.nano_usd
    assert row.kind == usage_pb2.USAGE_KIND_FINAL
    assert row.price_version in ("claude-sonnet", "gpt", "gemini")
    assert billed(fleet.provider.record(marker)["usage"]) == golden.tokens


def test_a_model_without_a_price_is_billed_by_the_dearest_known_and_marked(fleet: Fleet, key: KeyToken) -> None:
    body = ANTHROPIC.body("claude-brand-new", streams=True)
    headers = ANTHROPIC.headers(key, x_sim_behaviour="sim-usage-in1000-out10")
    assert fleet.pod.call("POST", "/v1/messages", headers, body).status == 200
    row = fleet.control.rows_of(key)[0]
    assert (row.price_version, row.price_note) == ("claude-sonnet", "dearest")
    # 1000 x 3 + 10 x 15
    assert row.cost_nano_usd == 3_150_000


def test_what_a_cache_saved_is_on_the_event(fleet: Fleet, key: KeyToken) -> None:
    headers = ANTHROPIC.headers(key, x_sim_behaviour="sim-usage-in100-read1000-w1h200-out10")
    body = ANTHROPIC.body(ANTHROPIC.model, streams=True)
    assert fleet.pod.call("POST", "/v1/messages", headers, body).status == 200
    row = fleet.control.rows_of(key)[0]
    # As fresh 1300 x 3; 100 x 3 + 1000 x 0.30 + 200 x 6 as it was.
    assert row.saved_cache_nano_usd == 3_900_000 - 1_800_000


def test_a_dated_model_costs_what_the_undated_one_does(fleet: Fleet, key: KeyToken) -> None:
    headers = CHAT.headers(key, x_sim_behaviour="sim-usage-in1000-out0")
    body = CHAT.body("gpt-5.2-2026-11-01", streams=False)
    assert fleet.pod.call("POST", "/v1/chat/completions", headers, body).status == 200
    assert fleet.control.rows_of(key)[0].cost_nano_usd == 1_250_000
