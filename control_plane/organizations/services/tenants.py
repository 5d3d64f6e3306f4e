"""Change organizations."""

from typing import Any

from django.db import transaction

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import (
    DEFAULT_MAX_STALE_MS,
    Organization,
    OrganizationState,
)

ALL_SHARDS = (ShardKind.GLOBAL, ShardKind.POLICY, ShardKind.KEYS, ShardKind.DENY)


def organization_subject(organization: Organization) -> Subject:
    return Subject("organization", organization.id.hex, organization.name)


@transaction.atomic
def organization_create(
    *,
    slug: str,
    name: str,
    actor: Actor,
    contact: str = "",
    max_stale_ms: int = DEFAULT_MAX_STALE_MS,
    gateway_public_url: str = "",
) -> Organization:
    """Add a tenant. Its shards are compiled before pods hear of it."""
    organization = Organization(
        slug=slug,
        name=name.strip(),
        contact=contact,
        max_stale_ms=max_stale_ms,
        gateway_public_url=gateway_public_url.rstrip("/"),
    )
    organization.full_clean()
    organization.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="organization.created",
        subject=organization_subject(organization),
        after=_organization_facts(organization),
        shards=ALL_SHARDS,
    )
    return organization


@transaction.atomic
def organization_update(
    *,
    organization: Organization,
    actor: Actor,
    name: str | None = None,
    contact: str | None = None,
    max_stale_ms: int | None = None,
    gateway_public_url: str | None = None,
    leads_may_set_budgets: bool | None = None,
    leads_may_mint_service_keys: bool | None = None,
    leads_may_add_members: bool | None = None,
    budget_status: str | None = None,
) -> Organization:
    """Change a tenant's facts; None leaves a fact as it is."""
    before = _organization_facts(organization)
    if name is not None:
        organization.name = name.strip()
    if contact is not None:
        organization.contact = contact
    if max_stale_ms is not None:
        organization.max_stale_ms = max_stale_ms
    if gateway_public_url is not None:
        organization.gateway_public_url = gateway_public_url.rstrip("/")
    if leads_may_set_budgets is not None:
        organization.leads_may_set_budgets = leads_may_set_budgets
    if leads_may_mint_service_keys is not None:
        organization.leads_may_mint_service_keys = leads_may_mint_service_keys
    if leads_may_add_members is not None:
        organization.leads_may_add_members = leads_may_add_members
    if budget_status is not None:
        organization.budget_status = budget_status
    after = _organization_facts(organization)
    if after == before:
        return organization
    organization.full_clean()
    organization.save()
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="organization.updated",
        subject=organization_subject(organization),
        before=before,
        after=after,
        shards=(ShardKind.GLOBAL, ShardKind.POLICY),
    )
    return organization


@transaction.atomic
def counter_generation_raise(*, organization: Organization, actor: Actor, reason: str, above: int | None = None) -> int:
    """Say that the counters were lost or went back in time: pods take the store up anew, and the books make it whole.

    Gives the generation in force then. Counters of the one before are no longer believed. above: the one that was lost;
    where a later one is in force already, somebody else has said it and nothing changes.
    """
    row = Organization.objects.select_for_update(no_key=True).get(id=organization.id)
    before = row.counter_generation
    if above is not None and before > above:
        return before
    row.counter_generation = organization.counter_generation = max(before, above or 0) + 1
    row.save(update_fields=["counter_generation", "updated_at"])
    record_change(
        organization_id=row.id,
        actor=actor,
        action="organization.counter_generation_raised",
        subject=organization_subject(row),
        before={"counter_generation": before},
        after={"counter_generation": row.counter_generation},
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
    return row.counter_generation


@transaction.atomic
def organization_disable(*, organization: Organization, actor: Actor, reason: str = "") -> Organization:
    """Switch a tenant off: pods refuse all its keys by name. Nothing is deleted."""
    return _organization_state_set(organization, OrganizationState.DISABLED, actor, reason)


@transaction.atomic
def organization_enable(*, organization: Organization, actor: Actor, reason: str = "") -> Organization:
    """Switch a tenant on again."""
    return _organization_state_set(organization, OrganizationState.KNOWN, actor, reason)


def _organization_state_set(
    organization: Organization, state: OrganizationState, actor: Actor, reason: str
) -> Organization:
    before = _organization_facts(organization)
    if organization.state == state:
        return organization
    organization.state = state
    organization.save(update_fields=["state", "updated_at"])
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="organization.disabled" if state == OrganizationState.DISABLED else "organization.enabled",
        subject=organization_subject(organization),
        before=before,
        after=_organization_facts(organization),
        reason=reason,
        shards=(ShardKind.GLOBAL,),
    )
    return organization


def _organization_facts(organization: Organization) -> dict[str, Any]:
    return {
        "slug": organization.slug,
        "name": organization.name,
        "state": str(organization.state),
        "max_stale_ms": organization.max_stale_ms,
        "contact": organization.contact,
        "gateway_public_url": organization.gateway_public_url,
        "leads_may_set_budgets": organization.leads_may_set_budgets,
        "leads_may_mint_service_keys": organization.leads_may_mint_service_keys,
        "leads_may_add_members": organization.leads_may_add_members,
        "budget_status": str(organization.budget_status),
    }
