"""OpenAI's usage objects, of chat and of responses."""

from collections.abc import Sequence

from tests.contract.golden_prices.golden import Golden

CHAT = ("openai", "openai_chat")
RESPONSES = ("openai", "openai_responses")

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
