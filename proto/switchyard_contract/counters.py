"""How counters of rules are named, and what the admission script answers: said by pods, read by both planes.

A rule with `per` has one counter for each combination of values; a counter is written as its values in the order of
`per`, each percent-encoded, with "/" between them: `per: [principal, model]` gives "3f…9a/claude-opus-4-8". A rule
without `per` has one counter, written "". A period is written as its start in Unix milliseconds, "0" for ever.
"""

from collections.abc import Iterable
from urllib.parse import quote, unquote

PER = ("organization", "team", "principal", "user", "service_account", "key", "model", "provider", "session")
"""What a rule may count by, besides `metadata.<key>`. principal: the user or the service account."""
PER_METADATA = "metadata."
FOR_EVER = "0"
OTHER = "other"
"""The value that metadata counts under which is not one of those allowed."""
MAX_BUDGETS = 8
"""So many budgets may match one exchange; more is refused when a rule is saved."""
MAX_RATES = 8


def counter_of(values: Iterable[str]) -> str:
    """Write a combination of values as a counter."""
    return "/".join(quote(value, safe="") for value in values)


def values_of(counter: str) -> tuple[str, ...]:
    """Read a counter back: the values in the order of the rule's `per`; none for ""."""
    return tuple(unquote(value) for value in counter.split("/")) if counter else ()
