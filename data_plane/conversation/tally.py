"""What an answer told about itself: usage, the model that answered, how it ended."""

from dataclasses import dataclass, field

from switchyard_contract.usage import TokenCounts

MAX_ERROR_TEXT = 300


@dataclass(frozen=True, slots=True)
class Tally:
    """The sum of one answer. Its texts are the provider's own words, never the caller's."""

    tokens: TokenCounts = field(default_factory=TokenCounts)
    model: str = ""
    """As the answer names it; empty when it did not."""
    stop_reason: str = ""
    web_searches: int = 0
    service_tier: str = ""
    inference_geo: str = ""
    is_reported: bool = False
    """The provider told the usage; False: counted from what passed, or nothing known."""
    is_inconsistent: bool = False
    """A difference between the provider's numbers was negative and taken as 0."""
    error_type: str = ""
    error_text: str = ""
    """At most MAX_ERROR_TEXT characters."""
    upstream_request_id: str = ""
    """The answer's own id, where its body tells one; a header's id is read elsewhere."""
