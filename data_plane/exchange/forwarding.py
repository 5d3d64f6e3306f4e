"""Forward: one try at the destination, up to the head of its answer."""

import asyncio
from functools import lru_cache

from data_plane.exchange.ports import Upstream
from data_plane.exchange.running import Live
from data_plane.exchange.stages import Plan
from data_plane.policy.decision import Refusal
from data_plane.upstream.connections import Timeouts, UpstreamRequest, UpstreamResponse
from data_plane.upstream.failure import ForbiddenAddress, UpstreamError, UpstreamTimeout
from switchyard_contract.reason import Reason


async def forward(plan: Plan, upstream: Upstream, live: Live) -> UpstreamResponse | Refusal:
    """Send the request and wait for the answer's head.

    An UpstreamError becomes a refusal that names the provider, a cut the refusal it was made with.
    """
    destination = plan.destination
    request = UpstreamRequest(
        origin=plan.origin,
        method=plan.admission.arrival.head.method,
        target=plan.target,
        headers=plan.headers,
        body=plan.body[0] if len(plan.body) == 1 else plan.body,
        timeouts=_timeouts(
            destination.connect_timeout_ms, destination.first_byte_timeout_ms, destination.idle_timeout_ms
        ),
        allow_private=destination.allow_private,
    )
    try:
        return await upstream.send(request)
    except UpstreamError as failure:
        return refuse_for(failure, destination.provider_name)
    except asyncio.CancelledError:
        cut = live.take_cut()
        if cut is None:
            raise
        return cut


@lru_cache(maxsize=1024)
def _timeouts(connect_ms: int, first_byte_ms: int, idle_ms: int) -> Timeouts:
    return Timeouts(connect_ms, first_byte_ms, idle_ms)


def refuse_for(failure: UpstreamError, provider_name: str) -> Refusal:
    """Put a failed attempt into a sentence for the person who waits."""
    match failure:
        case UpstreamTimeout():
            why = f"Provider {provider_name} did not answer in time ({failure})."
        case ForbiddenAddress():
            why = f"Provider {provider_name} is at an address this gateway may not reach. Ask whoever runs Switchyard."
        case _:
            why = f"Provider {provider_name} could not be reached ({failure})."
    return Refusal(Reason.UPSTREAM_FAILED, why + " No other provider was asked.", retry_after_s=2)
