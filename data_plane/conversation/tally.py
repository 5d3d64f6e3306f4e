"""What an answer told about itself: usage, the model that answered, how it ended."""

import msgspec

from switchyard_contract.pricing import Units
from switchyard_contract.usage import TokenCounts

MAX_ERROR_TEXT = 300
MAX_TOLD = 10**12


def told(number: int | None) -> int:
    """A count as a provider told it, brought to what a counter can hold; absent and negative ones are 0."""
    if number is None or number < 0:
        return 0
    return number if number <= MAX_TOLD else MAX_TOLD


def below_zero(*numbers: int | None) -> bool:
    """Whether a provider told a sum that cannot be."""
    for number in numbers:  # noqa: SIM110  # a generator costs more than all of its numbers
        if number is not None and number < 0:
            return True
    return False


class PartTally(msgspec.Struct, frozen=True):
    """A pass of another model inside of an answer; its tokens are in the answer's sums too."""

    model: str
    """Empty: the one that the provider was asked for."""
    tokens: TokenCounts
    units: Units = ()


class Tally(msgspec.Struct, frozen=True):
    """The sum of one answer. Its texts are the provider's own words, never the caller's."""

    tokens: TokenCounts = TokenCounts()
    """All that is billed, passes of other models included."""
    model: str = ""
    """As the answer names it; empty when it did not."""
    stop_reason: str = ""
    web_searches: int = 0
    service_tier: str = ""
    inference_geo: str = ""
    units: Units = ()
    """Tokens of dearer kinds, which the counters hold too, and what is billed by the piece."""
    parts: tuple[PartTally, ...] = ()
    is_reported: bool = False
    """The provider told the usage; False: counted from what passed, or nothing known."""
    is_inconsistent: bool = False
    """A difference between the provider's numbers was negative and taken as 0."""
    error_type: str = ""
    error_text: str = ""
    """At most MAX_ERROR_TEXT characters."""
    upstream_request_id: str = ""
    """The answer's own id, where its body tells one; a header's id is read elsewhere."""
