"""What a request shows of the session it belongs to: numbers and marks read from its body, never its words.

A protocol fills in what it can tell; a number it cannot tell stays at its default, which no cap is reached by.
"""

import msgspec


class SessionSigns(msgspec.Struct, frozen=True):
    """How a conversation stands, as its newest request shows it."""

    failed_tool_results: int = 0
    """The newest tool results in a row that are flagged as failed; 0 where the protocol has no flag."""
    same_tool_call: int = 0
    """How often in a row the newest tool call was made, name and arguments alike; 1: once. 0: there is none."""
    is_tool_loop: bool = False
    """The turn answers tool calls: nobody has typed since."""
    has_signed_thinking: bool = False
    """The conversation carries reasoning that is signed or encrypted for its model, so another one cannot go on."""
    request_digest: bytes = b""
    """8 bytes, equal for equal requests; b"": not worked out."""
    turn: int = 0
    """The user's and the tools' turns so far, this one included."""


NO_SIGNS = SessionSigns()
"""A request that shows nothing: an embedding, a count of tokens."""
