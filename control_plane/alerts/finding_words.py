"""What is said of a finding, for people and for machines."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from control_plane.alerts.channels.channel import Message
from control_plane.alerts.models import Finding, Topic
from control_plane.alerts.wording import dollars, instant, one_line
from control_plane.forecasts.words import usual_words
from control_plane.usage.selectors.names import names_of
from switchyard_contract.quantity import NanoUsd, usd_text

UNUSUAL_SPEND = "spend.unusual"
MISSING_USAGE = "usage.missing"
ORPHANED_USAGE = "usage.orphaned"


def finding_message(delivery_id: UUID, finding: Finding, *, organization: str) -> Message:
    """Put a finding into words; all its numbers are of when it was found."""
    if finding.topic == Topic.UNUSUAL_SPEND:
        return _unusual(delivery_id, finding, organization)
    if finding.topic == Topic.ORPHANED_USAGE:
        return _orphaned(delivery_id, finding, organization)
    return _missing(delivery_id, finding, organization)


def _unusual(delivery_id: UUID, finding: Finding, organization: str) -> Message:
    facts, day = finding.facts, date.fromisoformat(finding.facts["day"])
    spent, usual = facts["spent"], facts["usual"]
    names = names_of(finding.organization_id, principal_ids=[finding.principal_id], team_ids=[finding.team_id])
    who = names.principal(finding.principal_id) or "somebody who is no longer here"
    team = names.teams.get(finding.team_id, "") if finding.team_id else ""
    against = usual_words(day, facts["compared"])
    address = f"{settings.SWITCHYARD.console_public_url}/forecast/unusual"
    mostly = f" Mostly {facts['model']}." if facts["model"] and facts["model_nano_usd"] * 2 >= spent else ""
    lines = [
        f"Who: {who}{f', team {team}' if team else ''}, {organization}",
        f"Day: {day:%A %d %B %Y} (UTC)",
        f"Spent: {dollars(spent)}, when it was found; their {against} is {dollars(usual)}",
        "",
        f"It is above {dollars(facts['line'])}, the line that their own {facts['compared_days']} days before draw."
        f"{mostly}",
        "Look at what it was, and mark it as seen or as nothing. It is told once.",
        "",
        f"Unusual spend: {address}",
        "",
    ]
    body: dict[str, Any] = {
        "principal": {
            "id": finding.principal_id.hex if finding.principal_id else "",
            "kind": facts["principal_kind"],
            "name": who,
        },
        "team": {"id": finding.team_id.hex, "name": team} if finding.team_id else None,
        "day": facts["day"],
        "compared_with": against,
        "compared_days": facts["compared_days"],
        "model": facts["model"],
        "url": address,
    }
    for name in ("spent", "usual", "line"):
        body |= {f"{name}_nano_usd": facts[name], f"{name}_usd": usd_text(NanoUsd(facts[name]))}
    subject = f"{who}: {dollars(spent)} on {day:%A}, {against} {dollars(usual)}"
    return _message(delivery_id, finding, organization, UNUSUAL_SPEND, subject, lines, body)


def _missing(delivery_id: UUID, finding: Finding, organization: str) -> Message:
    facts = finding.facts
    opened_at = datetime.fromisoformat(facts["opened_at"]).astimezone(UTC)
    count, address = facts["count"], f"{settings.SWITCHYARD.console_public_url}/completeness"
    events = "one event" if count == 1 else f"{count:,} events"
    ranges = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in facts["ranges"])
    lines = [
        f"Pod: {facts['pod']}",
        f"Missing: {events} (numbers {ranges}), seen {opened_at:%A %d %B %Y %H:%M} UTC",
        f"The books are {facts['percent_complete']} % complete.",
        "",
        "Later events of this pod have arrived, these have not: they are on its disk, or lost. Look at the pod's log"
        " and its disk. When they arrive, this closes by itself; if they never will, say so on the page.",
        "",
        f"What is missing: {address}",
        "",
    ]
    body = {
        "pod": facts["pod"],
        "missing": count,
        "ranges": facts["ranges"],
        "seen_at": instant(opened_at),
        "percent_complete": facts["percent_complete"],
        "url": address,
    }
    subject = f"{facts['pod']}: {events} of usage did not arrive"
    return _message(delivery_id, finding, organization, MISSING_USAGE, subject, lines, body)


def _orphaned(delivery_id: UUID, finding: Finding, organization: str) -> Message:
    facts = finding.facts
    first_at = datetime.fromisoformat(facts["first_at"]).astimezone(UTC)
    count, cost, pod = facts["count"], facts["cost"], facts["pod"] or "a pod that is gone"
    address = f"{settings.SWITCHYARD.console_public_url}/completeness"
    requests = "one request" if count == 1 else f"{count:,} requests"
    named = facts["exchanges"]
    rest = f" and {count - len(named):,} more" if count > len(named) else ""
    lines = [
        f"Pod: {pod}, {organization}",
        f"Estimated: {requests}, {dollars(cost)} in all, since {first_at:%A %d %B %Y %H:%M} UTC",
        f"Which: {', '.join(named)}{rest}",
        "",
        "The pod was lost while they ran, and nothing of its own told what they came to. What had been reserved for"
        " them is booked in its place.",
        "Start a pod on its disk, and the truth takes the estimates' place. If there is no disk, say so on the page,"
        " and they stay.",
        "Requests that no rule counts hold no reservation: of those nothing is known here. The provider's invoice has"
        " them.",
        "",
        f"What is estimated: {address}",
        "",
    ]
    body = {
        "pod": facts["pod"],
        "estimated": count,
        "cost_nano_usd": cost,
        "cost_usd": usd_text(NanoUsd(cost)),
        "exchanges": named,
        "since": instant(first_at),
        "url": address,
    }
    subject = f"{pod}: {requests} booked as estimates, {dollars(cost)}"
    return _message(delivery_id, finding, organization, ORPHANED_USAGE, subject, lines, body)


def _message(
    delivery_id: UUID,
    finding: Finding,
    organization: str,
    event: str,
    subject: str,
    lines: list[str],
    body: dict[str, Any],
) -> Message:
    return Message(
        id=delivery_id.hex,
        subject=one_line(subject),
        text="\n".join(lines),
        event=event,
        at=finding.found_at,
        body={
            "id": delivery_id.hex,
            "event": event,
            "at": instant(finding.found_at),
            "organization": organization,
            "organization_id": finding.organization_id.hex,
            **body,
        },
    )
