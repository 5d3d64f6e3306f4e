"""Change the names that clients may use."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import is_served_by
from control_plane.organizations.models import Organization
from control_plane.routing.models import Target, VirtualModel
from control_plane.routing.selectors import short_names_offered


@transaction.atomic
def virtual_model_set(
    *, organization: Organization, name: str, provider: Provider, model: str, actor: Actor
) -> VirtualModel:
    """Let a name lead to a provider's model; an existing name is led elsewhere. Raises ValidationError."""
    if provider.organization_id != organization.id:
        raise ValidationError({"provider": "There is no such provider in this organization."})
    model = model.strip()
    if not is_served_by(provider, model):
        raise ValidationError({"model": f"{provider.name} does not serve {model!r}; its list of models decides."})
    existing = VirtualModel.objects.select_for_update().filter(organization=organization, name=name.strip()).first()
    if existing is None:
        virtual_model = VirtualModel(organization=organization, name=name.strip())
        virtual_model.full_clean()
        virtual_model.save(force_insert=True)
        target = Target(organization=organization, virtual_model=virtual_model, provider=provider, model=model)
        target.full_clean()
        target.save(force_insert=True)
        _record(virtual_model, actor, "virtual_model.created", before=None, after=_facts(target))
        return virtual_model
    target = Target.objects.select_related("provider").get(virtual_model=existing)
    before = _facts(target)
    target.provider, target.model = provider, model
    if _facts(target) == before:
        return existing
    target.full_clean()
    target.save()
    existing.save(update_fields=["updated_at"])
    _record(existing, actor, "virtual_model.updated", before=before, after=_facts(target))
    return existing


@transaction.atomic
def virtual_model_delete(*, virtual_model: VirtualModel, actor: Actor, reason: str = "") -> None:
    """Take a name away; clients that ask for it are told the closest ones."""
    target = Target.objects.select_related("provider").get(virtual_model=virtual_model)
    record_change(
        organization_id=virtual_model.organization_id,
        actor=actor,
        action="virtual_model.deleted",
        subject=Subject("virtual_model", virtual_model.id.hex, virtual_model.name),
        before=_facts(target),
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
    virtual_model.delete()


@transaction.atomic
def virtual_models_offer(*, provider: Provider, actor: Actor, names: Iterable[str] | None = None) -> list[VirtualModel]:
    """Make the short names that a provider offers and nobody uses yet. names: only these; None: all."""
    wanted = None if names is None else set(names)
    return [
        virtual_model_set(
            organization=provider.organization, name=offer.name, provider=provider, model=offer.model, actor=actor
        )
        for offer in short_names_offered(provider)
        if offer.is_free and (wanted is None or offer.name in wanted)
    ]


def _facts(target: Target) -> dict[str, Any]:
    return {"provider": target.provider.name, "model": target.model}


def _record(
    virtual_model: VirtualModel, actor: Actor, action: str, *, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    record_change(
        organization_id=virtual_model.organization_id,
        actor=actor,
        action=action,
        subject=Subject("virtual_model", virtual_model.id.hex, virtual_model.name),
        before=before,
        after=after,
        shards=(ShardKind.POLICY,),
    )
