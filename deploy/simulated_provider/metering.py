"""Count tokens deterministically and remember prompt prefixes like a provider's prompt cache."""

import re
from collections import OrderedDict

from deploy.simulated_provider.ask import Ask, ProtocolName
from switchyard_contract.usage import TokenCounts

BYTES_PER_TOKEN = 4
CACHE_BLOCK = 16
"""Prefixes are cached in whole blocks of tokens; the rest of a prompt is read fresh."""

_GPT = re.compile(r"gpt-(\d+)(?:\.(\d+))?")


def tokens_of(text: str) -> int:
    """Count a text: a token per four bytes of UTF-8, at least one for any text."""
    return 0 if not text else max(1, len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def prompt_tokens(body_bytes: int) -> int:
    """Count a prompt by the size of the request's body."""
    return max(1, body_bytes // BYTES_PER_TOKEN)


def bills_cache_writes(model: str) -> bool:
    """Say whether an OpenAI model bills what it writes to its cache: from gpt-5.6 on (protocols.md §0.5)."""
    match = _GPT.search(model)
    return match is not None and (int(match[1]), int(match[2] or 0)) >= (5, 6)


class PrefixMemory:
    """The prompt cache: how long the cached prefix of each conversation is, for the newest conversations."""

    def __init__(self, conversations: int = 100_000) -> None:
        self._cached: OrderedDict[str, int] = OrderedDict()
        self._most = conversations

    def meter(self, key: str, ask: Ask, body_bytes: int) -> TokenCounts:
        """Split a prompt into read, written and fresh tokens, and remember what is cached now.

        A first turn writes its whole blocks, a later one reads the former prefix and writes what came on top.
        Anthropic caches only where the request marks breakpoints; writes are shared between one hour and five minutes
        as the breakpoints are. Gemini tells no writes. OpenAI models that do not bill writes count them as fresh.
        """
        prompt = prompt_tokens(body_bytes)
        breaks = ask.long_breaks + ask.short_breaks
        if ask.protocol == "anthropic_messages" and breaks == 0:
            return TokenCounts(input_fresh=prompt)
        cacheable = prompt - prompt % CACHE_BLOCK
        read = min(self._cached.pop(key, 0), cacheable)
        written = cacheable - read
        self._cached[key] = cacheable
        while len(self._cached) > self._most:
            self._cached.popitem(last=False)
        counts = TokenCounts(input_fresh=prompt - cacheable, cache_read=read)
        if ask.protocol == "anthropic_messages":
            long = written * ask.long_breaks // breaks
            return counts._replace(cache_write_1h=long, cache_write_5m=written - long)
        if ask.protocol in ("openai_chat", "openai_responses") and bills_cache_writes(ask.model):
            if ask.long_breaks:
                return counts._replace(cache_write_12h=written)
            return counts._replace(cache_write_30m=written)
        return counts._replace(input_fresh=counts.input_fresh + written)


def fold_usage(protocol: ProtocolName, counts: TokenCounts) -> TokenCounts:
    """Bring exact counters to those the protocol can tell; the prompt's sum stays.

    A lifetime that a protocol does not have becomes the one it has by default; where writes are not told at all, and
    for tool input outside Gemini, the tokens are fresh input.
    """
    written = (
        counts.cache_write_5m
        + counts.cache_write_1h
        + counts.cache_write_30m
        + counts.cache_write_12h
        + counts.cache_write_other
    )
    bare = TokenCounts(
        input_fresh=counts.input_fresh,
        cache_read=counts.cache_read,
        output=counts.output,
        reasoning=counts.reasoning,
    )
    match protocol:
        case "anthropic_messages":
            return bare._replace(
                input_fresh=counts.input_fresh + counts.input_tool,
                cache_write_1h=counts.cache_write_1h,
                cache_write_5m=written - counts.cache_write_1h,
            )
        case "openai_chat" | "openai_responses":
            return bare._replace(
                input_fresh=counts.input_fresh + counts.input_tool,
                cache_write_12h=counts.cache_write_12h,
                cache_write_30m=written - counts.cache_write_12h,
            )
        case "gemini_content":
            return bare._replace(input_fresh=counts.input_fresh + written, input_tool=counts.input_tool)
        case "openai_embeddings":
            return TokenCounts(input_fresh=counts.prompt)
