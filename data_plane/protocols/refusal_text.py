"""The sentences of a refusal: which rule, how much of what, when it starts anew, whom to ask, who knows already.

Words that a client would take for something else are not used: Gemini CLI tries again in silence after "capacity
exceeded", and gives up with a text of its own after "limit: 0".
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from data_plane.policy.decision import Refusal, RuleNumbers
from switchyard_contract.reason import Reason

_NANO = 1_000_000_000
_CENT = 10_000_000
_SPANS = {
    "minute": " a minute",
    "hour": " an hour",
    "day": " a day",
    "week": " a week",
    "month": " a month",
    "quarter": " a quarter",
    "lifetime": " in all",
    "session": " a session",
}


def text_of(refusal: Refusal, decision_id: str) -> str:
    """All that a person is told, with the id under which the decision can be looked up."""
    said = f"Switchyard: {sentence_of(refusal)}"
    return f"{said} (decision {decision_id})" if decision_id else said


def sentence_of(refusal: Refusal) -> str:
    """The refusal's own message, else sentences made from its rule's numbers, else its reason's."""
    numbers = refusal.numbers
    if refusal.message or numbers is None:
        return refusal.sentence
    said = [_what(refusal.reason, numbers)]
    if numbers.resets_at_ms:
        said.append(f"It starts anew at {instant_of(numbers.resets_at_ms, numbers.timezone)}.")
    elif refusal.reason.waiting_helps and refusal.retry_after_s is not None:
        said.append(f"There is room again in {_time_of(refusal.retry_after_s)}.")
    if numbers.contact and numbers.more_url:
        said.append(f"Ask {numbers.contact}, or ask for more at {numbers.more_url}.")
    elif numbers.contact:
        said.append(f"Ask {numbers.contact}.")
    elif numbers.more_url:
        said.append(f"Ask for more at {numbers.more_url}.")
    if numbers.told:
        said.append(f"Told already: {', '.join(numbers.told)}.")
    return " ".join(said)


def _what(reason: Reason, numbers: RuleNumbers) -> str:
    name, span = numbers.rule_name, _SPANS.get(numbers.period, "")
    whose = f", counted for {numbers.counts}" if numbers.counts else ""
    used, limit = numbers.used, numbers.limit
    if numbers.unit == "nano_usd":
        amounts = f"{dollars(used)} of {dollars(limit)}{span}{whose}"
        rule = f"The {'budget' if reason is Reason.BUDGET_EXCEEDED else 'cost cap'} “{name}”"
        if used >= limit or not numbers.needed:
            return f"{rule} is spent: {amounts}."
        return f"{rule} has no room for this request: {amounts} is taken, and it may cost {dollars(numbers.needed)}."
    match numbers.unit:
        case "retries":
            return f"The same request came too often: {used:,} times; the cap “{name}” allows {limit:,} repetitions."
        case "failed_tool_results":
            return (
                f"{used:,} tool results in a row have failed, and the cap “{name}” is {limit:,}. "
                "Tell the tool what to do differently, and it goes on."
            )
        case "tool_calls":
            return (
                f"The same tool call was made {used:,} times in a row, and the cap “{name}” is {limit:,}. "
                "Tell the tool what to do differently, and it goes on."
            )
    if numbers.kind == "session_cap":
        return f"The cap “{name}” is reached: {used:,} of {limit:,} {_unit(numbers)}{span}{whose}."
    if reason is Reason.CONCURRENCY_LIMITED:
        return f"The limit “{name}” is reached: {used:,} of {limit:,} requests at once{whose}."
    # Of a rate that flows off evenly little may be used: it is what comes at once that was too much.
    taken = f"{used:,} of {limit:,}" if used >= limit else f"{limit:,}"
    return f"The limit “{name}” is reached: {taken} {_unit(numbers)}{span}{whose}."


def _unit(numbers: RuleNumbers) -> str:
    return numbers.unit.replace("_", " ")


def _time_of(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def dollars(nano_usd: int) -> str:
    """An amount for people: cents, or as many digits as a smaller amount needs to be told from nothing."""
    sign, amount = ("-", -nano_usd) if nano_usd < 0 else ("", nano_usd)
    if amount >= _NANO or amount % _CENT == 0:
        cents = (amount + _CENT // 2) // _CENT
        return f"{sign}${cents // 100:,}.{cents % 100:02}"
    places = max(4, 11 - len(str(amount)))
    # Rounded as the console does, so that both name one amount.
    unit = 10 ** max(0, 9 - places)
    amount = (amount + unit // 2) // unit * unit
    if amount >= _NANO:
        return f"{sign}$1.00"
    digits = f"{amount:09}"[:places].rstrip("0")
    return f"{sign}$0.{digits:0<2}"


def instant_of(at_ms: int, timezone: str) -> str:
    """An instant as the rule's zone and as UTC say it."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    utc = f"{at:%Y-%m-%d %H:%M} UTC"
    zone = _zone(timezone)
    if zone is None:
        return utc
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M} {timezone} ({utc})"


@lru_cache(maxsize=64)
def _zone(timezone: str) -> ZoneInfo | None:
    """The zone, where it says another time than UTC does."""
    if timezone in ("", "UTC", "Etc/UTC"):
        return None
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # An image without zone data: UTC alone is true as well.
        return None
