"""Forward: one try at the destination, up to the head of its answer."""

from data_plane.exchange.ports import Upstream
from data_plane.exchange.stages import Plan
from data_plane.policy.decision import Refusal
from data_plane.upstream.connections import Timeouts, UpstreamRequest, UpstreamResponse
from data_plane.upstream.failure import ForbiddenAddress, UpstreamError, UpstreamTimeout
from switchyard_contract.reason import Reason


async def forward(plan: Plan, upstream: Upstream) -> UpstreamResponse | Refusal:
    """Send the request and wait for the answer's head; an UpstreamError becomes a refusal that names the provider."""
    destination = plan.destination
    request = UpstreamRequest(
        origin=plan.origin,
        method=plan.admission.arrival.head.method,
        target=plan.target,
        headers=plan.headers,
        body=plan.body[0] if len(plan.body) == 1 else b"".join(plan.body),
        timeouts=Timeouts(
            destination.connect_timeout_ms, destination.first_byte_timeout_ms, destination.idle_timeout_ms
        ),
        allow_private=destination.allow_private,
    )
    try:
        return await upstream.send(request)
    except UpstreamError as failure:
        return refuse_for(failure, destination.provider_name)


def refuse_for(failure: UpstreamError, provider_name: str) -> Refusal:
    """Put a failed attempt into a sentence for the person who waits."""
    match failure:
        case UpstreamTimeout():
            why = f"Provider {provider_name} did not answer in time ({failure})."
        case ForbiddenAddress():
            why = f"Provider {provider_name} is at an address this gateway may not reach. Ask whoever runs Switchyard."
        case _:
            why = f"Provider {provider_name} could not be reached ({failure})."
    return Refusal(Reason.UPSTREAM_FAILED, why + " The request was not repeated.", retry_after_s=2)
