"""Parts of usage events that are written by a message: what is lasting, and what is rare.

The rest is put together as bytes (`usage/event_bytes.py`).
"""

from collections.abc import Mapping

from data_plane.conversation.tally import Tally
from data_plane.exchange.settlement import Charge
from data_plane.exchange.stages import Admission, Arrival
from data_plane.policy.decision import Caller
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import Client
from switchyard_contract.v1 import usage_pb2

_TURNS = frozenset({"generate", "compact"})
"""Operations whose requests hold a conversation."""
_USER = usage_pb2.PRINCIPAL_KIND_OF_EVENT_USER
_SERVICE = usage_pb2.PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT


def write_page(admission: Admission, host: str, pod_id: str) -> bytes:
    """The usage event of everything that goes this way, as far as it is the same each time."""
    destination = admission.destination
    event = usage_pb2.UsageEvent(
        requested_model=admission.facts.model,
        model=destination.model,
        provider_id=destination.provider_id,
        provider_name=destination.provider_name,
        vendor=destination.vendor,
        account=destination.account,
        host=host,
        region=destination.region,
        is_subscription=destination.passthrough_caller,
        streamed=admission.facts.streamed,
    )
    _write_arrival(event, admission.arrival, pod_id)
    _write_caller(event, admission.caller, admission.policy)
    _write_client(event, admission.client, admission.standing.tags)
    return event.SerializeToString()


def _write_arrival(event: usage_pb2.UsageEvent, arrival: Arrival, pod_id: str) -> None:
    event.protocol = arrival.route.protocol
    event.operation = arrival.route.operation
    event.path = arrival.route.canonical_path
    event.pod_id = pod_id


def _write_caller(event: usage_pb2.UsageEvent, caller: Caller, policy: PolicySnapshot) -> None:
    event.organization_id = caller.organization_id
    event.key_id = caller.key_id
    event.principal_id = caller.principal_id
    event.principal_kind = _USER if caller.principal_kind == "user" else _SERVICE
    event.team_id = caller.team_id
    event.tags.update(caller.tags)
    event.policy_epoch, event.policy_version = policy.policy_version(caller.organization_id)


def _write_client(event: usage_pb2.UsageEvent, client: Client, tags: Mapping[str, str]) -> None:
    event.client = client.name
    event.client_version = client.version
    event.agent_id = client.agent_id
    event.parent_session_id = client.parent_session_id
    event.request_tags.update(tags)


def write_page_of_unopened(
    arrival: Arrival,
    pod_id: str,
    model: str,
    caller: Caller | None,
    policy: PolicySnapshot | None,
    client: Client | None,
    tags: Mapping[str, str],
) -> bytes:
    """The page of a request that went no way, from what is known of it."""
    event = usage_pb2.UsageEvent(requested_model=model)
    if caller is not None and policy is not None:
        _write_caller(event, caller, policy)
    _write_arrival(event, arrival, pod_id)
    if client is not None:
        _write_client(event, client, tags)
    return event.SerializeToString()


def turn_facts_part(admission: Admission) -> bytes:
    """What the request shows of its place in a conversation: a part of the event."""
    if admission.facts.operation not in _TURNS:
        return b""
    facts = admission.codec.turn_facts(admission.facts)
    return usage_pb2.UsageEvent(
        turn_facts=usage_pb2.TurnFacts(
            tools_digest=facts.tools_digest,
            system_digest=facts.system_digest,
            history_marks=facts.history_marks,
            history_bytes=facts.history_bytes,
            request_digest=facts.request_digest,
            tool_results=facts.tool_results,
            failed_tool_results=facts.failed_tool_results,
            calls_digest=facts.calls_digest,
            tools=facts.tools,
            is_typed=facts.is_typed,
        )
    ).SerializeToString()


def rarely_told_part(tally: Tally) -> bytes:
    """What most answers have nothing of."""
    if not (tally.error_type or tally.error_text or tally.web_searches or tally.inference_geo or tally.is_inconsistent):
        return b""
    return usage_pb2.UsageEvent(
        error_type=tally.error_type,
        error_text=tally.error_text,
        web_searches=tally.web_searches,
        inference_geo=tally.inference_geo,
        usage_is_inconsistent=tally.is_inconsistent,
    ).SerializeToString()


def billed_besides_part(tally: Tally, cost: Charge | None) -> bytes:
    """Units and parts of an answer, with what the parts cost."""
    parts = cost.parts if cost is not None else ()
    return usage_pb2.UsageEvent(
        units=[usage_pb2.BilledUnit(kind=kind, count=count) for kind, count in tally.units],
        parts=[
            usage_pb2.BilledPart(
                model=part.model,
                tokens=usage_pb2.Tokens(**part.told.tokens._asdict()),
                cost_nano_usd=part.amount,
                price_version=part.price_id,
                units=[usage_pb2.BilledUnit(kind=kind, count=count) for kind, count in part.told.units],
            )
            for part in parts
        ],
    ).SerializeToString()
