"""Conversations turn by turn, as pods would report them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from control_plane.sessions.analysis.turns import Facts, Target, Turn
from switchyard_contract.pricing import Price, Rates, amount_of
from switchyard_contract.usage import TokenCounts

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START_MS = 1_795_000_000_000

OPUS = "list:anthropic:claude-opus-4-8"
GPT = "list:openai:gpt-5.4"
PRICES: Mapping[str, Price] = {
    # Dollars per million tokens: 5 in, 0.50 read, 6.25 and 10 written, 25 out.
    OPUS: Price(
        OPUS,
        "anthropic",
        "claude-opus-4-8",
        Rates(
            input=5_000_000_000,
            cache_read=500_000_000,
            cache_write_5m=6_250_000_000,
            cache_write_1h=10_000_000_000,
            output=25_000_000_000,
        ),
    ),
    # 2.50 in, 0.25 read, 15 out.
    GPT: Price(GPT, "openai", "gpt-5.4", Rates(input=2_500_000_000, cache_read=250_000_000, output=15_000_000_000)),
}
CLAUDE = Target("anthropic-main", "", "claude-opus-4-8")
CODEX = Target("openai-main", "", "gpt-5.4")
FACTS = Facts(tools=b"tools", system=b"system", marks=(b"1", b"4"), history_bytes=20_000, request=b"")


def priced(turn: Turn) -> Turn:
    """The turn with what it costs."""
    return replace(turn, cost_nano_usd=amount_of(turn.tokens, PRICES[turn.price_version]))


class Talk:
    """A Claude session that grows by 1,000 tokens a turn and finds everything it wrote; each turn takes 2 seconds."""

    def __init__(self, *, context: int = 50_000, agent_id: str = "", start_ms: int = START_MS, name: str = "T") -> None:
        self.turns: list[Turn] = []
        self.context, self.agent_id, self.name = context, agent_id, name
        self.at_ms = start_ms
        self.facts = replace(FACTS, marks=(f"{name}1".encode(), f"{name}4".encode()))

    def say(
        self,
        *,
        pause_ms: int = 10 * SECOND,
        read: int | None = None,
        grows: int = 1_000,
        hourly: bool = False,
        facts: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Turn:
        """One more turn. read: what was found in the cache, if not everything; the rest is written."""
        number = len(self.turns) + 1
        prompt = self.context + grows
        found = (self.context if self.turns else 0) if read is None else read
        written = {"cache_write_1h" if hourly else "cache_write_5m": prompt - found - 2}
        told: dict[str, Any] = {
            "history_bytes": self.facts.history_bytes + 4_000,
            "request": f"{self.name}{number}".encode(),
            "calls": f"call {number}".encode(),
        }
        self.facts = replace(self.facts, **{**told, **(facts or {})})
        self.at_ms += pause_ms
        turn = Turn(
            exchange_id=f"{self.name}{number:025d}",
            at_ms=self.at_ms,
            first_token_ms=self.at_ms + SECOND,
            ended_ms=self.at_ms + 2 * SECOND,
            agent_id=self.agent_id,
            requested_model="claude-opus-4-8",
            target=CLAUDE,
            vendor="anthropic",
            tokens=TokenCounts(input_fresh=2, cache_read=found, **written, output=200),
            price_version=OPUS,
            stop_reason="tool_use",
            facts=self.facts,
        )
        turn = replace(turn, **changes)
        turn = priced(turn)
        self.context = turn.prompt - 2
        self.at_ms += 2 * SECOND
        self.turns.append(turn)
        return turn

    def go_on(self, count: int, **how: Any) -> None:
        for _ in range(count):
            self.say(**how)
