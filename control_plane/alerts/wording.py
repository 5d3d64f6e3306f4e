"""What is said of a crossing, for people and for machines. The same at every try: all numbers are the crossing's."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from control_plane.alerts.channels.channel import Message
from control_plane.alerts.foreseen import Foreseen
from control_plane.alerts.models import StageCrossing
from control_plane.alerts.no_room import BLOCK
from control_plane.rules.periods import FOR_EVER, PeriodRule, period_at, zone_of
from switchyard_contract.quantity import NanoUsd, usd_text

STAGE_CROSSED = "budget.stage_crossed"
FORECAST_CROSSED = "budget.forecast_crossed"
NO_ROOM = "budget.no_room"
TEST = "channel.test"
LARGE = 1_000_000_000
LONGEST_SUBJECT = 200


def crossing_message(delivery_id: UUID, crossing: StageCrossing, *, organization: str) -> Message:
    """Put a crossing into words."""
    if crossing.forecast is not None:
        return _forecast_message(delivery_id, crossing, Foreseen.from_json(crossing.forecast), organization)
    if crossing.wanted_nano_usd is not None:
        return _refusal_message(delivery_id, crossing, crossing.wanted_nano_usd, organization)
    resets_at = resets_at_of(crossing)
    whose = f" ({crossing.counter_text})" if crossing.counter_text else ""
    spent, limit = dollars(crossing.posted_nano_usd), dollars(crossing.limit_nano_usd)
    address = f"{settings.SWITCHYARD.console_public_url}/budgets/{crossing.budget_id}"
    lines = [
        f"Budget: {crossing.budget_name}{whose}, {organization}",
        f"Spent: {spent} of {limit} ({crossing.percent} %)",
        f"Reset: {reset_words(resets_at, crossing.timezone)}",
        "",
        _what_happened(crossing),
        *_what_follows(crossing),
        "",
        f"The budget: {address}",
        "",
    ]
    return Message(
        id=delivery_id.hex,
        subject=one_line(f"{crossing.budget_name}{whose}: {crossing.percent} % of {limit} spent"),
        text="\n".join(lines),
        event=STAGE_CROSSED,
        at=crossing.crossed_at,
        body=_body(delivery_id, crossing, organization, resets_at, address),
    )


def _forecast_message(delivery_id: UUID, crossing: StageCrossing, foreseen: Foreseen, organization: str) -> Message:
    """It has not happened yet: when it will, how sure that is, and who makes it."""
    resets_at = resets_at_of(crossing)
    whose = f" ({crossing.counter_text})" if crossing.counter_text else ""
    limit = dollars(crossing.limit_nano_usd)
    address = f"{settings.SWITCHYARD.console_public_url}/budgets/{crossing.budget_id}"
    about = f" around {foreseen.day_words}" if foreseen.day_words else " before it ends"
    lines = [
        f"Budget: {crossing.budget_name}{whose}, {organization}",
        f"Spent: {dollars(crossing.posted_nano_usd)} of {limit} ({crossing.percent} %)",
        f"Heading for: {dollars(foreseen.p50)} (P50); {dollars(foreseen.p10)} to {dollars(foreseen.p90)} in 8 of 10"
        " cases",
        f"Reset: {reset_words(resets_at, crossing.timezone)}",
        "",
        f"It passes its limit{about} (P50). {foreseen.drivers_words}".rstrip(),
        "Raise the budget, or look at what is spent.",
        "",
        f"The budget: {address}",
        "",
    ]
    body = _body(delivery_id, crossing, organization, resets_at, address)
    del body["stage"], body["next_stage"]
    return Message(
        id=delivery_id.hex,
        subject=one_line(f"{crossing.budget_name}{whose}: heading for {dollars(foreseen.p50)} of {limit}"),
        text="\n".join(lines),
        event=FORECAST_CROSSED,
        at=crossing.crossed_at,
        body={**body, "event": FORECAST_CROSSED, "forecast": foreseen.told()},
    )


def _refusal_message(delivery_id: UUID, crossing: StageCrossing, wanted: int, organization: str) -> Message:
    """The line was not reached, and work is refused all the same."""
    resets_at = resets_at_of(crossing)
    whose = f" ({crossing.counter_text})" if crossing.counter_text else ""
    spent, limit = dollars(crossing.posted_nano_usd), dollars(crossing.limit_nano_usd)
    reserved = crossing.reserved_nano_usd or 0
    address = f"{settings.SWITCHYARD.console_public_url}/budgets/{crossing.budget_id}"
    is_stage = crossing.action == BLOCK
    lines = [
        f"Budget: {crossing.budget_name}{whose}, {organization}",
        f"Spent: {spent} of {limit} ({crossing.percent} %)",
        *([f"Reserved: {dollars(reserved)} by requests that were running"] if reserved else []),
        f"Asked for: a request that may cost {dollars(wanted)}, which does not fit",
        f"Reset: {reset_words(resets_at, crossing.timezone)}",
        "",
        f"It refuses work: {crossing.percent} % is spent, and what is asked for does not fit into the rest."
        if is_stage
        else "It refused a request that would not have fitted although nothing else ran. Smaller ones still pass.",
        f"This stands for the stage at {crossing.at_percent} %, which is not told again in this period."
        if is_stage
        else "Raise the budget, or have smaller requests made: fewer tokens of output allowed, a cheaper model.",
        "",
        f"The budget: {address}",
        "",
    ]
    body = _body(delivery_id, crossing, organization, resets_at, address)
    if not is_stage:
        del body["stage"], body["next_stage"]
    subject = (
        f"refuses work at {crossing.percent} % of {limit}"
        if is_stage
        else f"no room for a request of {dollars(wanted)}"
    )
    return Message(
        id=delivery_id.hex,
        subject=one_line(f"{crossing.budget_name}{whose}: {subject}"),
        text="\n".join(lines),
        event=STAGE_CROSSED if is_stage else NO_ROOM,
        at=crossing.crossed_at,
        body={
            **body,
            "event": STAGE_CROSSED if is_stage else NO_ROOM,
            "refused": {
                "reserved_nano_usd": reserved,
                "reserved_usd": usd_text(NanoUsd(reserved)),
                "wanted_nano_usd": wanted,
                "wanted_usd": usd_text(NanoUsd(wanted)),
            },
        },
    )


def trial_message(delivery_id: UUID, *, channel: str, organization: str, at: datetime) -> Message:
    """What goes out when somebody tries a channel."""
    text = f"This is a test of the alert channel {channel} of {organization}. Nothing has happened."
    return Message(
        id=delivery_id.hex,
        subject=one_line(f"Switchyard: a test of the alert channel {channel}"),
        text=f"{text}\n\n{settings.SWITCHYARD.console_public_url}\n",
        event=TEST,
        at=at,
        body={
            "id": delivery_id.hex,
            "event": TEST,
            "at": instant(at),
            "organization": organization,
            "channel": channel,
            "text": text,
        },
    )


def resets_at_of(crossing: StageCrossing) -> datetime | None:
    """When the crossing's period ends; None: never."""
    if crossing.period_unit == FOR_EVER or crossing.period_ms == 0:
        return None
    began_at = datetime.fromtimestamp(crossing.period_ms / 1000, UTC)
    return period_at(PeriodRule(crossing.period_unit, crossing.timezone, crossing.anchor), began_at).end


def reset_words(at: datetime | None, timezone: str) -> str:
    """Say when a period ends, in the budget's zone and, where that is another one, in UTC."""
    if at is None:
        return "never; it is a budget for good"
    zone = zone_of(timezone)
    if zone is None or timezone == "UTC":
        return f"{at.astimezone(UTC):%A %d %B %Y %H:%M} UTC"
    return f"{at.astimezone(zone):%A %d %B %Y %H:%M} {timezone} ({at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def dollars(nano_usd: int) -> str:
    """`$12.40`; below a dollar four digits."""
    if abs(nano_usd) < LARGE:
        return f"${nano_usd / LARGE:.4f}"
    whole, rest = divmod(nano_usd, LARGE)
    return f"${whole:,}.{rest * 100 // LARGE:02d}"


def one_line(text: str) -> str:
    """A header's text: whose counter it is may be the word of a client."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:LONGEST_SUBJECT]


def _what_happened(crossing: StageCrossing) -> str:
    match crossing.action:
        case "block":
            return f"At {crossing.at_percent} % it stops: new requests are refused until then, or until it is raised."
        case "downgrade":
            return f"From {crossing.at_percent} % on, requests go to a cheaper model where that saves money."
        case _:
            return f"It has reached {crossing.at_percent} %, the line at which you are told."


def _what_follows(crossing: StageCrossing) -> list[str]:
    if crossing.next_percent is None:
        return [] if crossing.action == "block" else ["Nothing else follows: this budget stops nobody."]
    at = dollars(crossing.limit_nano_usd * crossing.next_percent // 100)
    what = {
        "block": "new requests are refused",
        "downgrade": "requests go to a cheaper model where that saves money",
    }.get(crossing.next_action, "you are told again")
    return [f"Next: at {crossing.next_percent} % ({at}) {what}."]


def _body(
    delivery_id: UUID, crossing: StageCrossing, organization: str, resets_at: datetime | None, address: str
) -> dict[str, Any]:
    began_at = datetime.fromtimestamp(crossing.period_ms / 1000, UTC) if crossing.period_ms else None
    return {
        "id": delivery_id.hex,
        "event": STAGE_CROSSED,
        "at": instant(crossing.crossed_at),
        "organization": organization,
        "organization_id": crossing.organization_id.hex,
        "budget": {"id": crossing.budget_id.hex, "name": crossing.budget_name, "url": address},
        "counter": crossing.counter,
        "counter_text": crossing.counter_text,
        "period": {
            "unit": crossing.period_unit,
            "timezone": crossing.timezone,
            "starts_at": None if began_at is None else instant(began_at),
            "resets_at": None if resets_at is None else instant(resets_at),
        },
        "stage": {"at_percent": crossing.at_percent, "action": crossing.action},
        "spent_nano_usd": crossing.posted_nano_usd,
        "spent_usd": usd_text(NanoUsd(crossing.posted_nano_usd)),
        "limit_nano_usd": crossing.limit_nano_usd,
        "limit_usd": usd_text(NanoUsd(crossing.limit_nano_usd)),
        "percent": crossing.percent,
        "refused": None,
        "next_stage": None
        if crossing.next_percent is None
        else {"at_percent": crossing.next_percent, "action": crossing.next_action},
    }


def instant(at: datetime) -> str:
    """As webhooks have it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
