"""Our own words to a caller: a refusal in its protocol, and the headers that say what happened."""

from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from itertools import pairwise
from urllib.parse import quote, urlencode

from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, ClientStream, Ports
from data_plane.exchange.stages import Admission, Arrival, Transcript
from data_plane.exchange.telling import SAFE
from data_plane.policy.decision import Refusal
from data_plane.policy.snapshot import OrganizationPolicy
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.client import identify
from data_plane.protocols.codec import Client, WireAnswer
from data_plane.protocols.refusals import SPENT


async def refuse(
    refusal: Refusal, arrival: Arrival, client: Client | None, out: ClientStream, entry: Entry, ports: Ports
) -> None:
    """Close the entry and tell the caller no, in the shape its tool understands."""
    refusal = _as_organized(refusal, entry.organization_policy, arrival.exchange_id)
    answer = _word(refusal, arrival, client, entry)
    entry.refuse(refusal)
    await _send(answer, arrival, out, entry, ports)


async def refuse_charged(
    refusal: Refusal, admission: Admission, transcript: Transcript, out: ClientStream, entry: Entry, ports: Ports
) -> None:
    """Tell the caller no in place of an answer that was cut, and charge what the provider had produced of it."""
    arrival = admission.arrival
    refusal = _as_organized(refusal, entry.organization_policy, arrival.exchange_id)
    answer = _word(refusal, arrival, admission.client, entry)
    entry.note_refusal(refusal)
    entry.settle(admission, transcript)
    await _send(answer, arrival, out, entry, ports)


def _word(refusal: Refusal, arrival: Arrival, client: Client | None, entry: Entry) -> WireAnswer:
    spoken_to = client if client is not None else identify(arrival.head, None, "")
    answer = CODECS[arrival.route.protocol].write_refusal(refusal, spoken_to, arrival.exchange_id)
    entry.client_status = answer.status
    entry.bytes_out = len(answer.body)
    return answer


def _as_organized(refusal: Refusal, own: OrganizationPolicy | None, decision_id: str) -> Refusal:
    """Put in what the organization says of its refusals: where more is asked for, and 429s where it counts these."""
    if own is None or refusal.reason not in SPENT:
        return refusal
    numbers = refusal.numbers
    if numbers is not None and numbers.kind == "budget" and numbers.rule_id and own.console_url:
        asked_for = urlencode({"counter": numbers.counter, "decision": decision_id})
        url = f"{own.console_url}/budgets/{_with_dashes(numbers.rule_id)}/request?{asked_for}"
        refusal = replace(refusal, numbers=replace(numbers, more_url=url))
    return replace(refusal, http_status=HTTPStatus.TOO_MANY_REQUESTS) if own.rules.always_429 else refusal


def _with_dashes(identifier: str) -> str:
    """An id as addresses of the console hold it."""
    cuts = (0, 8, 12, 16, 20, len(identifier))
    return "-".join(identifier[start:end] for start, end in pairwise(cuts))


async def _send(answer: WireAnswer, arrival: Arrival, out: ClientStream, entry: Entry, ports: Ports) -> None:
    try:
        lasting = lasting_lines(ports.version, ports.pod_id, entry.policy_version, entry.provider_name, entry.model)
        lines = our_lines(arrival, entry, lasting, error_source="gateway")
        await out.whole(answer.status, answer.headers, answer.body, lines)
    except ClientGone:
        return


def our_lines(arrival: Arrival, entry: Entry, lasting: str, *, error_source: str = "") -> bytes:
    """What every answer says of itself (interface: x-switchyard-*), as lines of its head.

    lasting: what `lasting_lines` says of it; error_source: a word of ours, for an error.
    """
    exchange_id = arrival.exchange_id
    source = f"x-switchyard-error-source: {error_source}\r\n" if error_source else ""
    return (
        f"x-switchyard-request-id: {exchange_id}\r\nx-switchyard-decision: {exchange_id}\r\n"
        f"traceparent: {arrival.traceparent}\r\nx-switchyard-attempts: {entry.attempt}\r\n"
        f"{lasting}{source}{entry.lines}"
    ).encode()


@lru_cache(maxsize=1024)
def lasting_lines(version: str, pod_id: str, policy_version: tuple[int, int], provider: str, model: str) -> str:
    """What is the same for one answer after the other. Raises ValueError when a value would break out of its line."""
    headers = [("x-switchyard-version", version), ("x-switchyard-pod", pod_id)]
    if any(policy_version):
        headers.append(("x-switchyard-policy-version", "{}.{}".format(*policy_version)))
    if provider:
        # A model's name is the caller's own text where a provider serves anything: no sign of it may end the line.
        headers += [("x-switchyard-provider", quote(provider, SAFE)), ("x-switchyard-model", quote(model, SAFE))]
    if not all(value.isprintable() for _, value in headers):
        raise ValueError("a header of ours holds a line break or a control character")
    return "".join([f"{name}: {value}\r\n" for name, value in headers])
