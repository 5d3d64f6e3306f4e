"""Anthropic's usage objects."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.contract.golden_prices.golden import Golden, Json

ANTHROPIC = ("anthropic", "anthropic_messages")


def iteration(kind: str, given: int, written: int, model: str = "", **more: int) -> Json:
    said = {"type": kind, "input_tokens": given, "output_tokens": written, "cache_creation_input_tokens": 0}
    return {**said, "cache_read_input_tokens": 0, **more, **({"model": model} if model else {})}


ANTHROPIC_ROWS: Sequence[Golden] = (
    Golden(
        "writes of five minutes and of an hour",
        *ANTHROPIC,
        "claude-sonnet-4-6",  # $3, read 0.30, 5m 3.75, 1h 6, out 15
        {
            "input_tokens": 100,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400},
            "output_tokens": 500,
            "service_tier": "standard",
        },
        # 100*3000 + 2000*300 + 300*3750 + 400*6000 + 500*15000
        300_000 + 600_000 + 1_125_000 + 2_400_000 + 7_500_000,
        # as fresh: 2800*3000 + 500*15000 = 15,900,000; less what it cost
        saved=15_900_000 - 11_925_000,
    ),
    Golden(
        "writes without a split are of five minutes",
        *ANTHROPIC,
        "claude-sonnet-4-6",
        {"input_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 700, "output_tokens": 500},
        # 100*3000 + 700*3750 + 500*15000; written and not read yet: dearer than fresh by 700*750
        300_000 + 2_625_000 + 7_500_000,
        saved=-525_000,
    ),
    Golden(
        "sums at the end of a stream replace those at its beginning, and a server tool raises the input",
        *ANTHROPIC,
        "claude-sonnet-4-6",
        {"input_tokens": 2679, "output_tokens": 510, "server_tool_use": {"web_search_requests": 1}},
        # 2679*3000 + 510*15000 + one search at $0.01
        8_037_000 + 7_650_000 + 10_000_000,
        first_usage={"input_tokens": 10, "output_tokens": 1},
    ),
    Golden(
        "thinking is part of the output",
        *ANTHROPIC,
        "claude-sonnet-4-6",
        {"input_tokens": 50, "output_tokens": 800, "output_tokens_details": {"thinking_tokens": 600}},
        # 50*3000 + 800*15000
        150_000 + 12_000_000,
    ),
    Golden(
        "a summary of the context is not in the sums",
        *ANTHROPIC,
        "claude-opus-5-5",  # $4, read 0.20, 5m 5, 1h 8, out 20
        {
            "input_tokens": 20_000,
            "output_tokens": 1_000,
            "iterations": [iteration("compaction", 150_000, 3_000), iteration("message", 20_000, 1_000)],
        },
        # 20000*4000 + 1000*20000 + 150000*4000 + 3000*20000
        80_000_000 + 20_000_000 + 600_000_000 + 60_000_000,
    ),
    Golden(
        "each pass is in the band of its own prompt",
        *ANTHROPIC,
        "claude-haiku-5-5",  # $0.10 and 0.50; above 100,000 tokens 0.50 and 2.50
        {
            "input_tokens": 60_000,
            "output_tokens": 1_000,
            "iterations": [iteration("compaction", 150_000, 2_000), iteration("message", 60_000, 1_000)],
        },
        # 60000*100 + 1000*500, and 150000*500 + 2000*2500
        6_000_000 + 500_000 + 75_000_000 + 5_000_000,
    ),
    Golden(
        "an advisor is billed at its own price, beside the sums",
        *ANTHROPIC,
        "claude-sonnet-5-5",  # $2 and 10
        {
            "input_tokens": 412,
            "output_tokens": 531,
            "iterations": [
                iteration("message", 300, 100),
                iteration("advisor_message", 823, 1612, "claude-opus-5-5"),
                iteration("message", 112, 431),
            ],
        },
        # 412*2000 + 531*10000 + 823*4000 + 1612*20000
        824_000 + 5_310_000 + 3_292_000 + 32_240_000,
    ),
    Golden(
        "an advisor inside of the sums is found by arithmetic",
        *ANTHROPIC,
        "claude-sonnet-5-5",
        {
            "input_tokens": 1235,
            "output_tokens": 2143,
            "iterations": [
                iteration("message", 412, 531),
                iteration("advisor_message", 823, 1612, "claude-opus-5-5"),
            ],
        },
        824_000 + 5_310_000 + 3_292_000 + 32_240_000,
    ),
    Golden(
        "a model that stepped in is billed at its own price, the one that declined at its",
        *ANTHROPIC,
        "claude-fable-5-1",  # $10 and 50
        {
            "input_tokens": 2000,
            "output_tokens": 320,
            "iterations": [
                iteration("message", 1000, 20, "claude-fable-5-1"),
                iteration("fallback_message", 1000, 300, "claude-opus-5-5"),
            ],
        },
        # 1000*10000 + 20*50000 + 1000*4000 + 300*20000
        10_000_000 + 1_000_000 + 4_000_000 + 6_000_000,
        answered="claude-opus-5-5",
    ),
    Golden(
        "sums of the model that stepped in alone leave the other one's pass out",
        *ANTHROPIC,
        "claude-fable-5-1",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "iterations": [iteration("message", 900, 20), iteration("fallback_message", 1000, 300, "claude-opus-5-5")],
        },
        # 900*10000 + 20*50000 (nameless: the model asked for) + 1000*4000 + 300*20000
        9_000_000 + 1_000_000 + 4_000_000 + 6_000_000,
        answered="claude-opus-5-5",
    ),
    Golden(
        "fast mode is told as a speed",
        *ANTHROPIC,
        "claude-opus-5-5",  # fast: $8 and 40
        {"input_tokens": 1000, "output_tokens": 100, "service_tier": "standard", "speed": "fast"},
        # 1000*8000 + 100*40000
        8_000_000 + 4_000_000,
    ),
    Golden(
        "inference in the US costs a tenth more on tokens, not on searches",
        *ANTHROPIC,
        "claude-opus-5-5",
        {
            "input_tokens": 1000,
            "cache_read_input_tokens": 5000,
            "output_tokens": 100,
            "inference_geo": "us",
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 3},
        },
        # (1000*4000 + 5000*200 + 100*20000) * 1.1 + one search; fetches are free
        7_700_000 + 10_000_000,
    ),
    Golden(
        "a batch costs half, and halves of a nano-dollar are rounded up once",
        *ANTHROPIC,
        "claude-haiku-5-5",  # read 0.01: 10 nano-dollars a token
        {
            "input_tokens": 0,
            "cache_read_input_tokens": 1,
            "output_tokens": 0,
            "service_tier": "batch",
            "inference_geo": "us",
        },
        # 10 * 0.5 * 1.1 = 5.5
        6,
        # as fresh 100 * 0.5 * 1.1 = 55
        saved=49,
    ),
    Golden(
        "the day before reads became cheaper",
        *ANTHROPIC,
        "claude-sonnet-5-5",  # read 0.20 until 2026-10-06
        {"input_tokens": 0, "cache_read_input_tokens": 10_000, "output_tokens": 1},
        # 10000*200 + 10000
        2_010_000,
        at=datetime(2026, 10, 6, 23, 59, 59, tzinfo=UTC),
    ),
    Golden(
        "the day reads became cheaper",
        *ANTHROPIC,
        "claude-sonnet-5-5",  # read 0.10 from 2026-10-07
        {"input_tokens": 0, "cache_read_input_tokens": 10_000, "output_tokens": 1},
        1_010_000,
        at=datetime(2026, 10, 7, tzinfo=UTC),
    ),
    Golden(
        "warming a cache costs its writes only",
        *ANTHROPIC,
        "claude-sonnet-4-6",
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 50_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 50_000},
            "output_tokens": 0,
        },
        # 3*3000 + 50000*6000
        9_000 + 300_000_000,
    ),
    Golden(
        "a band is reached with what was read from the cache",
        *ANTHROPIC,
        "claude-sonnet-4-5",  # above 200,000: $6, read 0.60, out 22.50
        {"input_tokens": 1000, "cache_read_input_tokens": 199_001, "output_tokens": 10},
        # 1000*6000 + 199001*600 + 10*22500
        6_000_000 + 119_400_600 + 225_000,
    ),
    Golden(
        "a band is not reached with its last token below",
        *ANTHROPIC,
        "claude-sonnet-4-5",
        {"input_tokens": 1000, "cache_read_input_tokens": 199_000, "output_tokens": 10},
        # 1000*3000 + 199000*300 + 10*15000
        3_000_000 + 59_700_000 + 150_000,
    ),
    Golden(
        "an alias is billed as the model that answered",
        *ANTHROPIC,
        "claude-fable-5-1",
        {"input_tokens": 1000, "output_tokens": 10},
        # claude-haiku-4-5: 1000*1000 + 10*5000
        1_050_000,
        answered="claude-haiku-4-5-20251001",
    ),
    Golden(
        "a model that nobody knows is billed by the vendor's dearest",
        *ANTHROPIC,
        "claude-zeta-9",
        {"input_tokens": 1000, "output_tokens": 10},
        # claude-opus-4-1, $15 and 75: 1000*15000 + 10*75000
        15_000_000 + 750_000,
        note="dearest",
    ),
)
