"""What a request may come to, before anybody knows: the worst case, the calibrated one and the expected one.

Source: reliability.md (c), "Estimates". The worst case takes every byte for a token and every token at the dearest
rate that may apply, so that an answer never costs more; the calibrated one is above all but one answer in a thousand;
the expected one is what a session's last turn makes likely. Amounts are rounded up.
"""

from collections.abc import Callable
from typing import cast

import msgspec

from data_plane.policy.claims import Amounts
from data_plane.policy.request_size import LastTurn, RequestSize
from data_plane.policy.rules import ModelFacts
from switchyard_contract.pricing import PER_MILLION, Price, Rates
from switchyard_contract.quantity import NanoUsd

ALLOWANCE_TOKENS = 2_048
"""For what a provider puts around a prompt."""
TOKENS_OF_A_PICTURE = 4_096
"""What providers count for the largest picture they do not scale down."""
UNKNOWN_CONTEXT_TOKENS = 2_000_000
"""The largest context on the market."""
UNKNOWN_OUTPUT_TOKENS = 128_000
"""The longest answer on the market."""
FLOOR_PER_MILLE = 20
"""Of the worst case is expected at least."""
LIKELY_OUTPUT_TOKENS = 1_000
"""Of an answer that nothing is known of; nine in ten are shorter (workload.md)."""
BYTES_PER_TOKEN_TENTHS = 35
"""Prompts of coding tools, JSON included, run to about 3.5 bytes per token."""
LEAST_OUTPUT_TOKENS = 1_024
"""An answer is not made to fit by cutting it shorter than this."""
_PER_MILLES = 1_000_000
"""Two multipliers per mille that multiply by one."""

_amounts = cast("Callable[[int, int, int, int, int], Amounts]", Amounts)
"""Where naming three numbers an amount of money would cost as much as working them out."""
NOTHING = Amounts(NanoUsd(0), NanoUsd(0), NanoUsd(0), 0, 0)


class Ceiling(msgspec.Struct, frozen=True):
    """The dearest rates of a price from some prompt on, with both multipliers; times the tariff's scale per token."""

    from_prompt_tokens: int
    input: int
    output: int


Flat = tuple[int, int, int, int, int, int, int, int]
"""Where nothing hangs on the size of a prompt: both sizes, the scale, rates of the ceiling (input, output), and likely
ones (fresh, read from a cache, output; nano-USD per million tokens)."""


class Tariff(msgspec.Struct, frozen=True):
    """A price and what bounds it, prepared once for one model."""

    price: Price
    facts: ModelFacts
    scale: int
    """What nano-USD are multiplied by, so that nothing is rounded before the end; as small as it may be."""
    ceilings: tuple[Ceiling, ...]
    """Ascending; each counts the bands below it as well, since a prompt may turn out smaller."""
    tier_ceilings: tuple[tuple[str, tuple[Ceiling, ...]], ...]
    """Where a request asks for a tier by name."""
    context_tokens: int
    max_output_tokens: int
    flat: Flat | None


class Quote(msgspec.Struct, frozen=True, gc=False):
    """What one request may come to at one model."""

    amounts: Amounts
    fixed: int
    """The worst case of everything but the output, times `scale`."""
    output_rate: int
    """Of the worst case per token, times `scale`."""
    output_tokens: int
    """The bound: all answers together."""
    per_mille: int
    """Calibrated of worst."""
    scale: int = 1


FREE = Quote(NOTHING, 0, 0, 0, 1000)
"""What costs nothing, and reads and writes nothing worth counting."""


def tariff_of(price: Price, facts: ModelFacts, *, context_tokens: int = 0, max_output_tokens: int = 0) -> Tariff:
    """Prepare a price. The catalogue's sizes hold where nothing better is known; the larger ones win, being bounds."""
    context_bound = max(facts.context_tokens, context_tokens) or UNKNOWN_CONTEXT_TOKENS
    output_bound = max(facts.max_output_tokens, max_output_tokens) or UNKNOWN_OUTPUT_TOKENS
    # Most prices are multiplied by whole numbers, and small numbers are quicker.
    names = ("", *(tier.name for tier in price.tiers))
    unit = 1 if any(_multiplier(price, name) % _PER_MILLES for name in names) else _PER_MILLES
    scale = PER_MILLION * _PER_MILLES // unit
    ceilings = _ceilings(price, "", unit)
    flat = (context_bound, output_bound, scale, ceilings[0].input, ceilings[0].output, *_likely_rates(price.rates))
    return Tariff(
        price=price,
        facts=facts,
        scale=scale,
        ceilings=ceilings,
        tier_ceilings=tuple((tier.name, _ceilings(price, tier.name, unit)) for tier in price.tiers),
        context_tokens=context_bound,
        max_output_tokens=output_bound,
        flat=None if price.bands else flat,
    )


def quote(tariff: Tariff | None, size: RequestSize, last: LastTurn | None = None) -> Quote:
    """Say what a request may come to. last: the session's turn before at this model, where it is known.

    tariff: None where nobody is charged; tokens are counted all the same.
    """
    if tariff is not None and tariff.flat is not None and size.is_plain:
        return _quote_plainly(tariff.facts, tariff.flat, size, last)
    if not size.is_billable:
        return FREE
    if tariff is None:
        output_bound = (size.max_output_tokens or UNKNOWN_OUTPUT_TOKENS) * max(size.answers, 1)
        prompt, output = _likely(size, last, UNKNOWN_CONTEXT_TOKENS, output_bound if size.answers_with_text else 0)
        return Quote(Amounts(NanoUsd(0), NanoUsd(0), NanoUsd(0), prompt, output), 0, 0, output_bound, 1000)
    facts, price, body_bytes, answers = tariff.facts, tariff.price, size.body_bytes, size.answers
    scale = tariff.scale
    input_bound = tariff.context_tokens
    if not size.is_unbounded:
        tokens = body_bytes + ALLOWANCE_TOKENS
        if size.images:
            tokens += size.images * TOKENS_OF_A_PICTURE
        if tokens < input_bound:
            input_bound = tokens
    output_bound = 0
    if size.answers_with_text:
        output_bound, asked = tariff.max_output_tokens, size.max_output_tokens
        if 0 < asked < output_bound:
            output_bound = asked
        if answers > 1:
            output_bound *= answers
    ceiling = tariff.ceilings[0]
    if size.service_tier or len(tariff.ceilings) > 1:
        ceiling = _ceiling_for(tariff, size.service_tier, input_bound)
    output_rate = ceiling.output
    fees = size.max_web_searches * price.per_web_search * scale if size.max_web_searches else 0
    fixed = input_bound * ceiling.input + fees
    worst = calibrated = -(-(fixed + output_bound * output_rate) // scale)
    if facts.bytes_per_token_milli > 1000 and not size.is_unbounded:
        measured = _measured_input(size, facts.bytes_per_token_milli)
        if measured < input_bound:
            calibrated = -(-(measured * ceiling.input + fees + output_bound * output_rate) // scale)
    if facts.calibrated_per_mille:
        calibrated = min(calibrated, -(-worst * facts.calibrated_per_mille // 1000))
    prompt, output = _likely(size, last, input_bound, output_bound)
    if last is not None:
        warm = last.warm_tokens
        expected = likely_cost(price, prompt, warm if warm < prompt else prompt, output)
    elif facts.expected_per_mille:
        expected = worst * facts.expected_per_mille // 1000
    else:
        expected = likely_cost(price, prompt, 0, output)
    floor = -(-worst * FLOOR_PER_MILLE // 1000)
    if expected < floor:
        expected = floor
    if expected > calibrated:
        expected = calibrated
    per_mille = 1000 if calibrated == worst else -(-calibrated * 1000 // worst)
    amounts = _amounts(expected, calibrated, worst, prompt, output)
    return Quote(amounts, fixed, output_rate, output_bound, per_mille, scale)


def _quote_plainly(facts: ModelFacts, flat: Flat, size: RequestSize, last: LastTurn | None) -> Quote:
    """The same for most requests, and for every one that a budget counts: written out, because calls and checks cost
    more than what they lead to."""
    context_tokens, output_bound, scale, input_rate, output_rate, fresh, read, answer_rate = flat
    body_bytes, asked = size.body_bytes, size.max_output_tokens
    input_bound = body_bytes + ALLOWANCE_TOKENS
    if input_bound > context_tokens:
        input_bound = context_tokens
    if 0 < asked < output_bound:
        output_bound = asked
    fixed = input_bound * input_rate
    worst = calibrated = -(-(fixed + output_bound * output_rate) // scale)
    if facts.bytes_per_token_milli > 1000:
        measured = _measured_input(size, facts.bytes_per_token_milli)
        if measured < input_bound:
            calibrated = -(-(measured * input_rate + output_bound * output_rate) // scale)
    if facts.calibrated_per_mille:
        calibrated = min(calibrated, -(-worst * facts.calibrated_per_mille // 1000))
    output, warm, prompt = LIKELY_OUTPUT_TOKENS, 0, 0
    if last is not None:
        output, warm = last.output_tokens * 3 // 2, last.warm_tokens
        if output < LIKELY_OUTPUT_TOKENS // 2:
            output = LIKELY_OUTPUT_TOKENS // 2
        if last.prompt_tokens > 0 and last.body_bytes > 0:
            prompt = body_bytes * last.prompt_tokens // last.body_bytes or 1
    if not prompt:
        prompt = -(-body_bytes * 10 // BYTES_PER_TOKEN_TENTHS)
    if prompt < 1:
        prompt = 1
    if prompt > input_bound:
        prompt = input_bound
    if output > output_bound:
        output = output_bound
    if last is None and facts.expected_per_mille:
        expected = worst * facts.expected_per_mille // 1000
    else:
        if warm > prompt:
            warm = prompt
        expected = -(-(warm * read + (prompt - warm) * fresh + output * answer_rate) // PER_MILLION)
    floor = -(-worst * FLOOR_PER_MILLE // 1000)
    if expected < floor:
        expected = floor
    if expected > calibrated:
        expected = calibrated
    per_mille = 1000 if calibrated == worst else -(-calibrated * 1000 // worst)
    amounts = _amounts(expected, calibrated, worst, prompt, output)
    return Quote(amounts, fixed, output_rate, output_bound, per_mille, scale)


def likely_cost(price: Price, prompt_tokens: int, warm_tokens: int, output_tokens: int) -> int:
    """What a turn costs of whose prompt so much is read from the provider's cache. Nano-USD.

    What is not read from it is taken to be written to it, where that costs more: coding tools have their prompts kept.
    """
    rates = price.rates
    for band in price.bands:
        if prompt_tokens >= band.from_prompt_tokens:
            rates = band.rates
    fresh, read, output = _likely_rates(rates)
    return -(-(warm_tokens * read + (prompt_tokens - warm_tokens) * fresh + output_tokens * output) // PER_MILLION)


def _likely_rates(rates: Rates) -> tuple[int, int, int]:
    """What is not read from the cache, what is, and output."""
    fresh = rates.input
    read = fresh if rates.cache_read is None else rates.cache_read
    if rates.cache_write_5m is not None and rates.cache_write_5m > fresh:
        fresh = rates.cache_write_5m
    return fresh, read, rates.output


def likely_prompt(size: RequestSize, last: LastTurn | None) -> int:
    """Tokens that a request's prompt probably has: what the turn before had, and what was added since."""
    if last is None or last.prompt_tokens <= 0 or last.body_bytes <= 0:
        return max(-(-size.body_bytes * 10 // BYTES_PER_TOKEN_TENTHS), 1)
    # The session's own ratio: it knows how much of the body is text, pictures, or JSON around them.
    return max(size.body_bytes * last.prompt_tokens // last.body_bytes, 1)


def output_that_fits(asked: Quote, left: NanoUsd, *, is_strict: bool) -> int:
    """The greatest limit of output with which a request costs no more than what is left, by the budget's own bound.

    Of all answers together; 0: not even LEAST_OUTPUT_TOKENS would fit, or it all fits anyway.
    """
    bound = asked.amounts.worst if is_strict else asked.amounts.calibrated
    if bound <= left or left <= 0 or not asked.output_rate:
        return 0
    # The calibrated bound shrinks as the worst case does.
    worst_left = left if is_strict else left * 1000 // max(asked.per_mille, 1)
    tokens = (worst_left * asked.scale - asked.fixed) // asked.output_rate
    return min(tokens, asked.output_tokens) if tokens >= LEAST_OUTPUT_TOKENS else 0


def with_output(asked: Quote, output_tokens: int) -> Quote:
    """The same request with another limit of output: cut to fit, or as far as a stream has grown."""
    worst = -(-(asked.fixed + output_tokens * asked.output_rate) // asked.scale)
    calibrated = min(-(-worst * asked.per_mille // 1000), worst)
    amounts = asked.amounts
    return Quote(
        amounts=Amounts(
            NanoUsd(min(amounts.expected, calibrated)),
            NanoUsd(calibrated),
            NanoUsd(worst),
            amounts.input_tokens,
            min(amounts.output_tokens, output_tokens),
        ),
        fixed=asked.fixed,
        output_rate=asked.output_rate,
        output_tokens=output_tokens,
        per_mille=asked.per_mille,
        scale=asked.scale,
    )


def _measured_input(size: RequestSize, bytes_per_token_milli: int) -> int:
    tokens = -(-size.body_bytes * 1000 // bytes_per_token_milli)
    return tokens + ALLOWANCE_TOKENS + size.images * TOKENS_OF_A_PICTURE


def _ceiling_for(tariff: Tariff, tier: str, input_bound: int) -> Ceiling:
    ceilings = tariff.ceilings
    if tier:
        for name, dearer in tariff.tier_ceilings:
            # "auto" may end in any of them.
            if tier in (name, "auto"):
                ceilings = _dearer(ceilings, dearer)
    return next(each for each in reversed(ceilings) if input_bound >= each.from_prompt_tokens)


def _likely(size: RequestSize, last: LastTurn | None, input_bound: int, output_bound: int) -> tuple[int, int]:
    output = LIKELY_OUTPUT_TOKENS
    if last is not None:
        # Answers of a session differ widely; half as much again as the last one, and no less than what is common.
        output = last.output_tokens * 3 // 2
        if output < LIKELY_OUTPUT_TOKENS // 2:
            output = LIKELY_OUTPUT_TOKENS // 2
    if size.answers > 1:
        output *= size.answers
    prompt = likely_prompt(size, last)
    return prompt if prompt < input_bound else input_bound, output if output < output_bound else output_bound


def _multiplier(price: Price, tier: str) -> int:
    """The dearest one, per mille twice, under the standard tier and the one that is named."""
    dearest = max([1000, *(each.per_mille for each in price.tiers if each.name == tier)])
    return dearest * max(price.us_geo_per_mille, 1000)


def _ceilings(price: Price, tier: str, unit: int) -> tuple[Ceiling, ...]:
    """The dearest rates by size of the prompt, under the standard tier and the one that is named."""
    own = [each.rates for each in price.tiers if each.name == tier and each.rates is not None]
    multiplier = _multiplier(price, tier) // unit
    reached = [price.rates, *own]
    ceilings = [_ceiling(0, reached, multiplier)]
    for band in price.bands:
        reached.append(band.rates)
        ceilings.append(_ceiling(band.from_prompt_tokens, reached, multiplier))
    return tuple(ceilings)


def _ceiling(from_prompt_tokens: int, reached: list[Rates], multiplier: int) -> Ceiling:
    return Ceiling(
        from_prompt_tokens,
        max(_dearest_input(rates) for rates in reached) * multiplier,
        max(
            max(rates.output, rates.reasoning or 0, rates.output_audio or 0, rates.output_image or 0)
            for rates in reached
        )
        * multiplier,
    )


def _dearest_input(rates: Rates) -> int:
    kinds = (
        rates.cache_read,
        rates.cache_write_5m,
        rates.cache_write_1h,
        rates.cache_write_30m,
        rates.cache_write_12h,
        rates.input_tool,
        rates.input_audio,
        rates.cache_read_audio,
        rates.input_image,
    )
    return max(rates.input, *(kind or 0 for kind in kinds))


def _dearer(one: tuple[Ceiling, ...], other: tuple[Ceiling, ...]) -> tuple[Ceiling, ...]:
    """Both have the same bands."""
    return tuple(
        Ceiling(a.from_prompt_tokens, max(a.input, b.input), max(a.output, b.output))
        for a, b in zip(one, other, strict=True)
    )
