"""Events in quarantine as the page shows them: why in words, and which instant the pod named."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from control_plane.usage import ulid
from control_plane.usage.models import QuarantinedEvent
from control_plane.usage.rejudgement import event_told
from control_plane.usage.spans import span_text
from switchyard_contract.v1 import usage_pb2

MOST_MS = 253_402_300_799_000
"""The end of the year 9999: what is named beyond it is no instant."""
TIMES = ("time_ahead", "time_too_old")


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """named_at: the instant that is not believed; None: it is about something else, or is no instant at all."""

    event: QuarantinedEvent
    told: usage_pb2.UsageEvent
    why: str
    named_at: datetime | None = None


def quarantine_rows(events: Iterable[QuarantinedEvent]) -> list[QuarantineRow]:
    return [_row(event) for event in events]


def _row(event: QuarantinedEvent) -> QuarantineRow:
    told = event_told(event)
    if event.reason in TIMES and (named := _named_ms(event, told)):
        what, named_ms = named
        apart_ms = named_ms - round(event.quarantined_at.timestamp() * 1000)
        side = "after" if apart_ms > 0 else "before"
        why = f"{what} {span_text(abs(apart_ms))} {side} it came in"
        return QuarantineRow(event, told, why, datetime.fromtimestamp(named_ms / 1000, UTC))
    return QuarantineRow(event, told, event.detail[:1].upper() + event.detail[1:])


def _named_ms(event: QuarantinedEvent, told: usage_pb2.UsageEvent) -> tuple[str, int] | None:
    """The instant that is furthest off: of the exchange's id, or of its start."""
    came_ms = round(event.quarantined_at.timestamp() * 1000)
    found = [("It says it began", told.started_at_ms)] if told.started_at_ms else []
    with suppress(ulid.NotAUlid):
        found.append(("Its id was made", ulid.time_ms(told.exchange_id)))
    found = [one for one in found if 0 < one[1] <= MOST_MS]
    return max(found, key=lambda one: abs(one[1] - came_ms), default=None)
