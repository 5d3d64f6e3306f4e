"""One exchange of a session, as the analysis sees it."""

from dataclasses import dataclass, field

from switchyard_contract.usage import TokenCounts

COMPACT = "compact"
"""The operation by which a tool asks for its history to be shortened."""
CANCELLED = "cancelled"
SERVED = "served"
FAILURES = frozenset({"failed", "internal"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request shows of its place in the conversation: digests and counts, never words (TurnFacts)."""

    tools: bytes = b""
    system: bytes = b""
    marks: tuple[bytes, ...] = ()
    """Digests of the turns' first 1, 4, 16 and 64 KiB, as many as are full."""
    history_bytes: int = 0
    request: bytes = b""
    tool_results: int = 0
    failed_tool_results: int = 0
    calls: bytes = b""
    tool_names: tuple[str, ...] = ()
    is_typed: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a prompt cache lives: nothing of it is found anywhere else."""

    provider: str
    region: str
    model: str

    @property
    def told(self) -> str:
        return f"{self.provider}/{self.model}" if self.provider else self.model


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange: tokens and money summed over its attempts; the rest as the attempt that answered had it.

    Instants are Unix milliseconds.
    """

    exchange_id: str
    at_ms: int
    ended_ms: int
    first_token_ms: int = 0
    """When the first token came; 0: none did."""
    agent_id: str = ""
    operation: str = "generate"
    outcome: str = SERVED
    requested_model: str = ""
    target: Target = Target("", "", "")
    provider_id: str = ""
    vendor: str = ""
    tokens: TokenCounts = TokenCounts()
    cost_nano_usd: int = 0
    saved_cache_nano_usd: int = 0
    price_version: str = ""
    """Of the attempt that answered; empty: unpriced."""
    service_tier: str = ""
    inference_geo: str = ""
    stop_reason: str = ""
    attempts: int = 1
    """How often the gateway tried."""
    first_target: Target | None = None
    """Where the gateway tried first; None: where the answer came from."""
    stage: str = ""
    facts: Facts | None = None
    prompt: int = field(init=False, repr=False, compare=False)
    """All that the model read. Asked for a dozen times a turn, so it is summed up once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", self.tokens.prompt)

    @property
    def written(self) -> int:
        """What this turn put into a cache that is billed by the write."""
        tokens = self.tokens
        return (
            tokens.cache_write_5m
            + tokens.cache_write_1h
            + tokens.cache_write_30m
            + tokens.cache_write_12h
            + tokens.cache_write_other
        )

    @property
    def touched_ms(self) -> int:
        """When the cache was last used for it: a provider's clock begins to run no later."""
        return self.first_token_ms or self.at_ms
