"""What a request shows of its place in a conversation: digests of what comes first, counts of what came last.

Never its words: of everything but the names of tools there are only numbers and digests.
"""

import msgspec


class TurnFacts(msgspec.Struct, frozen=True):
    """One request, as far as somebody who looks for broken caches and loops wants to know it. Digests have 8 bytes;
    empty: there is nothing to digest, or it was not read."""

    tools_digest: bytes = b""
    system_digest: bytes = b""
    history_marks: bytes = b""
    """Digests, one behind the other, of the first 1, 4, 16 and 64 KiB of those turns that were sent before: as many as
    are full."""
    history_bytes: int = 0
    request_digest: bytes = b""
    tool_results: int = 0
    """That came since the model last spoke."""
    failed_tool_results: int = 0
    calls_digest: bytes = b""
    """Of the calls that these answer, names and arguments."""
    tools: tuple[str, ...] = ()
    """Their names."""
    is_typed: bool = False
    """Somebody wrote something since the model last spoke."""


NO_FACTS = TurnFacts()
"""A request that belongs to no conversation that could be followed."""
