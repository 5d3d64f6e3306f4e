"""Settle: tokens to money, at the price of the model that really answered."""

import msgspec

from data_plane.conversation.tally import PartTally, Tally
from data_plane.exchange.stages import Admission
from data_plane.policy.routing import list_price_span, price_span
from switchyard_contract.price_choice import Chosen
from switchyard_contract.pricing import PER_MILLION, Billed, Price, amount_and_saved
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import KINDS, TokenCounts


class ChargedPart(msgspec.Struct, frozen=True):
    """What a pass of another model costs, and by which row of the price book."""

    told: PartTally
    model: str
    amount: NanoUsd
    price_id: str


class Charge(msgspec.Struct, frozen=True):
    """What an attempt costs, and by which row of the price book."""

    amount: NanoUsd
    """With all parts."""
    price_id: str
    saved_by_cache: int = 0
    """What the same would have cost more without a cache."""
    note: str = ""
    """dearest: the model has no price, so that of another one was taken."""
    parts: tuple[ChargedPart, ...] = ()


def price_estimate(admission: Admission, input_fresh: int, output: int, at_ms: int) -> Charge | None:
    """Price an attempt of which only sizes are known."""
    chosen = _chosen(admission, admission.destination.model, at_ms)
    return _charge_plain(chosen.price, input_fresh, output, chosen.note) if chosen.price is not None else None


def price_tally(admission: Admission, tally: Tally, at_ms: int) -> Charge | None:
    """Price what was used; None where no price is known for the model, neither as answered nor as asked."""
    chosen = _chosen_for(admission, tally.model, at_ms)
    price = chosen.price
    if price is None:
        return None
    tokens = tally.tokens
    if tally.parts:
        return _charge_with_parts(admission, tally, chosen, at_ms)
    # Most answers name a tier ("default"); it says something only where the price knows tiers.
    if tally.web_searches or tally.inference_geo or tally.units or (tally.service_tier and price.tiers):
        return _charge(tokens, price, _billed(tally), chosen.note)
    if tokens.is_plain:
        return _charge_plain(price, tokens.input_fresh, tokens.output, chosen.note)
    return _charge(tokens, price, _NOTHING_MORE, chosen.note)


_NOTHING_MORE = Billed()


def _billed(tally: Tally) -> Billed:
    return Billed(tally.web_searches, tally.service_tier, tally.inference_geo, tally.units)


def _chosen(admission: Admission, model: str, at_ms: int) -> Chosen:
    """The price of a model; where the caller's own account pays, what the list asks for it."""
    destination = admission.destination
    find = list_price_span if destination.passthrough_caller else price_span
    return find(admission.policy, destination.organization_id, destination.vendor, model, at_ms)


def _chosen_for(admission: Admission, answered: str, at_ms: int) -> Chosen:
    """The price of the model that answered, else of the one asked for, else the dearest one that is known."""
    asked = admission.destination.model
    if answered and answered != asked:
        chosen = _chosen(admission, answered, at_ms)
        if chosen.price is not None and not chosen.note:
            return chosen
    return _chosen(admission, asked, at_ms)


def _charge(tokens: TokenCounts, price: Price, billed: Billed, note: str) -> Charge:
    amount, saved = amount_and_saved(tokens, price, billed)
    return Charge(amount, price.id, saved, note)


def _charge_plain(price: Price, input_fresh: int, output: int, note: str) -> Charge:
    """What `amount_of` says of fresh input and visible output alone; short, as it is done twice for every request."""
    rates = price.rates
    for band in price.bands:
        if input_fresh >= band.from_prompt_tokens:
            rates = band.rates
    scaled = input_fresh * rates.input + output * rates.output
    return Charge(NanoUsd((2 * scaled + PER_MILLION) // (2 * PER_MILLION)), price.id, 0, note)


def _charge_with_parts(admission: Admission, tally: Tally, chosen: Chosen, at_ms: int) -> Charge:
    """Each part at its own model's price, in the band that its own prompt is in; the rest as any answer."""
    assert chosen.price is not None, "asked for only where there is one"
    main = _charge(without_parts(tally), chosen.price, _billed(tally), chosen.note)
    amount, saved, note = int(main.amount), main.saved_by_cache, main.note
    parts = []
    for part in tally.parts:
        model = part.model or admission.destination.model
        found = _chosen(admission, model, at_ms)
        if found.price is None:
            # Nothing is known of it: as dear as the model that it helped.
            found = chosen
        assert found.price is not None
        billed = Billed(0, tally.service_tier, tally.inference_geo, part.units)
        charge = _charge(part.tokens, found.price, billed, found.note)
        amount, saved, note = amount + charge.amount, saved + charge.saved_by_cache, note or found.note
        parts.append(ChargedPart(part, model, charge.amount, charge.price_id))
    return Charge(NanoUsd(amount), main.price_id, saved, note, tuple(parts))


def without_parts(tally: Tally) -> TokenCounts:
    """What the answering model itself used."""
    left = list(tally.tokens)
    for part in tally.parts:
        left = [max(sum_ - own, 0) for sum_, own in zip(left, part.tokens, strict=True)]
    return TokenCounts(**dict(zip(KINDS, left, strict=True)))
