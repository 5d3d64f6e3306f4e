"""How large a request is and how much it may bring about, as far as its cost hangs on that.

Built by the exchange from what the protocol read; everything is bounded from above, because a reservation that is too
small is a budget that is overspent.
"""

import msgspec


class RequestSize(msgspec.Struct, frozen=True, gc=False):
    """One request, as its price sees it."""

    body_bytes: int
    """Decoded."""
    max_output_tokens: int = 0
    """For one answer, thinking included; 0: the request does not say."""
    answers: int = 1
    """So many are asked for at once (`n`)."""
    images: int = 0
    """Pictures in the body: a small file may stand for many tokens."""
    is_unbounded: bool = False
    """What the model reads is not all in the body: files and pictures by address, documents, a conversation that the
    provider keeps, tools that the provider runs."""
    max_web_searches: int = 0
    service_tier: str = ""
    """As the request asks for it; empty: not at all."""
    is_billable: bool = True
    """False: it is free of charge, like a count of tokens."""
    answers_with_text: bool = True
    """False: nothing is generated, as with embeddings."""
    is_plain: bool = False
    """Only the first two are not as above: most requests, whose price is worked out in a few steps."""


class LastTurn(msgspec.Struct, frozen=True, gc=False):
    """How the turn before went in this session, at the same place."""

    body_bytes: int
    prompt_tokens: int
    warm_tokens: int
    """So much of its prompt the provider still has in its cache now; 0: nothing."""
    output_tokens: int
    at_ms: int = 0
    """When it ended."""
