"""Our own words to a caller: a refusal in its protocol, and the headers that say what happened."""

from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, ClientStream, Headers, Ports
from data_plane.exchange.stages import Arrival
from data_plane.policy.decision import Refusal
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.client import identify
from data_plane.protocols.codec import Client


async def refuse(
    refusal: Refusal, arrival: Arrival, client: Client | None, out: ClientStream, entry: Entry, ports: Ports
) -> None:
    """Close the entry and tell the caller no, in the shape its tool understands."""
    spoken_to = client if client is not None else identify(arrival.head, None, "")
    answer = CODECS[arrival.route.protocol].write_refusal(refusal, spoken_to, arrival.exchange_id)
    entry.client_status = answer.status
    entry.bytes_out = len(answer.body)
    entry.refuse(refusal)
    try:
        headers = answer.headers + our_headers(arrival, entry, ports, error_source="gateway")
        await out.whole(answer.status, headers, answer.body)
    except ClientGone:
        return


def our_headers(arrival: Arrival, entry: Entry, ports: Ports, *, error_source: str | None) -> Headers:
    """What every answer says of itself (interface: x-switchyard-*)."""
    event = entry.event
    exchange_id = arrival.exchange_id.encode()
    headers = [
        (b"x-switchyard-request-id", exchange_id),
        (b"x-switchyard-decision", exchange_id),
        (b"x-switchyard-version", ports.version.encode()),
        (b"x-switchyard-pod", ports.pod_id.encode()),
        (b"x-switchyard-attempts", b"%d" % entry.attempt),
        (b"traceparent", arrival.traceparent.encode()),
    ]
    if event.organization_id:
        headers.append((b"x-switchyard-policy-version", b"%d.%d" % (event.policy_epoch, event.policy_version)))
    if event.provider_name:
        headers.append((b"x-switchyard-provider", event.provider_name.encode()))
        headers.append((b"x-switchyard-model", event.model.encode()))
    if error_source is not None:
        headers.append((b"x-switchyard-error-source", error_source.encode()))
    return tuple(headers)
