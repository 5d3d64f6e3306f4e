"""The price list of these tests: round dollars per million tokens, so that costs can be worked out by hand."""

from switchyard_contract.v1 import snapshot_pb2

DOLLAR = 1_000_000_000
"""In nano-dollars; as a rate: dollars per million tokens."""

PRICES = (
    snapshot_pb2.PriceRow(
        id="claude-sonnet",
        vendor="anthropic",
        model="claude-sonnet-4-6",
        rates=snapshot_pb2.Rates(
            input=3 * DOLLAR,
            cache_read=DOLLAR * 3 // 10,
            cache_write_5m=DOLLAR * 15 // 4,
            cache_write_1h=6 * DOLLAR,
            output=15 * DOLLAR,
        ),
        bands=[
            snapshot_pb2.PriceBand(
                from_prompt_tokens=200_001,
                rates=snapshot_pb2.Rates(
                    input=6 * DOLLAR,
                    cache_read=DOLLAR * 6 // 10,
                    cache_write_5m=DOLLAR * 15 // 2,
                    cache_write_1h=12 * DOLLAR,
                    output=DOLLAR * 45 // 2,
                ),
            )
        ],
    ),
    snapshot_pb2.PriceRow(
        id="gpt",
        vendor="openai",
        model="gpt-5.2",
        rates=snapshot_pb2.Rates(
            input=DOLLAR * 5 // 4,
            cache_read=DOLLAR // 8,
            cache_write_30m=DOLLAR * 25 // 16,
            cache_write_12h=DOLLAR * 5 // 2,
            output=10 * DOLLAR,
        ),
    ),
    snapshot_pb2.PriceRow(
        id="gemini",
        vendor="gemini",
        model="gemini-2.5-pro",
        rates=snapshot_pb2.Rates(
            input=DOLLAR * 5 // 4, cache_read=DOLLAR * 31 // 100, output=10 * DOLLAR, reasoning=7 * DOLLAR
        ),
        bands=[
            snapshot_pb2.PriceBand(
                from_prompt_tokens=200_001,
                rates=snapshot_pb2.Rates(input=DOLLAR * 5 // 2, cache_read=DOLLAR * 625 // 1000, output=15 * DOLLAR),
            )
        ],
    ),
    snapshot_pb2.PriceRow(
        id="embedding", vendor="openai", model="text-embedding-3-small", rates=snapshot_pb2.Rates(input=DOLLAR // 50)
    ),
)
