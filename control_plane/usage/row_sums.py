"""What each measure means over rows of the ledger, written for PostgreSQL: for booking and for questions alike.

`usage_total` is our own sum of bigints (migration 0017): PostgreSQL's makes numerics of them, which took a tenth of all
that booking costs. It stops at an overflow, as a cast to bigint does.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from psycopg import sql

from control_plane.usage.histogram import BUCKETS, LOWEST_BOUND_US
from control_plane.usage.rollups import COUNTS, SUMS

# A reversal takes one back. A correction by people is money alone: no exchange stands behind it.
_SIGN: Final = "(CASE kind WHEN 'reversal' THEN -1 WHEN 'adjustment' THEN 0 ELSE 1 END)"
STATUS_CLASS: Final = sql.SQL("CASE WHEN client_status = 0 THEN '' ELSE client_status / 100 || 'xx' END")
FAILURES: Final = (
    "internal",
    "truncated",
    "unreachable",
    "rate_limited",
    "overloaded",
    "timeout",
    "server_error",
    "unauthorized",
    "rejected",
    "told_in_answer",
)
"""Why a provider's answer failed: our own code; the answer ended too early; no answer; 429; 503 and 529; 408 and 504;
other 5xx; 401 and 403; other 4xx; an error inside an answer of status 200."""
FAILURE: Final = sql.SQL(
    "CASE WHEN outcome = 'internal' THEN 'internal' WHEN outcome <> 'failed' THEN ''"
    " WHEN reason = 'upstream_truncated' THEN 'truncated' WHEN upstream_status = 0 THEN 'unreachable'"
    " WHEN upstream_status = 429 THEN 'rate_limited' WHEN upstream_status IN (503, 529) THEN 'overloaded'"
    " WHEN upstream_status IN (408, 504) THEN 'timeout' WHEN upstream_status >= 500 THEN 'server_error'"
    " WHEN upstream_status IN (401, 403) THEN 'unauthorized' WHEN upstream_status >= 400 THEN 'rejected'"
    " ELSE 'told_in_answer' END"
)
_TOKENS: Final = (
    "input_fresh + input_tool + cache_read + cache_write_5m + cache_write_1h + cache_write_30m + cache_write_12h"
    " + cache_write_other + output + reasoning"
)
_ROW_SUMS: Final[Mapping[str, str]] = {
    "requests": f"sum({_SIGN}) FILTER (WHERE attempt <= 1)",
    "attempts": f"sum({_SIGN}) FILTER (WHERE attempt >= 1)",
    "errors": f"sum({_SIGN}) FILTER (WHERE outcome IN ('failed', 'internal'))",
    "refusals": f"sum({_SIGN}) FILTER (WHERE outcome = 'refused')",
    # A reversal's revision ends with how sure the row was that it takes back (`entries.reversal_revision`).
    "estimates": f"sum({_SIGN}) FILTER (WHERE kind IN ('estimated', 'orphan_estimated')"
    " OR (kind = 'reversal' AND revision % 4 IN (0, 1)))",
    "unpriced": f"sum({_SIGN}) FILTER (WHERE attempt >= 1 AND price_version = '' AND {_TOKENS} <> 0)",
    "dearest": f"sum({_SIGN}) FILTER (WHERE price_note = 'dearest')",
    "subscription_cost_nano_usd": "usage_total(cost_nano_usd) FILTER (WHERE is_subscription)",
}
SUMS_NEED: Final = (
    *("kind", "revision", "attempt", "outcome", "is_subscription", "price_version", "price_note"),
    *(name for name in SUMS if name not in _ROW_SUMS),
)
"""The columns of rows that sums are made of."""
COUNTS_NEED: Final = ("kind", "attempt", "gateway_us", "first_token_us", "duration_us", "output", "reasoning")
_BOUNDS: Final = sql.Literal([LOWEST_BOUND_US << power for power in range(BUCKETS - 1)])
_DURATIONS: Final[Mapping[str, str]] = {
    "gateway_counts": "gateway_us",
    # Zero: no token came (a refusal, a failure, a count).
    "first_token_counts": "NULLIF(first_token_us, 0)",
    "inter_token_counts": "CASE WHEN first_token_us > 0 AND duration_us > first_token_us"
    " AND abs(output + reasoning) > 1 THEN (duration_us - first_token_us) / (abs(output + reasoning) - 1) END",
    "duration_counts": "CASE WHEN attempt >= 1 THEN duration_us END",
}


def row_sums(names: Sequence[str]) -> list[sql.Composable]:
    """Expressions of sums over rows, in the order of their names."""
    return [
        sql.SQL("COALESCE({}, 0)::bigint").format(sql.SQL(_ROW_SUMS.get(name, f"usage_total({name})")))
        for name in names
    ]


def row_buckets(names: Sequence[str] = COUNTS) -> list[sql.Composable]:
    """Columns with the sign of a row and the number of the bucket that it is counted in, for each of the latencies."""
    found: list[sql.Composable] = [sql.SQL(f"{_SIGN} AS sign")]
    for name in names:
        found.append(
            sql.SQL("width_bucket({}, {}::bigint[]) AS {}").format(
                sql.SQL(_DURATIONS[name]), _BOUNDS, sql.Identifier(name)
            )
        )
    return found


def bucket_sums(names: Sequence[str] = COUNTS) -> list[sql.Composable]:
    """Expressions of histograms over the columns of `row_buckets`."""
    return [
        sql.SQL("ARRAY[{}]").format(
            sql.SQL(", ").join(
                sql.SQL("COALESCE(sum(sign) FILTER (WHERE {} = {}), 0)::bigint").format(
                    sql.Identifier(name), sql.Literal(bucket)
                )
                for bucket in range(BUCKETS)
            )
        )
        for name in names
    ]


def added_counts(names: Sequence[str]) -> list[sql.Composable]:
    """Expressions of histograms summed element by element."""
    return [
        sql.SQL("ARRAY[{}]").format(
            sql.SQL(", ").join(
                sql.SQL("usage_total({}[{}])").format(sql.Identifier(name), sql.Literal(index))
                for index in range(1, BUCKETS + 1)
            )
        )
        for name in names
    ]
