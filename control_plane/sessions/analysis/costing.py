"""What tokens that were lost from a cache cost more, by the price of the turn itself."""

from collections.abc import Mapping

from control_plane.sessions.analysis.turns import Turn
from switchyard_contract.pricing import Billed, Price, amount_of
from switchyard_contract.usage import TokenCounts

Prices = Mapping[str, Price]
"""By price version."""
WRITES = ("cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h", "cache_write_other")


def lost_money(turn: Turn, lost_tokens: int, prices: Prices) -> int:
    """What the turn cost more than with so many of its tokens read from the cache.

    They are taken from what was written first (a lost prefix is written anew where the client marks it), then from
    what was fresh. Nano-USD; 0 where no price is known.
    """
    price = prices.get(turn.price_version)
    if price is None or lost_tokens <= 0:
        return 0
    return max(0, _priced(turn, turn.tokens, price) - _priced(turn, found_again(turn.tokens, lost_tokens), price))


def found_again(tokens: TokenCounts, count: int) -> TokenCounts:
    """The same prompt with so many tokens more of it read from the cache; never more than there are."""
    changed: dict[str, int] = {}
    left = count
    for kind in (*WRITES, "input_fresh"):
        taken = min(left, getattr(tokens, kind))
        if taken:
            changed[kind] = getattr(tokens, kind) - taken
            left -= taken
    changed["cache_read"] = tokens.cache_read + count - left
    return tokens_with(tokens, changed)


def caching_would_save(turn: Turn, shared_tokens: int, prices: Prices, *, is_marked: bool) -> int:
    """What the turn would have cost less with its prefix cached, or more (negative): a first write is dearer.

    shared_tokens: what the turn before had too. is_marked: the rest would be written to a cache of 5 minutes.
    """
    price = prices.get(turn.price_version)
    if price is None:
        return 0
    shared = min(shared_tokens, turn.tokens.input_fresh)
    rest = turn.tokens.input_fresh - shared
    changed = {"input_fresh": 0 if is_marked else rest, "cache_read": turn.tokens.cache_read + shared}
    if is_marked:
        changed["cache_write_5m"] = turn.tokens.cache_write_5m + rest
    return _priced(turn, turn.tokens, price) - _priced(turn, tokens_with(turn.tokens, changed), price)


def tokens_with(tokens: TokenCounts, changed: Mapping[str, int]) -> TokenCounts:
    return TokenCounts(**{**tokens._asdict(), **changed})


def _priced(turn: Turn, tokens: TokenCounts, price: Price) -> int:
    """Only differences of this are used: fees by the piece are the same on both sides."""
    return amount_of(tokens, price, Billed(0, turn.service_tier, turn.inference_geo))
