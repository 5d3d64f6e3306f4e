"""Take away what nothing rests on any more. Keys stay in the books, and with them what they were charged to."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, ProtectedError

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.organizations.services.teams import lead_follow


@transaction.atomic
def team_delete(*, team: Team, actor: Actor, reason: str = "") -> None:
    """Take a team away; the people in it stay. Raises ValidationError while keys or service accounts belong to it."""
    facts = {"name": team.name, "cost_centre": team.cost_centre, "tags": dict(team.tags)}
    lead = team.lead
    _delete(team, "team", team.name, facts, actor, reason)
    lead_follow(team, before=lead, actor=actor)


@transaction.atomic
def service_account_delete(*, service_account: ServiceAccount, actor: Actor, reason: str = "") -> None:
    """Take a service account away. Raises ValidationError when it ever had a key: then it can only be switched off."""
    facts = {"name": service_account.name, "description": service_account.description}
    _delete(service_account, "service_account", service_account.name, facts, actor, reason)


def _delete(row: Team | ServiceAccount, kind: str, name: str, facts: dict[str, Any], actor: Actor, reason: str) -> None:
    organization_id, subject = row.organization_id, Subject(kind, row.id.hex, name)
    try:
        with transaction.atomic():
            row.delete()
    except ProtectedError as failure:
        raise ValidationError({kind: f"{name} still has {_named(failure.protected_objects)}."}) from failure
    record_change(
        organization_id=organization_id,
        actor=actor,
        action=f"{kind}.deleted",
        subject=subject,
        before=facts,
        reason=reason,
        shards=(ShardKind.POLICY,),
    )


def _named(rows: set[Model]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        word = str(row._meta.verbose_name)
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for word, number in sorted(counts.items()))
