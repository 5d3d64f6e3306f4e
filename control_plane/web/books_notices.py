"""Usage that is missing, told to whoever looks after the fleet."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from control_plane.organizations.roles import Permission, Standing, can
from control_plane.usage.completeness import completeness
from control_plane.web.notice import Notice


def books_incomplete(standing: Standing, now: datetime) -> Iterator[Notice]:
    """Events that should have come by now, and estimates that wait for the truth."""
    if not can(standing, Permission.FLEET_READ):
        return
    books = completeness(now=now)
    if not books.is_overdue:
        return
    parts = []
    if books.missing:
        verb = "event of pods has" if books.missing == 1 else "events of pods have"
        parts.append(f"{books.missing:,} {verb} not arrived")
    if books.orphans:
        told = (
            "request is estimated, because its pod is"
            if books.orphans == 1
            else "requests are estimated, because their pods are"
        )
        parts.append(f"{books.orphans:,} {told} gone")
    yield Notice(
        # Put away, it comes back when something more is missing.
        id=f"books:{books.missing}:{books.orphans}",
        tone="stopped" if books.is_low else "look",
        icon="triangle-alert",
        title=f"The books are {books.percent_text} % complete",
        text="; ".join(parts),
        at=books.oldest_gap_at or now,
        address=reverse("web:completeness"),
        action="Look",
        action_address=reverse("web:completeness"),
        opens_sheet=False,
    )
