"""How counters of rules are named, and what the admission script answers: said by pods, read by both planes.

A rule with `per` has one counter for each combination of values; a counter is written as its values in the order of
`per`, each percent-encoded, with "/" between them: `per: [principal, model]` gives "3f…9a/claude-opus-4-8". A rule
without `per` has one counter, written "". A period is written as its start in Unix milliseconds, "0" for ever.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
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


# Names in the counter store. The braces keep all of an organization on one node of a cluster. Pods write; whoever
# wants to show what is reserved may read.

POSTED, EXPECTED, WORST = "p", "e", "s"
"""Fields of a budget's hash, in micro-USD: spent; reserved as expected; reserved as the budget bounds it."""
MICRO = 1_000
"""Nano-USD in a micro-USD."""


def budget_key(organization_id: str, budget_id: str, period: str, counter: str) -> str:
    """Name the hash of one counter of a budget in one period."""
    return f"b:{{{organization_id}}}:{budget_id}:{period}:{counter}"


def rate_key(organization_id: str, rule_id: str, period: str, counter: str) -> str:
    """Name the value of one counter of a rate limit; period "" where it is none of a period."""
    return f"r:{{{organization_id}}}:{rule_id}:{period}:{counter}"


LEARNING_WORD = "counters_learning:"
"""Begins the word of a pod whose counters of an organization were lost or went back in time (`Status.degraded`). Behind
it the organization, and after another colon the policy's generation when that was found."""


def learning_word(organization_id: str, generation: int) -> str:
    """Ask for the books, and then for a new generation."""
    return f"{LEARNING_WORD}{organization_id}:{generation}"


def read_learning_word(word: str) -> tuple[str, int | None] | None:
    """Read the organization, and the generation that was lost if it is told; None: the word is another one."""
    if not word.startswith(LEARNING_WORD):
        return None
    organization_id, _, generation = word.removeprefix(LEARNING_WORD).partition(":")
    return organization_id, int(generation) if generation.isascii() and generation.isdigit() else None


LAYING, LAID = "laying", "laid"
"""Fields of an organization's `meta`: how far the books are laid in after a loss, and the generation that all of them
are laid in for. In the store, and nowhere else, since what is lost again there takes them with it."""


def meta_key(organization_id: str) -> str:
    """The name of what is said of an organization's counters as a whole."""
    return f"meta:{{{organization_id}}}"


def laying_text(attempt: str, floors: int) -> str:
    """Write how far an attempt to lay the books in has come."""
    return f"{attempt}:{floors}"


def read_laying(text: str) -> tuple[str, int]:
    """Read an attempt, and how many floors of it are laid; nobody's and none where nothing was laid."""
    attempt, _, floors = text.partition(":")
    return attempt, int(floors) if floors.isascii() and floors.isdigit() else 0


# What was decided about one exchange, as its event carries it (`UsageEvent.counters_answer`).

ANSWER_FORM = 1
"""The first number of an answer; one that is not known here is not read."""


class Verdict(IntEnum):
    """What the admission script said, or what a pod said in its place."""

    ADMITTED = 1
    DENIED = 2
    """By the claim that `index` names."""
    REVOKED = 3
    LEARNING = 4
    """The store has lost its contents or went back in time; the pod decides by the rules of an outage."""
    PERIOD_OVER = 5
    """The pod's clock and the store's are in different periods; it asks again with the store's."""
    OUTAGE_ADMITTED = 6
    OUTAGE_DENIED = 7


COUNTED, REFUSED, ISSUED = 1, 2, 4
"""Flags of a claim: it counts this exchange; it refuses (or, in shadow mode, would); an allowance was given with it."""
HEAD_NUMBERS = 14
"""form, verdict, candidate, index, retry_after_ms, now_ms, generation, sequence, expected, calibrated, worst, rates,
budgets, which claims count this exchange (bits: rates, then budgets); then RATE_NUMBERS for each rate and
BUDGET_NUMBERS for each budget, in the order of the claims."""
RATE_NUMBERS = 3
"""flags, used, retry_after_ms."""
BUDGET_NUMBERS = 5
"""flags, posted, expected, worst, issued."""


@dataclass(frozen=True, slots=True)
class RateNumbers:
    """A rate at that instant, before this exchange."""

    counted: bool
    refused: bool
    used: int
    """Of the limit, in its unit; of a sliding rate what has not flowed off yet."""
    retry_after_ms: int
    """0: it fits; -1: it never will, being larger than the limit takes at once."""


@dataclass(frozen=True, slots=True)
class BudgetNumbers:
    """A budget's counter at that instant, before this exchange; micro-USD."""

    counted: bool
    refused: bool
    posted: int
    expected: int
    worst: int
    issued: int
    """What this pod may spend of it while the counters are away, where it was told with this answer; else 0."""
    was_issued: bool = False
    """It was told with this answer."""


@dataclass(frozen=True, slots=True)
class CountersAnswer:
    """One decision with the numbers it was taken on."""

    verdict: Verdict
    candidate: int
    """1: the model asked for; 2: the downgrade's."""
    index: int
    """Into rates and then budgets: what denied, else the budget that is fullest; -1: none."""
    retry_after_ms: int
    now_ms: int
    """By the store's clock."""
    generation: int
    sequence: int
    expected: int
    """What was to be reserved for the candidate; micro-USD, as are the next two."""
    calibrated: int
    worst: int
    rates: tuple[RateNumbers, ...]
    budgets: tuple[BudgetNumbers, ...]


def read_answer(text: bytes) -> CountersAnswer:
    """Decode an answer. Raises ValueError when it is none, or of a form that is not known here."""
    return answer_of(_read_integers(text))


def write_answer(answer: CountersAnswer) -> list[int]:
    """Give the numbers of an answer, to be written as a MessagePack array."""
    claims: tuple[RateNumbers | BudgetNumbers, ...] = (*answer.rates, *answer.budgets)
    head = [
        ANSWER_FORM,
        answer.verdict,
        answer.candidate,
        answer.index,
        answer.retry_after_ms,
        answer.now_ms,
        answer.generation,
        answer.sequence,
        answer.expected,
        answer.calibrated,
        answer.worst,
        len(answer.rates),
        len(answer.budgets),
        sum(claim.counted << place for place, claim in enumerate(claims)),
    ]
    for rate in answer.rates:
        head += (rate.counted * COUNTED + rate.refused * REFUSED, rate.used, rate.retry_after_ms)
    for budget in answer.budgets:
        flags = budget.counted * COUNTED + budget.refused * REFUSED + budget.was_issued * ISSUED
        head += (flags, budget.posted, budget.expected, budget.worst, budget.issued)
    return head


def answer_of(numbers: Sequence[int]) -> CountersAnswer:
    """Name the numbers of an answer. Raises ValueError."""
    if len(numbers) < HEAD_NUMBERS or numbers[0] != ANSWER_FORM:
        raise ValueError("not an answer of the counters, or one of another form")
    rate_count, budget_count = numbers[11], numbers[12]
    budgets_at = HEAD_NUMBERS + RATE_NUMBERS * rate_count
    if min(rate_count, budget_count) < 0 or len(numbers) != budgets_at + BUDGET_NUMBERS * budget_count:
        raise ValueError("an answer of the counters that is cut off")
    rates = [
        RateNumbers(bool(flags & COUNTED), bool(flags & REFUSED), used, retry_ms)
        for flags, used, retry_ms in _rows(numbers[HEAD_NUMBERS:budgets_at], RATE_NUMBERS)
    ]
    budgets = [
        BudgetNumbers(
            bool(flags & COUNTED), bool(flags & REFUSED), posted, expected, worst, issued, bool(flags & ISSUED)
        )
        for flags, posted, expected, worst, issued in _rows(numbers[budgets_at:], BUDGET_NUMBERS)
    ]
    candidate, index, retry_ms, now_ms, generation, sequence, expected, calibrated, worst = numbers[2:11]
    return CountersAnswer(
        verdict=Verdict(numbers[1]),
        candidate=candidate,
        index=index,
        retry_after_ms=retry_ms,
        now_ms=now_ms,
        generation=generation,
        sequence=sequence,
        expected=expected,
        calibrated=calibrated,
        worst=worst,
        rates=tuple(rates),
        budgets=tuple(budgets),
    )


def _rows(numbers: Sequence[int], width: int) -> Iterable[Sequence[int]]:
    return (numbers[start : start + width] for start in range(0, len(numbers), width))


_WIDTHS = {0xCC: (1, False), 0xCD: (2, False), 0xCE: (4, False), 0xCF: (8, False)} | {
    0xD0: (1, True), 0xD1: (2, True), 0xD2: (4, True), 0xD3: (8, True)
}  # fmt: skip


def _read_integers(text: bytes) -> list[int]:
    """Read a MessagePack array of whole numbers, all that an answer is made of."""
    if not text:
        raise ValueError("an empty answer of the counters")
    if 0x90 <= text[0] <= 0x9F:
        count, at = text[0] & 0x0F, 1
    elif text[0] == 0xDC and len(text) >= 3:
        count, at = int.from_bytes(text[1:3], "big"), 3
    else:
        raise ValueError("not an answer of the counters")
    numbers = []
    for _ in range(count):
        if at >= len(text):
            raise ValueError("an answer of the counters that is cut off")
        first = text[at]
        at += 1
        if first <= 0x7F or first >= 0xE0:
            numbers.append(first if first <= 0x7F else first - 0x100)
            continue
        if first not in _WIDTHS:
            raise ValueError("an answer of the counters holds something that is no whole number")
        width, is_signed = _WIDTHS[first]
        if at + width > len(text):
            raise ValueError("an answer of the counters that is cut off")
        numbers.append(int.from_bytes(text[at : at + width], "big", signed=is_signed))
        at += width
    if at != len(text):
        raise ValueError("an answer of the counters with something behind it")
    return numbers
