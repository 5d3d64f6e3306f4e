"""Plan: what goes upstream, byte for byte. Pure but for opening the credential."""

from functools import lru_cache

from data_plane.exchange.answering import lasting_lines
from data_plane.exchange.event_parts import write_page
from data_plane.exchange.ports import Ports, Secrets
from data_plane.exchange.stages import Admission, Plan, Way
from data_plane.policy.decision import Destination, Refusal
from data_plane.policy.memory import OpenCredential, remember
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import RawHeaders
from data_plane.protocols.headers import upstream_headers
from data_plane.protocols.standing import carries_trace, provider_headers
from data_plane.providers.catalog import PROVIDERS
from data_plane.upstream.request import Origin, Timeouts, encode_opening
from switchyard_contract.envelope import EnvelopeFailure
from switchyard_contract.reason import Reason


def make_plan(admission: Admission, ports: Ports) -> Plan | Refusal:
    """Say where the request goes and what it looks like there.

    Bytes pass unchanged but for the model's name and, where the client asked for no usage, the option that asks for it.
    """
    way = admission.terms.ways.get(admission.moved_to)
    if way is None:
        found = _find_way(admission, ports)
        if isinstance(found, Refusal):
            return found
        way = found
    head = admission.arrival.head
    headers, opening = way.headers, way.opening
    if carries_trace(head) and not way.destination.passthrough_caller:
        headers, opening = provider_headers(head, admission.standing, _credential(admission, ports.secrets)), b""
    body = admission.codec.rewrite_body(admission.facts, admission.body, way.destination.model, admission.max_output)
    return Plan(admission, way.destination, way, headers, opening, body)


def _find_way(admission: Admission, ports: Ports) -> Way | Refusal:
    destination, arrival = admission.destination, admission.arrival
    keeps_credential = destination.passthrough_caller
    if keeps_credential and not admission.passes_caller:
        return Refusal(
            Reason.REQUEST_INVALID,
            f"Provider {destination.provider_name} uses the caller's own subscription. Send your Switchyard key as "
            "x-switchyard-key and leave the tool's own sign-in in Authorization.",
        )
    try:
        credential = () if keeps_credential else _credential(admission, ports.secrets)
    except EnvelopeFailure:
        return Refusal(
            Reason.UPSTREAM_FAILED,
            f"The credential of provider {destination.provider_name} cannot be opened by this gateway. "
            "Enter it again in the console.",
        )
    try:
        origin, target = _aim(
            destination.vendor,
            destination.base_url,
            arrival.route.protocol,
            arrival.route.canonical_path,
            arrival.head.query,
            destination.model,
        )
        host_header = origin.host_header()
    except ValueError as failure:
        return Refusal(Reason.NO_TARGET, f"Provider {destination.provider_name} cannot be asked: {failure}.")
    if keeps_credential:
        headers = upstream_headers(arrival.head, passes_caller=True)
    else:
        headers = (*admission.standing.upstream, *credential)
    way = Way(
        destination=destination,
        origin=origin,
        target=target,
        headers=headers,
        opening=encode_opening(arrival.head.method, target, host_header, headers),
        timeouts=Timeouts(
            destination.connect_timeout_ms, destination.first_byte_timeout_ms, destination.idle_timeout_ms
        ),
        page=write_page(admission, origin.host, ports.pod_id),
        lines=lasting_lines(
            ports.version,
            ports.pod_id,
            admission.policy.policy_version(admission.caller.organization_id),
            destination.provider_name,
            destination.model,
        ),
    )
    if not keeps_credential:
        admission.terms.ways[admission.moved_to] = way
    return way


def _credential(admission: Admission, secrets: Secrets) -> RawHeaders:
    """The headers that carry the account's credential, if it has one. Raises EnvelopeFailure."""
    destination = admission.destination
    if destination.credential is None:
        return ()
    return _open_credential(admission.policy, destination, admission.arrival.route.protocol, secrets)


def _open_credential(policy: PolicySnapshot, destination: Destination, protocol: str, secrets: Secrets) -> RawHeaders:
    """The headers that carry the account's credential: opened once per policy, and again when keys were replaced."""
    whose = (destination.organization_id, destination.provider_id, protocol)
    known = policy.memory.credentials.get(whose)
    if known is not None and known.material == secrets.revision:
        return known.headers
    assert destination.credential is not None, "an account without a credential has none to open"
    secret = secrets.open_credential(destination.credential, destination.organization_id, destination.provider_id)
    headers = PROVIDERS[destination.vendor].credential_headers(protocol, secret)
    return remember(policy.memory.credentials, whose, OpenCredential(headers, secrets.revision)).headers


@lru_cache(maxsize=4096)
def _aim(vendor: str, base_url: str, protocol: str, path: str, query: str, model: str) -> tuple[Origin, str]:
    """Where a request goes; kept, because a pod asks the same few questions again and again."""
    place, target = PROVIDERS[vendor].target(base_url, protocol, path, query, model)
    return Origin("https" if place.scheme == "https" else "http", place.host, place.port), target
