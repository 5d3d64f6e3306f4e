"""Settle: tokens to money, at the price of the model that really answered."""

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.exchange.stages import Admission
from data_plane.policy.routing import price_for
from switchyard_contract.pricing import PER_MILLION, Billed, Price, amount_of
from switchyard_contract.quantity import NanoUsd


class Charge(msgspec.Struct, frozen=True):
    """What an attempt costs, and by which row of the price book."""

    amount: NanoUsd
    price_id: str


def price_estimate(admission: Admission, input_fresh: int, output: int, at_ms: int) -> Charge | None:
    """Price an attempt of which only sizes are known."""
    destination = admission.destination
    price = price_for(admission.policy, destination.organization_id, destination.vendor, destination.model, at_ms)
    return _charge_plain(price, input_fresh, output) if price is not None else None


def price_tally(admission: Admission, tally: Tally, at_ms: int) -> Charge | None:
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
    tokens = tally.tokens
    # Most answers name a tier ("default"); it says something only where the price knows tiers.
    if tally.web_searches or tally.inference_geo or (tally.service_tier and price.tiers):
        billed = Billed(tally.web_searches, tally.service_tier, tally.inference_geo)
        return Charge(amount_of(tokens, price, billed), price.id)
    if tokens.is_plain:
        return _charge_plain(price, tokens.input_fresh, tokens.output)
    return Charge(amount_of(tokens, price), price.id)


def _charge_plain(price: Price, input_fresh: int, output: int) -> Charge:
    """What `amount_of` says of fresh input and visible output alone; short, as it is done twice for every request."""
    rates = price.rates
    for band in price.bands:
        if input_fresh >= band.from_prompt_tokens:
            rates = band.rates
    scaled = input_fresh * rates.input + output * rates.output
    return Charge(NanoUsd((2 * scaled + PER_MILLION) // (2 * PER_MILLION)), price.id)
