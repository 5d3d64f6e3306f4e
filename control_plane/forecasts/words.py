"""Forecasts in sentences. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from control_plane.forecasts import unusual
from control_plane.forecasts.drivers import Driver
from control_plane.forecasts.models import WhyNone

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MOST_OF_IT = 0.7
"""People are named until they make so much of it."""
WHO = {"user": ("person", "people"), "service_account": ("service account", "service accounts")}


def day_words(at: datetime, zone: ZoneInfo, *, seen_from: datetime) -> str:
    """`Tuesday the 24th`; of another month than it is seen from: `Thursday the 24th of December`."""
    local, here = at.astimezone(zone), seen_from.astimezone(zone)
    is_near = (local.year, local.month) == (here.year, here.month)
    return f"{local:%A} the {ordinal(local.day)}{'' if is_near else f' of {local:%B}'}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th; 11th to 13th."""
    ending = "th" if number // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def usual_words(day: date, compared: str) -> str:
    """What an unusual day is compared with: `usual Tuesday`."""
    match compared:
        case unusual.WEEKDAY:
            return f"usual {day:%A}"
        case unusual.KIND:
            return "usual day of work" if day.weekday() < 5 else "usual weekend day"
        case _:
            return "usual day"


def drivers_words(drivers: Sequence[Driver], *, expected: int, previous: int | None) -> str:
    """`Three people and one new service account make 71 % of the rise.` Empty: there is nobody to point at.

    Without a period before it is said of the whole.
    """
    whole = expected if previous is None else expected - previous
    who = [one for one in drivers if one.kind in WHO]
    if whole <= 0 or not who:
        return ""
    named: list[Driver] = []
    for one in who:
        if sum(each.growth_nano_usd for each in named) >= MOST_OF_IT * whole:
            break
        named.append(one)
    share = min(100, round(100 * sum(one.growth_nano_usd for one in named) / whole))
    if share < 1:
        return ""
    is_new_told = previous is not None
    counts = Counter((one.kind, one.is_new and is_new_told) for one in named)
    parts = [_counted(count, *kind) for kind, count in counts.items()]
    text = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    verb = "makes" if len(named) == 1 else "make"
    return f"{text[0].upper()}{text[1:]} {verb} {share} % of {'it' if previous is None else 'the rise'}."


def _counted(count: int, kind: str, is_new: bool) -> str:
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {'new ' if is_new else ''}{WHO[kind][count > 1]}"


def none_words(why: str, days_needed: int) -> tuple[str, str]:
    """Why there is no band: a headline, and what follows."""
    match why:
        case WhyNone.FEW_DAYS:
            days = "one more day" if days_needed == 1 else f"{days_needed} more days"
            return f"{days[0].upper()}{days[1:]} needed", "A band needs three days with spend; then it is here."
        case WhyNone.MOSTLY_QUIET:
            return (
                "Too quiet for a band",
                "On most days nothing is spent, so what comes next is chance. What was spent so far is exact.",
            )
        case WhyNone.NOTHING_SPENT:
            return "Nothing spent lately", "Nothing was spent in the last two weeks, so nothing is heading anywhere."
        case WhyNone.NOT_BY_DAY:
            return (
                "Not followed by day",
                "It counts by something that is not kept by day (several tags of metadata, one besides people or"
                " models, or a value beyond the bound). What was spent so far is exact.",
            )
        case WhyNone.ENDLESS:
            return "It never begins anew", "There is no end to forecast; when the limit is reached is."
        case _:
            return "No band", "The days do not carry one."
