"""Google's usage objects."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.contract.golden_prices.golden import Golden

GEMINI = ("gemini", "gemini_content")

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
