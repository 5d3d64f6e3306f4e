"""Passes inside of one answer: summaries of a context, advisors, models that stepped in. Each has a model of its own.

The vendor tells them in `usage.iterations`. Summaries (*compaction*) are never in the top-level sums. Whether the
others are is told nowhere, so it is decided by arithmetic: those are inside with which the sums come out.
"""

from itertools import chain

import msgspec

from data_plane.conversation.tally import PartTally, told
from switchyard_contract.usage import TokenCounts

_OWN = "message"
_ADVICE = "advisor_message"
_FALLBACK = "fallback_message"
_SUMMARY = "compaction"
# Which kinds the sums may be made of, the likeliest first.
_MADE_OF = (
    frozenset({_OWN, _FALLBACK}),
    frozenset({_OWN, _FALLBACK, _ADVICE}),
    frozenset({_FALLBACK}),
    frozenset({_FALLBACK, _ADVICE}),
)


class CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class Iteration(msgspec.Struct):
    type: str = ""
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """In the order of the top-level sums: input, written, read, output."""
        return (
            told(self.input_tokens),
            told(self.cache_creation_input_tokens),
            told(self.cache_read_input_tokens),
            told(self.output_tokens),
        )

    @property
    def tokens(self) -> TokenCounts:
        fresh, written, read, output = self.numbers
        write_5m, write_1h = split_writes(written, self.cache_creation)
        return TokenCounts(
            input_fresh=fresh, cache_read=read, cache_write_5m=write_5m, cache_write_1h=write_1h, output=output
        )


def split_writes(written: int, split: CacheCreation | None) -> tuple[int, int]:
    """Cache writes by lifetime, of 5 minutes and of an hour. A split of zeros beside a sum says nothing."""
    if split is None:
        return written, 0
    write_5m, write_1h = told(split.ephemeral_5m_input_tokens), told(split.ephemeral_1h_input_tokens)
    return (write_5m if write_5m or write_1h else written), write_1h


class Passes(msgspec.Struct, frozen=True):
    """What iterations come to beside an answer's top-level sums."""

    parts: tuple[PartTally, ...]
    """Those of another model or of a price band of their own."""
    outside: TokenCounts
    """Tokens of parts that the top-level sums leave out."""
    is_inconsistent: bool
    """The sums are made of no combination of the passes."""


def read_passes(
    iterations: list[Iteration], sums: tuple[int, int, int, int], top: TokenCounts, model: str
) -> Passes | None:
    """Tell passes apart that are billed by themselves. None: there are none, all is the answer's own.

    sums: the top-level ones, in the order of `Iteration.numbers`; top: the counters made of them; model: as the answer
    names it.
    """
    kinds = {each.type for each in iterations}
    if kinds <= {_OWN} and all(each.model in (None, model) for each in iterations):
        return None
    inside, is_inconsistent = _inside(iterations, sums)
    parts: list[PartTally] = []
    outside: list[TokenCounts] = []
    left = top
    for each in iterations:
        is_inside = each.type in inside
        if not any(each.numbers) or (is_inside and _is_own(each, model, kinds)):
            continue
        tokens = each.tokens
        if is_inside:
            tokens, left = _taken(tokens, left)
        else:
            outside.append(tokens)
        parts.append(PartTally(_model_of(each, model, kinds), tokens))
    return Passes(tuple(parts), _sum(outside), is_inconsistent)


def _is_own(each: Iteration, model: str, kinds: set[str]) -> bool:
    """Whether a pass is the answering model's, so that it is billed with the rest."""
    if each.type == _FALLBACK:
        return each.model in (None, model)
    # Beside a model that stepped in, passes without a name are those of the model that was asked for.
    return each.type == _OWN and (each.model or (model if _FALLBACK not in kinds else "")) == model


def _model_of(each: Iteration, model: str, kinds: set[str]) -> str:
    if each.model:
        return each.model
    return "" if each.type == _OWN and _FALLBACK in kinds else model


def _inside(iterations: list[Iteration], sums: tuple[int, int, int, int]) -> tuple[frozenset[str], bool]:
    """Which kinds of passes the top-level sums hold, and whether they hold none of the combinations."""
    for kinds in _MADE_OF:
        held = [each.numbers for each in iterations if each.type in kinds]
        if held and tuple(map(sum, zip(*held, strict=True))) == sums:
            return kinds, False
    # Without the answer's own passes there is nothing to compare; that is so where only a summary is told.
    is_told = any(each.type in (_OWN, _FALLBACK) for each in iterations)
    return _MADE_OF[0], is_told and any(each.type in (_ADVICE, _FALLBACK) for each in iterations)


def _taken(tokens: TokenCounts, left: TokenCounts) -> tuple[TokenCounts, TokenCounts]:
    """What a pass has of the sums: no more than they hold. Its thinking is not told apart, so what it wrote beyond the
    visible output was thought."""
    output = min(tokens.output, left.output)
    taken = TokenCounts(
        input_fresh=min(tokens.input_fresh, left.input_fresh),
        cache_read=min(tokens.cache_read, left.cache_read),
        cache_write_5m=min(tokens.cache_write_5m, left.cache_write_5m),
        cache_write_1h=min(tokens.cache_write_1h, left.cache_write_1h),
        output=output,
        reasoning=min(tokens.output - output, left.reasoning),
    )
    return taken, TokenCounts(*(whole - part for whole, part in zip(left, taken, strict=True)))


def _sum(several: list[TokenCounts]) -> TokenCounts:
    if not several:
        return TokenCounts()
    return TokenCounts(*map(sum, zip(*several, strict=True)))


def added(one: TokenCounts, other: TokenCounts) -> TokenCounts:
    """Both together."""
    return TokenCounts(*map(sum, zip(one, other, strict=True))) if any(chain(other)) else one
