"""A reservation that grows with its stream: the prompt and a first part of the answer, then part by part.

A worst case counts an answer as long as the request allows, which it hardly ever is, and keeps others out of a budget
meanwhile. So a stream reserves a part and asks for more before that is written; where there is no room for more, the
answer ends there with its protocol's error event. Only where a provider stops to charge when it is hung up on, and
where nothing is written that does not come (docs/decisions/0109-streams-grow-their-reservation.md).
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.exchange.ports import Counters
from data_plane.exchange.running import Live
from data_plane.policy.claims import BudgetClaim
from data_plane.policy.decision import Refusal
from data_plane.policy.estimate import Quote, with_output
from data_plane.policy.grant import Grant
from data_plane.protocols.codec import RequestFacts
from switchyard_contract.reason import Reason

STEP_TOKENS = 4_096
MARGIN_TOKENS = 1_024
"""Asked for more, so long before what is reserved is written."""
_LEAST_BYTES_PER_TOKEN = 3
STOPS_CHARGING = frozenset({"anthropic", "openai_compatible"})
"""Vendors that charge for what was written when the connection was closed, and no more."""
_HIDES = ("thinking", "reasoning", "reasoning_effort")


def may_grow(facts: RequestFacts, vendor: str, quote: Quote) -> bool:
    """Whether an answer's reservation may be a part of its worst case at first."""
    if not facts.streamed or vendor not in STOPS_CHARGING or quote.output_tokens <= STEP_TOKENS + MARGIN_TOKENS:
        return False
    return facts.fields is not None and not _asks_for_reasoning(facts.fields.raw)


def _asks_for_reasoning(fields: Mapping[str, msgspec.Raw]) -> bool:
    """A model that thinks unseen writes, and charges, what nobody can count while it does."""
    for name in _HIDES:
        raw = fields.get(name)
        if raw is not None and bytes(raw) != b"null" and b'"disabled"' not in bytes(raw):
            return True
    return False


class Growth:
    """One stream's reservation."""

    __slots__ = ("_counted", "_counters", "_grant", "_is_over", "_live", "_next_bytes", "_quote", "_reserved", "_task")

    def __init__(
        self, grant: Grant, quote: Quote, counted: Callable[[], Tally], counters: Counters, live: Live
    ) -> None:
        """quote: of the whole answer. counted: what it comes to by now."""
        self._grant, self._quote, self._counted, self._counters, self._live = grant, quote, counted, counters, live
        self._reserved = STEP_TOKENS
        self._is_over = False
        self._next_bytes = (STEP_TOKENS - MARGIN_TOKENS) * _LEAST_BYTES_PER_TOKEN
        self._task: asyncio.Task[None] | None = None

    def passed(self, answer_bytes: int) -> None:
        """So much of the answer has come: count it where it may have come near what is reserved."""
        if answer_bytes < self._next_bytes or self._task is not None or self._reserved >= self._quote.output_tokens:
            return
        tokens = self._counted().tokens
        written = tokens.output + tokens.reasoning
        left = self._reserved - written - MARGIN_TOKENS
        if left > 0:
            # Half of what a token took so far; a few bytes are the least it can take.
            bytes_per_token = max(_LEAST_BYTES_PER_TOKEN, answer_bytes // (2 * max(written, 1)))
            self._next_bytes = answer_bytes + left * bytes_per_token
            return
        wanted = min(max(self._reserved, written) + STEP_TOKENS, self._quote.output_tokens)
        self._task = asyncio.get_running_loop().create_task(self._extend(wanted, written))

    def end(self) -> None:
        """The answer is over: an answer of the counters that comes later ends nothing any more."""
        self._is_over = True

    async def _extend(self, wanted: int, written: int) -> None:
        try:
            has_room = await self._counters.extend(self._grant, with_output(self._quote, wanted).amounts)
        finally:
            self._task = None
        if has_room or self._is_over:
            self._reserved = wanted
            return
        said = (
            f"{_named(self._grant)} has no room for more of this answer. It was ended after about {written:,} tokens."
        )
        self._live.cut(Refusal(Reason.BUDGET_EXCEEDED, said + _whom_to_ask(self._grant)))


def _holding(grant: Grant) -> list[BudgetClaim]:
    """The budgets that may have said no: which one it was, the counters do not tell here."""
    return [
        claim
        for claim in grant.claims.budgets
        if not claim.is_shadow and claim.hard >= 0 and claim.candidates & grant.candidate
    ]


def _named(grant: Grant) -> str:
    names = list(dict.fromkeys(f"“{claim.budget_name}”" for claim in _holding(grant)))
    if len(names) > 1:
        return f"One of the budgets {', '.join(names)}"
    return f"The budget {names[0]}" if names else "A budget"


def _whom_to_ask(grant: Grant) -> str:
    contacts = list(dict.fromkeys(claim.contact for claim in _holding(grant) if claim.contact))
    return f" Ask {' or '.join(contacts)}." if contacts else ""
