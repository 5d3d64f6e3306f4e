"""The way through the rules where only amounts count: nothing of the session is looked at, no other model is offered.

Most of what rules count goes this way, so it is written out. Whoever the counters do not simply let in goes on in
`reserving.py`, which needs the same few things.
"""

import asyncio

import msgspec

from data_plane.exchange.growing import STEP_TOKENS, may_grow
from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import Ports
from data_plane.exchange.stages import Arrival, Buffer, Passed, Terms
from data_plane.exchange.telling import tell
from data_plane.exchange.terms import decided_for
from data_plane.policy.claims import FIRST, Amounts
from data_plane.policy.counting import Candidate
from data_plane.policy.estimate import LIKELY_OUTPUT_TOKENS, NOTHING, Quote, likely_prompt, quote, with_output
from data_plane.policy.grant import Ask, Denial, Grant, Restart
from data_plane.policy.request_size import LastTurn, RequestSize
from data_plane.protocols.codec import Client, RequestFacts
from data_plane.protocols.sizing import read_size
from data_plane.usage.event_bytes import decision_part
from switchyard_contract.quantity import NanoUsd

NO_QUOTE = Quote(NOTHING, 0, 0, 0, 1000)


class Unmet(msgspec.Struct, frozen=True, gc=False):
    """What was asked for, where the counters did not simply let it in."""

    ask: Ask
    answer: Denial | Restart
    size: RequestSize
    whole: Quote
    last: LastTurn | None
    grows: bool


async def pass_plainly(
    terms: Terms, arrival: Arrival, client: Client, facts: RequestFacts, body: Buffer, ports: Ports, entry: Entry
) -> Passed | Unmet:
    """Ask for what an exchange may come to; what the counters hold for it then is the entry's to settle."""
    first, session_id = terms.weighed.first, client.session_id
    size = read_size(facts, body)
    last = last_turn(first, arrival, client, ports) if session_id else None
    tariff = first.tariff
    whole = quote(tariff, size, last) if tariff is not None else quote_for(first, size, last)
    amounts, grows = whole.amounts, None
    if facts.streamed and grows_with(facts, terms, size, whole):
        amounts, grows = with_output(whole, STEP_TOKENS).amounts, whole
    ask = Ask(arrival.exchange_id, 1, amounts, None, session_id)
    assert terms.packed is not None, "there is something to ask"
    answer = ports.counters.reserve(terms.packed, ask)
    try:
        grant = await answer
    except asyncio.CancelledError:
        ports.counters.withdraw(answer)
        raise
    if not isinstance(grant, Grant):
        return Unmet(ask, grant, size, whole, last, grows is not None)
    lines, stage = tell(terms, grant, client.name)
    decided = terms.decided[0] if terms.decided is not None else decided_for(terms, FIRST, session_id)
    decided = decision_part(decided, grant.answer, grant.degraded, stage)
    entry.take(grant, decided, terms.weighed.claims.rules_seen, lines)
    return Passed(terms, terms.destination, "", 0, grows)


async def ask_counters(terms: Terms, ask: Ask, ports: Ports) -> Grant | Denial | Restart:
    """The round trip. Who is cut off meanwhile leaves nothing behind."""
    assert terms.packed is not None, "there is something to ask"
    answer = ports.counters.reserve(terms.packed, ask)
    try:
        return await answer
    except asyncio.CancelledError:
        ports.counters.withdraw(answer)
        raise


def last_turn(candidate: Candidate, arrival: Arrival, client: Client, ports: Ports) -> LastTurn | None:
    """The turn before of the request's session at this model."""
    destination = candidate.destination
    return ports.sessions.last(
        destination.organization_id,
        client.session_id,
        destination.provider_id,
        destination.model,
        arrival.started_at_ms,
    )


def quote_for(candidate: Candidate, size: RequestSize, last: LastTurn | None) -> Quote:
    """What a request may come to at this model."""
    if candidate.tariff is not None:
        return quote(candidate.tariff, size, last)
    if not size.is_billable:
        return NO_QUOTE
    # Nobody's budget: the caller's own account, or a model without a price. Tokens count all the same.
    tokens = Amounts(
        NanoUsd(0),
        NanoUsd(0),
        NanoUsd(0),
        likely_prompt(size, last),
        LIKELY_OUTPUT_TOKENS if size.answers_with_text else 0,
    )
    return Quote(tokens, 0, 0, 0, 1000)


def grows_with(facts: RequestFacts, terms: Terms, size: RequestSize, whole: Quote) -> bool:
    """Whether the reservation may grow with the stream.

    Only where there is a line that it keeps away from, and none that is strict: a provider may write more while the
    counters are asked than there is room for.
    """
    if size.answers != 1 or not may_grow(facts, terms.destination.vendor, whole):
        return False
    lines = [claim for claim in terms.weighed.claims.budgets if claim.hard >= 0 and not claim.is_shadow]
    return bool(lines) and not any(claim.is_strict for claim in lines)
