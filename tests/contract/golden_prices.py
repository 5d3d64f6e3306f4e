"""Real usage objects of all vendors, and what they cost to the nano-dollar, worked out by hand.

A rate of $1 per million tokens is 1,000 nano-dollars a token; that is how the sums beside each row are written. Rates
are those of the shipped price book. Each row is one of the traps of how vendors tell usage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Golden:
    """One answer: what was asked for, what the vendor told, what it costs."""

    name: str
    vendor: str
    protocol: str
    model: str
    """As asked for, and as the answer names it unless `usage` is a whole answer."""
    usage: Json
    nano_usd: int
    at: datetime = NOW
    answered: str = ""
    """The model that the answer names, where it is another one."""
    answer: Json = field(default_factory=dict)
    """What stands beside the usage in the answer."""
    first_usage: Json | None = None
    """What a stream tells at its beginning; None: the same, with one token of output."""
    note: str = ""
    saved: int | None = None
    """What a cache saved; None: not looked at."""


ANTHROPIC = ("anthropic", "anthropic_messages")
CHAT = ("openai", "openai_chat")
RESPONSES = ("openai", "openai_responses")
GEMINI = ("gemini", "gemini_content")


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

OPENAI_ROWS: Sequence[Golden] = (
    Golden(
        "cached and written tokens are inside of the prompt, reasoning inside of the completion",
        *CHAT,
        "gpt-6.1-sol",  # $2, read 0.10, writes 2.50, out 10
        {
            "prompt_tokens": 10_000,
            "completion_tokens": 900,
            "total_tokens": 10_900,
            "prompt_tokens_details": {"cached_tokens": 6_000, "cache_write_tokens": 2_000},
            "completion_tokens_details": {"reasoning_tokens": 500, "rejected_prediction_tokens": 10},
        },
        # 2000*2000 + 6000*100 + 2000*2500 + 900*10000
        4_000_000 + 600_000 + 5_000_000 + 9_000_000,
        # as fresh 10000*2000 + 900*10000 = 29,000,000
        saved=29_000_000 - 18_600_000,
    ),
    Golden(
        "writes are split by lifetime",
        *RESPONSES,
        "gpt-6-astra",  # $10, read 1, writes 12.50, out 50
        {
            "input_tokens": 20_000,
            "input_tokens_details": {
                "cached_tokens": 10_000,
                "cache_write_tokens": 4_000,
                "cache_write_tokens_details": {"ttl_30m_tokens": 1_000, "ttl_12h_tokens": 3_000},
            },
            "output_tokens": 1_000,
            "output_tokens_details": {"reasoning_tokens": 800},
            "total_tokens": 21_000,
        },
        # 6000*10000 + 10000*1000 + 4000*12500 + 1000*50000
        60_000_000 + 10_000_000 + 50_000_000 + 50_000_000,
    ),
    Golden(
        "272,001 tokens are in the long band",
        *RESPONSES,
        "gpt-6.1-sol",  # above 272,000: $4, read 0.20, out 15
        {
            "input_tokens": 272_001,
            "input_tokens_details": {"cached_tokens": 272_000, "cache_write_tokens": 0},
            "output_tokens": 100,
            "total_tokens": 272_101,
        },
        # 1*4000 + 272000*200 + 100*15000
        4_000 + 54_400_000 + 1_500_000,
    ),
    Golden(
        "272,000 tokens are not",
        *RESPONSES,
        "gpt-6.1-sol",
        {
            "input_tokens": 272_000,
            "input_tokens_details": {"cached_tokens": 271_999, "cache_write_tokens": 0},
            "output_tokens": 100,
            "total_tokens": 272_100,
        },
        # 1*2000 + 271999*100 + 100*10000
        2_000 + 27_199_900 + 1_000_000,
    ),
    Golden(
        "the tier is that of the answer: flex",
        *CHAT,
        "gpt-5.1",  # $1.25 and 10
        {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        # (1000*1250 + 100*10000) / 2
        1_125_000,
        answer={"service_tier": "flex"},
    ),
    Golden(
        "priority is dearer",
        *RESPONSES,
        "gpt-5.1",
        {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100},
        4_500_000,
        answer={"service_tier": "priority"},
    ),
    Golden(
        "default is no tier",
        *CHAT,
        "gpt-5.1",
        {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        2_250_000,
        answer={"service_tier": "default"},
    ),
    Golden(
        "searches of a hosted tool are outside of usage",
        *RESPONSES,
        "gpt-6.1-sol",
        {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100},
        # 1000*2000 + 100*10000 + 3 * $0.01
        3_000_000 + 30_000_000,
        answer={"tool_usage": {"web_search": {"num_requests": 3}}},
    ),
    Golden(
        "searches in files and containers are billed by the piece",
        *RESPONSES,
        "gpt-6.1-sol",
        {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100},
        # 3,000,000 + 2 * $0.0025 + one container * $0.03
        3_000_000 + 5_000_000 + 30_000_000,
        answer={
            "output": [
                {"type": "file_search_call", "id": "fs_1"},
                {"type": "file_search_call", "id": "fs_2"},
                {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"},
                {"type": "code_interpreter_call", "id": "ci_2", "container_id": "cntr_1"},
                {"type": "message", "id": "msg_1", "content": []},
            ]
        },
    ),
    Golden(
        "a drawing is billed at the price of the model that drew",
        *RESPONSES,
        "gpt-6.1-sol",
        {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100},
        # 3,000,000; gpt-image-1.5: 40*5000 + 60*8000 (pictures in) + 1000*32000 (pictures out)
        3_000_000 + 200_000 + 480_000 + 32_000_000,
        answer={
            "tools": [{"type": "web_search"}, {"type": "image_generation", "model": "gpt-image-1.5"}],
            "tool_usage": {
                "image_gen": {
                    "input_tokens": 100,
                    "input_tokens_details": {"image_tokens": 60, "text_tokens": 40},
                    "output_tokens": 1000,
                    "output_tokens_details": {"image_tokens": 1000, "text_tokens": 0},
                    "total_tokens": 1100,
                }
            },
        },
    ),
    Golden(
        "sound is dearer than text, in and out",
        *CHAT,
        "gpt-realtime",  # $4, read 0.40, out 16; sound 32, read 0.40, out 64
        {
            "prompt_tokens": 1000,
            "completion_tokens": 300,
            "total_tokens": 1300,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 800},
            "completion_tokens_details": {"audio_tokens": 200, "reasoning_tokens": 0},
        },
        # 200*4000 + 800*32000 + 100*16000 + 200*64000
        800_000 + 25_600_000 + 1_600_000 + 12_800_000,
    ),
    Golden(
        "reasoning that xAI leaves out of the completion is found by arithmetic",
        "xai",
        "openai_chat",
        "grok-4.7",  # $2, read 0.50, out 6
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 6, "text_tokens": 32, "audio_tokens": 0, "image_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
            "num_sources_used": 0,
            "cost_in_usd_ticks": 6_730_000,
        },
        # 26*2000 + 6*500 + (9+94)*6000; the vendor's own figure says the same: 6,730,000 ticks of 1e-10 dollars
        52_000 + 3_000 + 618_000,
    ),
    Golden(
        "xAI's band begins at 200,000",
        "xai",
        "openai_chat",
        "grok-4.7",  # from 200,000 on: $4, read 1, out 12
        {
            "prompt_tokens": 200_000,
            "completion_tokens": 10,
            "total_tokens": 200_010,
            "prompt_tokens_details": {"cached_tokens": 150_000},
        },
        # 50000*4000 + 150000*1000 + 10*12000
        200_000_000 + 150_000_000 + 120_000,
    ),
    Golden(
        "and not a token before",
        "xai",
        "openai_chat",
        "grok-4.7",
        {
            "prompt_tokens": 199_999,
            "completion_tokens": 10,
            "total_tokens": 200_009,
            "prompt_tokens_details": {"cached_tokens": 150_000},
        },
        # 49999*2000 + 150000*500 + 10*6000
        99_998_000 + 75_000_000 + 60_000,
    ),
    Golden(
        "DeepSeek has words of its own for what was cached",
        "openai_compatible",
        "openai_chat",
        "house-deepseek",  # an own price: $0.28, read 0.028, out 0.42
        {
            "prompt_tokens": 1000,
            "completion_tokens": 50,
            "total_tokens": 1050,
            "prompt_cache_hit_tokens": 600,
            "prompt_cache_miss_tokens": 400,
        },
        # 400*280 + 600*28 + 50*420
        112_000 + 16_800 + 21_000,
    ),
    Golden(
        "a house's own model costs what the house says, nothing included",
        "openai_compatible",
        "openai_chat",
        "house-free",
        {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
        0,
    ),
)

GEMINI_ROWS: Sequence[Golden] = (
    Golden(
        "thoughts and tool results are beside prompt and candidates, cached tokens inside of the prompt",
        *GEMINI,
        "gemini-4-argon",  # $2, read 0.10, out 10 until the end of November
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "candidatesTokenCount": 50,
            "thoughtsTokenCount": 200,
            "toolUsePromptTokenCount": 30,
            "totalTokenCount": 1280,
        },
        # 600*2000 + 30*2000 + 400*100 + 250*10000
        1_200_000 + 60_000 + 40_000 + 2_500_000,
        # as fresh 1000*2000 + 60,000 + 2,500,000 = 4,560,000
        saved=4_560_000 - 3_800_000,
    ),
    Golden(
        "it doubles on the first of December",
        *GEMINI,
        "gemini-4-argon",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "candidatesTokenCount": 50,
            "thoughtsTokenCount": 200,
            "toolUsePromptTokenCount": 30,
            "totalTokenCount": 1280,
        },
        7_600_000,
        at=datetime(2026, 12, 1, tzinfo=UTC),
    ),
    Golden(
        "the last moment of the year",
        *GEMINI,
        "gemini-3.8-flash",  # $0.75, read 0.075, out 3.75
        {"promptTokenCount": 1000, "cachedContentTokenCount": 500, "candidatesTokenCount": 100},
        # 500*750 + 500*75 + 100*3750
        375_000 + 37_500 + 375_000,
        at=datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    ),
    Golden(
        "a rate that is not known is never cheaper: reads count as fresh",
        *GEMINI,
        "gemini-3.8-flash",  # $1.50 and 7.50 from 2027 on, the rate of reads unknown
        {"promptTokenCount": 1000, "cachedContentTokenCount": 500, "candidatesTokenCount": 100},
        # 1000*1500 + 100*7500
        1_500_000 + 750_000,
        at=datetime(2027, 1, 1, tzinfo=UTC),
        saved=0,
    ),
    Golden(
        "searches that ground an answer are billed by the query",
        *GEMINI,
        "gemini-4-argon",
        {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110},
        # 100*2000 + 10*10000 + 2 * $0.014
        200_000 + 100_000 + 28_000_000,
        answer={"groundingMetadata": {"webSearchQueries": ["euro 2024", "winner"]}},
    ),
    Golden(
        "sound is dearer, also what was cached of it",
        *GEMINI,
        "gemini-2.5-flash",  # $0.30, read 0.03, out 2.50; sound 1.00, read 0.10
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 300,
            "candidatesTokenCount": 100,
            "totalTokenCount": 1100,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 400},
                {"modality": "AUDIO", "tokenCount": 600},
            ],
            "cacheTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": 200},
            ],
        },
        # text 300*300 + 100*30, sound 400*1000 + 200*100, out 100*2500
        90_000 + 3_000 + 400_000 + 20_000 + 250_000,
        # as fresh: 400*300 + 600*1000 + 250,000 = 970,000
        saved=970_000 - 763_000,
    ),
    Golden(
        "pictures that a model draws are dearer than what it writes",
        *GEMINI,
        "gemini-2.5-flash-image",  # $0.30 and 2.50; drawn 30
        {
            "promptTokenCount": 100,
            "candidatesTokenCount": 1300,
            "totalTokenCount": 1400,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        },
        # 100*300 + 10*2500 + 1290*30000
        30_000 + 25_000 + 38_700_000,
    ),
    Golden(
        "candidates that are left out are what the total has beyond the rest",
        *GEMINI,
        "gemini-4-argon",
        {"promptTokenCount": 100, "thoughtsTokenCount": 40, "totalTokenCount": 150},
        # 100*2000 + (10 + 40)*10000
        200_000 + 500_000,
    ),
    Golden(
        "the tier is told as a kind of traffic",
        *GEMINI,
        "gemini-3.8-flash",
        {
            "promptTokenCount": 1000,
            "candidatesTokenCount": 100,
            "totalTokenCount": 1100,
            "trafficType": "ON_DEMAND_FLEX",
        },
        # (1000*750 + 100*3750) / 2
        562_500,
    ),
    Golden(
        "a prompt of 200,001 tokens is long",
        *GEMINI,
        "gemini-3.1-pro-preview",  # above 200,000: $4, read 0.40, out 18
        {"promptTokenCount": 200_001, "cachedContentTokenCount": 200_000, "candidatesTokenCount": 10},
        # 1*4000 + 200000*400 + 10*18000
        4_000 + 80_000_000 + 180_000,
    ),
)

ROWS: Sequence[Golden] = (*ANTHROPIC_ROWS, *OPENAI_ROWS, *GEMINI_ROWS)
