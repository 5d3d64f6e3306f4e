"""Ask the rules: what needs no counter first, then everything that counts in one round trip, all or nothing.

What is asked is lasting (`terms.py`) but for the amounts. Where only the output does not fit, it is asked once more
with less of it; where a session's reasoning is signed by another model than the one asked for, it stays there.
"""

import msgspec

from data_plane.conversation.session_signs import NO_SIGNS, SessionSigns
from data_plane.exchange.denying import refusal_of
from data_plane.exchange.growing import STEP_TOKENS
from data_plane.exchange.ledger import Entry
from data_plane.exchange.plain_way import (
    NO_QUOTE,
    Unmet,
    ask_counters,
    grows_with,
    last_turn,
    pass_plainly,
    quote_for,
)
from data_plane.exchange.ports import Ports
from data_plane.exchange.stages import Asked, Passed, Terms
from data_plane.exchange.telling import degraded_line, lowered_line, moved_line, stage_part, tell
from data_plane.exchange.terms import decided_for, find_terms, set_terms
from data_plane.policy.caps import NOTHING_SHOWN, digest_for, judge_signs
from data_plane.policy.claims import FIRST, SECOND, Amounts, BudgetClaim
from data_plane.policy.counting import Candidate
from data_plane.policy.decision import Refusal
from data_plane.policy.downgrade import Offer, offer
from data_plane.policy.estimate import (
    LEAST_OUTPUT_TOKENS,
    NOTHING,
    Quote,
    output_that_fits,
    with_output,
)
from data_plane.policy.grant import Ask, Denial, Grant, Refused, Restart
from data_plane.policy.request_size import LastTurn, RequestSize
from data_plane.protocols.output_limit import output_of
from data_plane.protocols.sizing import read_size
from data_plane.usage.event_bytes import decision_part
from switchyard_contract.counters import MICRO, CountersAnswer, answer_of
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import usage_pb2

_KNOWS_NEW_LIMIT = frozenset({"openai", "azure_openai", "openrouter", "xai"})
"""Vendors that take the field which limits the output of a chat where the request has none."""


class _Turn(msgspec.Struct, frozen=True, gc=False):
    """One exchange as its rules need to know it."""

    asked: Asked
    terms: Terms
    signs: SessionSigns
    size: RequestSize | None
    """None: no rule asks for amounts."""
    first: Quote
    last_first: LastTurn | None
    shown: bytes
    """What caps on what a request shows add to the event."""


async def pass_rules(asked: Asked, ports: Ports, entry: Entry) -> Passed | Refusal:
    """Say whether the rules let an exchange run; what the counters hold for it then is the entry's to settle."""
    found = find_terms(asked, ports)
    if isinstance(found, Refusal):
        return found
    terms = found
    if terms.is_free:
        entry.note_rules(terms.weighed.claims.rules_seen)
        return Passed(terms, terms.destination)
    if terms.is_plain:
        passed = await pass_plainly(terms, asked.arrival, asked.client, asked.facts, asked.body, ports, entry)
        return passed if isinstance(passed, Passed) else await follow_plainly(asked, terms, passed, ports, entry)
    signs = asked.codec.session_signs(asked.body) if terms.needs_signs else NO_SIGNS
    verdict = judge_signs(terms.weighed.sign_caps, signs) if terms.weighed.sign_caps else NOTHING_SHOWN
    rules = terms.weighed.claims.rules_seen + verdict.rules_seen
    if verdict.refusal is not None:
        entry.note_rules(rules, _facts_part(signs))
        return verdict.refusal
    if terms.packed is None:
        entry.note_rules(rules, _facts_part(signs))
        return Passed(terms, terms.destination)
    turn = _look(asked, terms, signs, verdict.rules_seen, ports)
    offered = _offer(turn, ports)
    if offered is not None and offered.must_move and asked.moved_to is None:
        return await _stay_there(turn, offered, ports, entry)
    return await _reserve(turn, offered, ports, entry)


async def follow_plainly(asked: Asked, terms: Terms, unmet: Unmet, ports: Ports, entry: Entry) -> Passed | Refusal:
    """Go on where the plain way ended."""
    turn = _Turn(asked, terms, NO_SIGNS, unmet.size, unmet.whole, unmet.last, b"")
    return await _follow(turn, unmet.ask, unmet.answer, None, unmet.grows, ports, entry)


def _look(asked: Asked, terms: Terms, signs: SessionSigns, shown: bytes, ports: Ports) -> _Turn:
    """Say what the exchange may come to, as far as a rule wants to know."""
    if not terms.needs_amounts:
        return _Turn(asked, terms, signs, None, NO_QUOTE, None, shown)
    size = read_size(asked.facts, asked.body)
    first = terms.weighed.first
    last = last_turn(first, asked.arrival, asked.client, ports)
    return _Turn(asked, terms, signs, size, quote_for(first, size, last), last, shown)


def _offer(turn: _Turn, ports: Ports) -> Offer | None:
    """Whether the turn may be moved to the cheaper model; None: there is none."""
    weighed = turn.terms.weighed
    second = weighed.second
    if second is None or weighed.move is None or turn.size is None:
        return None
    return offer(
        weighed.move,
        weighed.first.tariff,
        second.tariff,
        turn.size,
        turn.signs,
        last_first=turn.last_first,
        last_second=last_turn(second, turn.asked.arrival, turn.asked.client, ports),
    )


async def _stay_there(turn: _Turn, offered: Offer, ports: Ports, entry: Entry) -> Passed | Refusal:
    """Go on with the model that the session was moved to, as if it had been asked for."""
    second = turn.terms.weighed.second
    assert second is not None, "an offer is made of a second candidate"
    path, query, model, streamed, has_session = turn.asked.wish
    # Asked for by one name and weighed by the other: no other request's terms are these.
    wish = (path, query, f"{model}\0{second.asked}", streamed, has_session)
    moved = msgspec.structs.replace(turn.asked, wish=wish, requested=second.asked, moved_to=second.destination)
    passed = await pass_rules(moved, ports, entry)
    if isinstance(passed, Refusal):
        return passed
    move = turn.terms.weighed.move
    told = usage_pb2.Downgrade(
        budget_id=move.budget_ids[0] if move is not None and move.budget_ids else "",
        from_model=turn.terms.destination.model,
        to_model=second.destination.model,
        is_taken=True,
        stay_nano_usd=offered.stay,
        move_nano_usd=offered.move,
        why=offered.why,
    )
    entry.add(
        usage_pb2.UsageEvent(downgrade=told, stage="downgrade").SerializeToString(), moved_line(turn.asked.facts.model)
    )
    return msgspec.structs.replace(passed, moved_to=second.asked)


async def _reserve(turn: _Turn, offered: Offer | None, ports: Ports, entry: Entry) -> Passed | Refusal:
    """Ask for what the turn may come to."""
    whole = turn.first
    grows = turn.size is not None and grows_with(turn.asked.facts, turn.terms, turn.size, whole)
    begun = with_output(whole, STEP_TOKENS).amounts if grows else whole.amounts
    ask = _ask(turn, offered, begun, ports)
    answer = await ask_counters(turn.terms, ask, ports)
    if isinstance(answer, Grant):
        return _take(turn, answer, offered, 0, entry, grows=whole if grows else None)
    return await _follow(turn, ask, answer, offered, grows, ports, entry)


async def _follow(
    turn: _Turn, ask: Ask, answer: Denial | Restart, offered: Offer | None, grows: bool, ports: Ports, entry: Entry
) -> Passed | Refusal:
    """Where the counters did not simply let it in: ask with the right period, ask for less, or say no."""
    said, turn = await _ask_again(turn, ask, answer, ports)
    max_output = 0
    if isinstance(said, Denial) and said.refused is Refused.BUDGET:
        max_output, amounts = _cut_to_fit(turn, said)
        if max_output:
            ask = _ask(turn, offered, amounts, ports)
            again, turn = await _put(turn, ask, ports)
            if isinstance(again, Grant):
                return _take(turn, again, offered, max_output, entry, grows=None)
    if isinstance(said, Grant):
        return _take(turn, said, offered, 0, entry, grows=turn.first if grows else None)
    rules = turn.terms.weighed.claims.rules_seen + turn.shown
    if said is None:
        entry.note_rules(rules)
        return Refusal(Reason.COUNTERS_UNAVAILABLE, retry_after_s=1)
    entry.note_rules(rules, decision_part(b"", said.answer, said.degraded) + _facts_part(turn.signs))
    entry.add(stage_part("block") if said.refused is Refused.BUDGET else b"", degraded_line(said.degraded))
    return refusal_of(said, ask)


def _ask(turn: _Turn, offered: Offer | None, first: Amounts, ports: Ports) -> Ask:
    asked, second = turn.asked, None
    if offered is not None and offered.is_offered and turn.size is not None:
        candidate = turn.terms.weighed.second
        assert candidate is not None, "an offer is made of a second candidate"
        second = quote_for(candidate, turn.size, last_turn(candidate, asked.arrival, asked.client, ports)).amounts
    exchange_id = asked.arrival.exchange_id
    return Ask(
        exchange_id,
        1,
        first,
        second,
        asked.client.session_id,
        digest_for(turn.signs, exchange_id) if turn.terms.needs_signs else b"",
        turn.signs.is_tool_loop,
    )


async def _put(turn: _Turn, ask: Ask, ports: Ports) -> tuple[Grant | Denial | None, _Turn]:
    """Ask the counters; once more where a period has just ended by their clock. None: it ended again meanwhile."""
    return await _ask_again(turn, ask, await ask_counters(turn.terms, ask, ports), ports)


async def _ask_again(
    turn: _Turn, ask: Ask, answer: Grant | Denial | Restart, ports: Ports
) -> tuple[Grant | Denial | None, _Turn]:
    """Give the answer, or where a period has just ended by the counters' clock, that for the present one."""
    if not isinstance(answer, Restart):
        return answer, turn
    terms = set_terms(turn.asked, ports, answer.now_ms)
    if isinstance(terms, Refusal) or terms.packed is None:
        # Hours of a rule began or ended with the period: the next request is weighed anew.
        return None, turn
    turn = msgspec.structs.replace(turn, terms=terms)
    if turn.asked.known_terms is not None:
        turn.asked.known_terms.clear()
    answer = await ask_counters(terms, ask, ports)
    return None if isinstance(answer, Restart) else answer, turn


def _cut_to_fit(turn: _Turn, denial: Denial) -> tuple[int, Amounts]:
    """The limit of output with which every budget has room for the exchange, and what it comes to; 0: there is none."""
    output, size = output_of(turn.asked.facts), turn.size
    if size is None or not output.places or (output.before and not _may_put_limit(turn)):
        return 0, NOTHING
    claims, numbers = turn.terms.weighed.claims, denial.numbers
    total = turn.first.output_tokens
    for claim, counter in zip(claims.budgets, numbers.budgets, strict=False):
        if claim.is_shadow or claim.hard < 0 or not claim.candidates & FIRST:
            continue
        left = NanoUsd(claim.hard - (counter.posted + counter.worst) * MICRO)
        amounts = turn.first.amounts
        if (amounts.worst if claim.is_strict else amounts.calibrated) <= left:
            continue
        total = min(total, output_that_fits(turn.first, left, is_strict=claim.is_strict))
    each = total // output.answers
    if each < LEAST_OUTPUT_TOKENS or each <= output.least or total >= turn.first.output_tokens:
        return 0, NOTHING
    return each, with_output(turn.first, each * output.answers).amounts


def _may_put_limit(turn: _Turn) -> bool:
    destination = turn.terms.destination
    return turn.asked.facts.protocol != "openai_chat" or destination.vendor in _KNOWS_NEW_LIMIT


def _take(
    turn: _Turn, grant: Grant, offered: Offer | None, max_output: int, entry: Entry, *, grows: Quote | None
) -> Passed:
    """Hand what is held over to the entry, with all that is written down and told of it."""
    asked, terms, weighed = turn.asked, turn.terms, turn.terms.weighed
    decided = decided_for(terms, grant.candidate, asked.client.session_id)
    decided = decision_part(decided, grant.answer, grant.degraded) + _facts_part(turn.signs)
    lines, stage = tell(terms, grant, asked.client.name)
    destination, moved_to = terms.destination, ""
    if grant.candidate == SECOND and weighed.second is not None:
        destination, moved_to, max_output, grows = weighed.second.destination, weighed.second.asked, 0, None
        lines += moved_line(asked.facts.model)
        stage = stage_part("downgrade")
    elif max_output:
        lines += lowered_line(max_output)
    if offered is not None and weighed.second is not None:
        decided += _downgrade_part(turn, grant, offered, weighed.second)
    entry.take(grant, decided + stage, weighed.claims.rules_seen + turn.shown, lines)
    return Passed(terms, destination, moved_to, max_output, grows)


def _downgrade_part(turn: _Turn, grant: Grant, offered: Offer, second: Candidate) -> bytes:
    """Why the turn was moved, or was not although a stage asked for it: a part of the event; nothing where none did."""
    asking = _asking_budget(grant)
    is_taken = grant.candidate == SECOND
    if asking is None and not is_taken:
        return b""
    first = turn.terms.weighed.first
    told = usage_pb2.Downgrade(
        budget_id=asking.budget_id if asking is not None else "",
        from_model=first.destination.model,
        to_model=second.destination.model,
        is_taken=is_taken,
        stay_nano_usd=offered.stay,
        move_nano_usd=offered.move,
        why=offered.why,
    )
    return usage_pb2.UsageEvent(downgrade=told).SerializeToString()


def _asking_budget(grant: Grant) -> BudgetClaim | None:
    """The first budget that has reached its stage with this exchange."""
    try:
        numbers: CountersAnswer = answer_of(grant.numbers)
    except ValueError:
        # What stood in for the counters in an outage has no numbers.
        return None
    expected = grant.ask.first.expected
    for claim, counter in zip(grant.claims.budgets, numbers.budgets, strict=False):
        if claim.is_shadow or claim.downgrade_at < 0 or not claim.candidates & FIRST:
            continue
        if (counter.posted + counter.expected) * MICRO + expected >= claim.downgrade_at:
            return claim
    return None


def _facts_part(signs: SessionSigns) -> bytes:
    """What the request shows of its session: a part of the event, where somebody looked."""
    if signs is NO_SIGNS:
        return b""
    return usage_pb2.UsageEvent(
        session_facts=usage_pb2.SessionFacts(
            failed_tool_results=signs.failed_tool_results,
            same_tool_call=signs.same_tool_call,
            is_tool_loop=signs.is_tool_loop,
            has_signed_thinking=signs.has_signed_thinking,
            request_digest=signs.request_digest,
            turn=signs.turn,
        )
    ).SerializeToString()
