"""Forward: one try at the destination, up to the head of its answer."""

import asyncio
from dataclasses import replace

from data_plane.exchange.ports import Upstream
from data_plane.exchange.running import Live
from data_plane.exchange.stages import Plan
from data_plane.policy.decision import Refusal
from data_plane.upstream.connections import UpstreamRequest, UpstreamResponse
from data_plane.upstream.failure import ForbiddenAddress, UpstreamError, UpstreamTimeout
from switchyard_contract.reason import Reason


async def forward(plan: Plan, upstream: Upstream, live: Live) -> UpstreamResponse | Refusal:
    """Send the request and wait for the answer's head.

    An UpstreamError becomes a refusal that names the provider, a cut the refusal it was made with.
    """
    destination = plan.destination
    request = UpstreamRequest(
        origin=plan.way.origin,
        method=plan.admission.arrival.head.method,
        target=plan.way.target,
        headers=plan.headers,
        body=plan.body[0] if len(plan.body) == 1 else plan.body,
        timeouts=plan.way.timeouts,
        allow_private=destination.allow_private,
        opening=plan.opening,
    )
    try:
        return await upstream.send(request)
    except UpstreamError as failure:
        return refuse_for(failure, destination.provider_name)
    except asyncio.CancelledError:
        cut = live.take_cut()
        if cut is None:
            raise
        # The request is on its way or there; what the provider makes of it, nobody will tell.
        return replace(cut, may_have_run=True)


def refuse_for(failure: UpstreamError, provider_name: str) -> Refusal:
    """Put a failed attempt into a sentence for the person who waits."""
    match failure:
        case UpstreamTimeout():
            why = f"Provider {provider_name} did not answer in time ({failure})."
        case ForbiddenAddress():
            why = f"Provider {provider_name} is at an address this gateway may not reach. Ask whoever runs Switchyard."
        case _:
            why = f"Provider {provider_name} could not be reached ({failure})."
    worked_on_it = isinstance(failure, UpstreamTimeout) and failure.phase == "first_byte"
    why += " No other provider was asked."
    return Refusal(Reason.UPSTREAM_FAILED, why, retry_after_s=2, may_have_run=worked_on_it)
