"""Settle: tokens to money, at the price of the model that really answered."""

from data_plane.conversation.tally import Tally
from data_plane.exchange.stages import Admission
from data_plane.policy.routing import price_for
from switchyard_contract.pricing import Billed, Cost, cost_of


def price_tally(admission: Admission, tally: Tally, at_ms: int) -> Cost | None:
    """Price what was used; None where no price is known for the model, neither as answered nor as asked."""
    destination, policy = admission.destination, admission.policy
    organization_id = admission.caller.organization_id
    price = None
    if tally.model and tally.model != destination.model:
        price = price_for(policy, organization_id, destination.vendor, tally.model, at_ms)
    if price is None:
        price = price_for(policy, organization_id, destination.vendor, destination.model, at_ms)
    if price is None:
        return None
    return cost_of(tally.tokens, price, Billed(tally.web_searches, tally.service_tier, tally.inference_geo))
