"""Admit: who calls, what they ask, whether they may. Cheap first; a refusal here costs no network."""

import msgspec

from data_plane.exchange.ledger import Entry
from data_plane.exchange.plain_way import Unmet, pass_plainly
from data_plane.exchange.ports import BodyRefused, ClientStream, Ports
from data_plane.exchange.regulars import find_regular, greet
from data_plane.exchange.reserving import follow_plainly, pass_rules
from data_plane.exchange.stages import Admission, Arrival, Asked, Passed
from data_plane.policy.access import outside_scope
from data_plane.policy.authentication import authenticate, proven_key
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.memory import ProvenKey
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.client import place
from data_plane.protocols.codec import Client
from data_plane.protocols.credentials import presented_key
from data_plane.protocols.fields import InvalidRequest
from data_plane.protocols.standing import standing_of
from switchyard_contract.reason import Reason


class Recognised(msgspec.Struct, frozen=True):
    """Who calls."""

    caller: Caller
    passes_caller: bool
    """The caller's own credential travels on."""
    proven: ProvenKey | None
    """What this policy remembers of the key."""


def recognise(arrival: Arrival, policy: PolicySnapshot, ports: Ports) -> Recognised | Refusal:
    """Say who calls from the head alone, before a body is taken."""
    try:
        presented = presented_key(arrival.head)
    except InvalidRequest as failure:
        return Refusal(Reason.REQUEST_INVALID, str(failure))
    caller = authenticate(
        policy,
        presented.key,
        digest_of=ports.secrets.digest_of,
        is_revoked=ports.is_revoked,
        now_ms=arrival.started_at_ms,
        beacon_age_ms=ports.beacon_age_ms(),
        material=ports.secrets.revision,
    )
    if isinstance(caller, Refusal):
        ports.meters.failed_authentication(caller.reason.code, arrival.source)
        return caller
    return Recognised(caller, presented.passes_caller, proven_key(policy, presented.key))


async def admit(
    arrival: Arrival, out: ClientStream, ports: Ports, entry: Entry
) -> tuple[Admission | Refusal, Client | None]:
    """Decide about a request. The client comes back as far as it is known, so that a no is put in its words."""
    policy = ports.policy()
    regular = find_regular(arrival, policy, ports)
    if regular is None:
        recognised = recognise(arrival, policy, ports)
        if isinstance(recognised, Refusal):
            return recognised, None
        caller, passes_caller, proven = recognised.caller, recognised.passes_caller, recognised.proven
    else:
        caller, passes_caller, proven = regular.proven.caller, regular.passes_caller, regular.proven
    entry.know_caller(caller, policy)
    outside = outside_scope(caller, arrival.route.protocol, arrival.source)
    if outside is not None:
        return outside, None
    if not ports.usage.can_admit():
        return Refusal(Reason.SPOOL_UNAVAILABLE), None
    codec = CODECS[arrival.route.protocol]
    try:
        if regular is None:
            standing = standing_of(arrival.head)
            regular = greet(arrival.sight, proven, standing, policy, passes_caller=passes_caller)
        else:
            standing = regular.standing
        body = await out.read_body()
        facts = codec.read_request(arrival.head, arrival.route.operation, arrival.route.path_model, body)
    except InvalidRequest as failure:
        return Refusal(Reason.REQUEST_INVALID, str(failure)), None
    except BodyRefused as failure:
        reason = Reason.REQUEST_TOO_LARGE if failure.too_large else Reason.REQUEST_INVALID
        return Refusal(reason, failure.why, http_status=failure.http_status), None
    client = place(standing.tool, facts.hints, caller.key_id)
    entry.know_request(client, facts.model, standing.tags)
    known = regular.terms if regular is not None else None
    wish = (arrival.route.canonical_path, arrival.head.query, facts.model, facts.streamed, bool(client.session_id))
    terms = known.get(wish) if known is not None else None
    passed: Passed | Unmet | Refusal | None = None
    if terms is not None and arrival.started_at_ms < terms.valid_until_ms:
        if terms.is_free:
            # Most exchanges of most organizations: no rule counts them.
            entry.note_rules(terms.weighed.claims.rules_seen)
            free = terms.destination
            return (
                Admission(arrival, policy, caller, client, codec, standing, facts, body, free, passes_caller, terms),
                client,
            )
        if terms.is_plain and ports.counters.now_ms < terms.valid_until_ms:
            passed = await pass_plainly(terms, arrival, client, facts, body, ports, entry)
    if not isinstance(passed, Passed):
        asked = Asked(arrival, policy, caller, client, codec, facts, body, standing.tags, wish, known, facts.model)
        if isinstance(passed, Unmet):
            assert terms is not None, "something was asked for"
            passed = await follow_plainly(asked, terms, passed, ports, entry)
        else:
            passed = await pass_rules(asked, ports, entry)
        if isinstance(passed, Refusal):
            return passed, client
    return (
        Admission(
            arrival,
            policy,
            caller,
            client,
            codec,
            standing,
            facts,
            body,
            passed.destination,
            passes_caller,
            passed.terms,
            passed.moved_to,
            passed.max_output,
            passed.grows,
        ),
        client,
    )
