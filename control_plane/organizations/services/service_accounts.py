"""Change service accounts. Switching one off ends keys and lives in `control_plane.keys.services`."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import (
    Organization,
    ServiceAccount,
    Team,
)
from control_plane.organizations.tags import checked_tags


@transaction.atomic
def service_account_create(
    *,
    organization: Organization,
    name: str,
    team: Team,
    actor: Actor,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> ServiceAccount:
    """Add a service account, charged to a team of the same organization."""
    check_same_organization(organization, team, "team")
    account = ServiceAccount(
        organization=organization, name=name.strip(), team=team, description=description, tags=checked_tags(tags)
    )
    account.full_clean()
    account.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="service_account.created",
        subject=Subject("service_account", account.id.hex, account.name),
        after=_service_account_facts(account),
        shards=(ShardKind.POLICY,),
    )
    return account


@transaction.atomic
def service_account_update(
    *,
    service_account: ServiceAccount,
    actor: Actor,
    name: str | None = None,
    team: Team | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> ServiceAccount:
    """Change a service account; None leaves a fact as it is. Its keys keep the team they were minted for."""
    before = _service_account_facts(service_account)
    if name is not None:
        service_account.name = name.strip()
    if team is not None:
        check_same_organization(service_account.organization, team, "team")
        service_account.team = team
    if description is not None:
        service_account.description = description
    if tags is not None:
        service_account.tags = checked_tags(tags)
    after = _service_account_facts(service_account)
    if after == before:
        return service_account
    service_account.full_clean()
    service_account.save()
    record_change(
        organization_id=service_account.organization_id,
        actor=actor,
        action="service_account.updated",
        subject=Subject("service_account", service_account.id.hex, service_account.name),
        before=before,
        after=after,
        shards=(ShardKind.POLICY,),
    )
    return service_account


def check_same_organization(organization: Organization, owned: Team | ServiceAccount, field: str) -> None:
    """Raise ValidationError when something belongs to another organization; says no more than that it is unknown."""
    if owned.organization_id != organization.id:
        raise ValidationError({field: "There is no such one in this organization."})


def _service_account_facts(account: ServiceAccount) -> dict[str, Any]:
    return {
        "name": account.name,
        "team": account.team.name,
        "description": account.description,
        "tags": dict(account.tags),
        "is_active": account.is_active,
    }
