"""What roll-ups know: sums and latencies as one value, and what their rows are about.

The sums themselves are made by PostgreSQL, from the rows that were really added to the ledger
(`control_plane.usage.merging`); what each means is written down once, in `control_plane.usage.row_sums`.
"""

from dataclasses import dataclass, field, fields
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from control_plane.usage import histogram

TEAM_GRAIN: tuple[str, ...] = (
    "organization_id",
    "team_id",
    "principal_kind",
    "provider_id",
    "provider_name",
    "model",
    "client",
    "protocol",
    "region",
    "agent",
    "stage",
    "outcome",
    "status_class",
    "reason",
    "failure",
)
"""What rows by team are about, apart from their time."""
WHOLE_GRAIN: tuple[str, ...] = (*TEAM_GRAIN, "principal_id", "key_id", "requested_model", "client_version")
LATENCY_GRAIN: tuple[str, ...] = (
    "organization_id",
    "provider_id",
    "provider_name",
    "model",
    "client",
    "protocol",
    "region",
)
LABEL_GRAIN: tuple[str, ...] = ("organization_id", "label", "value", "team_id")


@dataclass(slots=True)
class Measures:
    """Sums over rows of the ledger; costs are nano-USD.

    requests counts exchanges (by their first attempt, or the refusal before it), attempts what went to a provider.
    cost is what all tokens are worth; subscription_cost the part of it that a caller's own account paid. unpriced
    counts attempts whose tokens have no price, dearest those that were priced at the dearest known one. A reversal
    counts with its sign, a correction by people with its money alone.
    """

    requests: int = 0
    attempts: int = 0
    errors: int = 0
    refusals: int = 0
    estimates: int = 0
    unpriced: int = 0
    dearest: int = 0
    input_fresh: int = 0
    input_tool: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_30m: int = 0
    cache_write_12h: int = 0
    cache_write_other: int = 0
    output: int = 0
    reasoning: int = 0
    web_searches: int = 0
    cost_nano_usd: int = 0
    subscription_cost_nano_usd: int = 0
    saved_cache_nano_usd: int = 0
    """What the same tokens would have cost more without a cache; negative where writes were not read again."""
    saved_downgrade_nano_usd: int = 0
    """What turns that were moved to a cheaper model were expected to cost more where they were."""
    gateway_counts: list[int] = field(default_factory=histogram.empty)
    """Our own share before the provider had the request, in buckets (`control_plane.usage.histogram`)."""
    first_token_counts: list[int] = field(default_factory=histogram.empty)
    inter_token_counts: list[int] = field(default_factory=histogram.empty)
    """Time per output token after the first one."""
    duration_counts: list[int] = field(default_factory=histogram.empty)

    def merge(self, other: "Measures") -> None:
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in COUNTS:
            mine: list[int] = getattr(self, name)
            for bucket, count in enumerate(getattr(other, name)):
                mine[bucket] += count


COUNTS: tuple[str, ...] = ("gateway_counts", "first_token_counts", "inter_token_counts", "duration_counts")
MEASURES: tuple[str, ...] = tuple(part.name for part in fields(Measures))
SUMS: tuple[str, ...] = tuple(name for name in MEASURES if name not in COUNTS)


def session_row_id(organization_id: UUID, key_id: str, session_id: str) -> UUID:
    """Name a session: the tool's own id is its word only, so it is bound to the organization and the key."""
    return UUID(bytes=session_digest(organization_id.hex, key_id, session_id))


@lru_cache(maxsize=65536)
def session_digest(organization_hex: str, key_id: str, session_id: str) -> bytes:
    """The same, as bytes: remembered, because many rows come of few sessions."""
    text = f"{organization_hex}\x00{key_id}\x00{session_id}"
    return blake2b(text.encode(), digest_size=16).digest()
