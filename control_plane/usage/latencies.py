"""Latencies of rows, counted in buckets by minute and model. Pure.

The same meaning as `row_sums.row_buckets`, which counts stored rows in PostgreSQL; a test holds the two together. It is
done here because PostgreSQL would test every row against every bucket.
"""

from collections.abc import Iterable
from datetime import datetime
from hashlib import md5
from typing import Final
from uuid import UUID

from control_plane.usage.entries import ADJUSTMENT, REVERSAL, LedgerRow
from control_plane.usage.histogram import BUCKETS, LOWEST_BOUND_US

_SHIFT: Final = LOWEST_BOUND_US.bit_length() - 1
_LAST: Final = BUCKETS - 1

Grain = tuple[UUID, UUID | None, str, str, str, str, str]
"""Organization, provider and its name, model, client, protocol, region."""
Counts = tuple[list[int], list[int], list[int], list[int]]
"""Gateway, first token, per later token, duration."""


def fold_latencies(rows: Iterable[LedgerRow]) -> dict[tuple[datetime, Grain], Counts]:
    """Count the latencies of rows; a reversal takes back what its row added."""
    found: dict[tuple[int, int, int, str, str, str, str, str], tuple[datetime, Grain, Counts]] = {}
    for row in rows:
        at = row.counted_at
        # By numbers where there are some: instants and UUIDs hash slowly. A minute that is another day's is another.
        place = (
            (at.toordinal() * 24 + at.hour) * 60 + at.minute,
            row.organization_id.int,
            row.provider_id.int if row.provider_id else -1,
            row.provider_name,
            row.model,
            row.client,
            row.protocol,
            row.region,
        )
        known = found.get(place)
        if known is None:
            grain = (
                *(row.organization_id, row.provider_id, row.provider_name),
                *(row.model, row.client, row.protocol, row.region),
            )
            counts = ([0] * BUCKETS, [0] * BUCKETS, [0] * BUCKETS, [0] * BUCKETS)
            known = found[place] = (at.replace(second=0, microsecond=0), grain, counts)
        if row.kind == ADJUSTMENT:
            continue
        sign = -1 if row.kind == REVERSAL else 1
        gateway, first_token, inter_token, duration = known[2]
        gateway[min(_LAST, (row.gateway_us >> _SHIFT).bit_length())] += sign
        if row.first_token_us > 0:
            first_token[min(_LAST, (row.first_token_us >> _SHIFT).bit_length())] += sign
            produced = abs(row.output + row.reasoning)
            if produced > 1 and row.duration_us > row.first_token_us:
                between_us = (row.duration_us - row.first_token_us) // (produced - 1)
                inter_token[min(_LAST, (between_us >> _SHIFT).bit_length())] += sign
        if row.attempt >= 1:
            duration[min(_LAST, (row.duration_us >> _SHIFT).bit_length())] += sign
    return {(minute, grain): counts for minute, grain, counts in found.values()}


def grain_id(grain: Grain) -> UUID:
    """Sixteen bytes in place of many columns."""
    # Not for safety: names are told apart by their quoted text.
    return UUID(bytes=md5(repr(grain).encode(), usedforsecurity=False).digest())
