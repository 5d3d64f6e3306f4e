"""What the rules say of one way, worked out once and kept with the way until something may change.

The counters are asked only where a rule counts: without one there is no round trip, and nothing here costs more than
looking the terms up.
"""

from data_plane.exchange.ports import Ports
from data_plane.exchange.stages import Asked, Terms
from data_plane.policy.claims import FIRST, REQUEST, SECOND, BudgetClaim, Claims, counter_for
from data_plane.policy.decision import Destination, Refusal
from data_plane.policy.routing import resolve
from data_plane.policy.weighing import Weighed, weigh
from switchyard_contract.v1 import usage_pb2

MAX_TERMS = 64
"""So many models and paths are kept for one caller; what is beyond is worked out each time."""


def find_terms(asked: Asked, ports: Ports) -> Terms | Refusal:
    """The terms of an exchange, from memory where they still hold."""
    known, key = asked.known_terms, asked.wish
    now_ms = ports.counters.now_ms
    terms = known.get(key) if known is not None else None
    if terms is None or terms.valid_until_ms <= now_ms:
        found = set_terms(asked, ports, now_ms)
        if isinstance(found, Refusal):
            return found
        terms = found
        if known is not None and (key in known or len(known) < MAX_TERMS):
            known[key] = terms
    session_id = asked.client.session_id
    if session_id in terms.weighed.raised_sessions:
        # Its counter has a limit of its own, so it is not remembered for the others.
        return set_terms(asked, ports, now_ms, session_id=session_id)
    return terms


def set_terms(asked: Asked, ports: Ports, at_ms: int, *, session_id: str = "") -> Terms | Refusal:
    """Work the terms out. session_id: of the one session that they are about."""
    protocol = asked.arrival.route.protocol
    destination = asked.moved_to
    if destination is None:
        found = resolve(asked.policy, asked.caller, asked.requested, protocol)
        if isinstance(found, Refusal):
            return found
        destination = found
    weighed = weigh(
        asked.policy,
        asked.caller,
        destination,
        requested=asked.requested,
        protocol=protocol,
        operation=asked.facts.operation,
        client=asked.client.name,
        request_tags=asked.tags,
        has_session=bool(asked.client.session_id),
        at_ms=at_ms,
        session_id=session_id,
    )
    return weighed if isinstance(weighed, Refusal) else _terms_of(weighed, destination, ports)


def _terms_of(weighed: Weighed, destination: Destination, ports: Ports) -> Terms:
    claims = weighed.claims
    budgets, rates = claims.budgets, claims.rates
    by_session = any(claim.counts_session for claim in budgets if not claim.is_cap)
    names = [usage_pb2.Dropped(model=each.model, why=each.why) for each in weighed.dropped]
    dropped = usage_pb2.UsageEvent(dropped=names).SerializeToString()
    needs_signs = (
        bool(weighed.sign_caps)
        or weighed.second is not None
        or any(budget.grace > 0 for budget in budgets)
        or any(REQUEST in rate.counter for rate in rates)
    )
    counts = bool(budgets or rates)
    needs_amounts = bool(budgets) or any(rate.unit != "requests" for rate in rates)
    return Terms(
        weighed=weighed,
        destination=destination,
        packed=ports.counters.pack(claims) if counts else None,
        ways={},
        is_free=not counts and not needs_signs,
        is_plain=needs_amounts and not needs_signs and not weighed.raised_sessions,
        decided=None
        if by_session
        else (charges_of(claims, FIRST, "") + dropped, charges_of(claims, SECOND, "") + dropped),
        dropped=dropped,
        told={},
        has_budgets=bool(budgets),
        needs_amounts=needs_amounts,
        needs_signs=needs_signs,
        valid_until_ms=claims.valid_until_ms,
    )


def charges_of(claims: Claims, candidate: int, session_id: str) -> bytes:
    """The counters that the cost of a candidate is posted to: a part of the usage event."""
    charges = [
        _charge(claim, session_id) for claim in claims.budgets if claim.candidates & candidate and not claim.is_cap
    ]
    return usage_pb2.UsageEvent(charges=charges).SerializeToString() if charges else b""


def decided_for(terms: Terms, candidate: int, session_id: str) -> bytes:
    """The same for one exchange, and names that cannot be used."""
    decided = terms.decided
    if decided is None:
        return charges_of(terms.weighed.claims, candidate, session_id) + terms.dropped
    return decided[candidate - 1]


def _charge(claim: BudgetClaim, session_id: str) -> usage_pb2.Charge:
    counter = counter_for(claim.counter, session_id) if claim.counts_session else claim.counter
    return usage_pb2.Charge(budget_id=claim.budget_id, counter=counter, period=claim.period, is_shadow=claim.is_shadow)
