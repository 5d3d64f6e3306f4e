"""Admit: who calls, what they ask, whether they may. Cheap first; a refusal here costs no network."""

from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import BodyRefused, ClientStream, Ports
from data_plane.exchange.stages import Admission, Arrival
from data_plane.policy.authentication import authenticate
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.routing import resolve
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.client import place
from data_plane.protocols.codec import Client, InvalidRequest
from data_plane.protocols.credentials import presented_key
from data_plane.protocols.standing import standing_of
from switchyard_contract.reason import Reason


def recognise(arrival: Arrival, policy: PolicySnapshot, ports: Ports) -> tuple[Caller, bool] | Refusal:
    """Say who calls from the head alone, before a body is taken. True: the caller's own credential travels on."""
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
    return caller, presented.passes_caller


async def admit(
    arrival: Arrival, out: ClientStream, ports: Ports, entry: Entry
) -> tuple[Admission | Refusal, Client | None]:
    """Decide about a request. The client comes back as far as it is known, so that a no is put in its words."""
    policy = ports.policy()
    recognised = recognise(arrival, policy, ports)
    if isinstance(recognised, Refusal):
        return recognised, None
    caller, passes_caller = recognised
    entry.know_caller(caller, policy)
    if not ports.usage.can_admit():
        return Refusal(Reason.SPOOL_UNAVAILABLE), None
    codec = CODECS[arrival.route.protocol]
    try:
        standing = standing_of(arrival.head)
        body = await out.read_body()
        facts = codec.read_request(arrival.head, arrival.route.operation, arrival.route.path_model, body)
    except InvalidRequest as failure:
        return Refusal(Reason.REQUEST_INVALID, str(failure)), None
    except BodyRefused as failure:
        reason = Reason.REQUEST_TOO_LARGE if failure.too_large else Reason.REQUEST_INVALID
        return Refusal(reason, failure.why, http_status=failure.http_status), None
    client = place(standing.tool, facts.hints, caller.key_id)
    entry.know_client(client)
    entry.event.requested_model = facts.model
    if standing.tags:
        entry.event.request_tags.update(standing.tags)
    destination = resolve(policy, caller, facts.model, arrival.route.protocol)
    if isinstance(destination, Refusal):
        return destination, client
    return (
        Admission(arrival, policy, caller, client, codec, standing, facts, body, destination, passes_caller),
        client,
    )
