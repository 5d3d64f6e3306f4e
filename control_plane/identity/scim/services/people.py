"""People, as a provider creates, changes, deactivates and deletes them.

Deactivating somebody takes them out of the organization in one transaction: keys and API tokens are revoked for good,
running streams are cut, and without another organization the account is closed, which ends console sessions. What
they were is kept, so that `active: true` brings the person back, without the keys.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.services import user_subject
from control_plane.audit.services import Actor, ShardKind, record_change
from control_plane.identity.scim.documents import Document, PersonFacts, facts_of, read_document
from control_plane.identity.scim.errors import Clash, NotThere, sentence
from control_plane.identity.scim.models import ScimUser
from control_plane.identity.scim.patching import Operation, person_patched
from control_plane.identity.scim.queries import people_of
from control_plane.identity.scim.services.accounts import (
    Directory,
    account_close,
    account_for,
    account_open,
    account_set,
    check_may_leave,
)
from control_plane.identity.scim.services.group_roles import roles_follow
from control_plane.keys.services import membership_remove
from control_plane.organizations.models import Membership, Organization, Role, Team, TeamMembership
from control_plane.organizations.selectors import membership_of
from control_plane.organizations.services import INSTALLATION, membership_add, team_member_add, team_update

REASON = "deactivated by the identity provider"


def person_locked(organization: Organization, person_id: UUID) -> ScimUser:
    """One person of the organization, locked for a change. Raises NotThere."""
    person = people_of(organization).select_for_update(of=("self",)).filter(id=person_id).first()
    if person is None:
        raise NotThere("user")
    return person


@transaction.atomic
def person_create(*, organization: Organization, body: object, by: Directory) -> ScimUser:
    """Bring a person in, also before their first sign-in. Raises ScimError."""
    document = read_document(body)
    facts = facts_of(document)
    _check_name_free(organization, facts.user_name)
    user = account_for(organization=organization, facts=facts, actor=by.actor)
    account_set(user=user, organization=organization, facts=facts, by=by)
    person = ScimUser(organization=organization, user=user)
    _put(person, document, facts)
    person.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=by.actor,
        action="scim_user.created",
        subject=user_subject(user),
        after=_facts(person),
        shards=(ShardKind.POLICY,),
    )
    _set_active(person, facts.is_active, by)
    if not facts.is_active:
        account_close(user=user, actor=by.actor, reason="provisioned as inactive")
    return person


@transaction.atomic
def person_replace(*, person: ScimUser, body: object, by: Directory) -> ScimUser:
    """Set all of a person's attributes (PUT). What is left out is unassigned, except whether they are active."""
    document = read_document(body)
    document.setdefault("active", _is_member(person))
    return _change(person, document, by)


@transaction.atomic
def person_patch(*, person: ScimUser, operations: list[Operation], by: Directory) -> ScimUser:
    """Apply the operations of a PATCH, all of them or none. Raises ScimError."""
    return _change(person, person_patched({**person.document, "active": _is_member(person)}, operations), by)


@transaction.atomic
def person_delete(*, person: ScimUser, by: Directory) -> None:
    """Deactivate a person and forget the id the provider had for them. Their history stays."""
    _set_active(person, False, by)
    person.deleted_at = timezone.now()
    # What the directory knew of the person is not history; who it was and when is.
    person.document, person.emails = {}, ""
    person.groups.all().delete()
    person.save(update_fields=["deleted_at", "document", "emails", "updated_at"])
    record_change(
        organization_id=person.organization_id,
        actor=by.actor,
        action="scim_user.deleted",
        subject=user_subject(person.user),
        before=_facts(person),
    )


def _change(person: ScimUser, document: Document, by: Directory) -> ScimUser:
    facts = facts_of(document)
    before, attributes_before = _facts(person), dict(person.document)
    if facts.user_name.lower() != person.user_name.lower():
        _check_name_free(person.organization, facts.user_name)
    has_moved = account_set(user=person.user, organization=person.organization, facts=facts, by=by)
    _put(person, document, facts)
    changed = sorted(
        name
        for name in {*person.document, *attributes_before}
        if person.document.get(name) != attributes_before.get(name)
    )
    if changed or has_moved:
        person.revision += 1
        person.save()
        record_change(
            organization_id=person.organization_id,
            actor=by.actor,
            action="scim_user.updated",
            subject=user_subject(person.user),
            before=before,
            after={**_facts(person), "changed": changed},
            shards=(ShardKind.POLICY,) if has_moved else (),
        )
    _set_active(person, facts.is_active, by)
    return person


def _set_active(person: ScimUser, is_active: bool, by: Directory) -> None:
    membership = membership_of(person.user, person.organization)
    if is_active and membership is None:
        _let_in(person, by.actor)
    elif not is_active and membership is not None:
        _take_out(person, membership, by)


def _take_out(person: ScimUser, membership: Membership, by: Directory) -> None:
    check_may_leave(membership, by)
    places = TeamMembership.objects.filter(organization=person.organization, user=person.user)
    person.left_role, person.left_tags = str(membership.role), dict(membership.tags)
    person.left_team_ids = [team_id.hex for team_id in places.values_list("team_id", flat=True)]
    led = Team.objects.filter(organization=person.organization, lead=person.user)
    person.left_led_team_ids = [team_id.hex for team_id in led.values_list("id", flat=True)]
    try:
        membership_remove(membership=membership, actor=by.actor, reason=REASON, by=INSTALLATION)
    except ValidationError as failure:
        raise Clash(sentence(failure.message_dict), "mutability") from failure
    _note_activity(person, False, by.actor)
    account_close(user=person.user, actor=by.actor, reason=REASON)


def _let_in(person: ScimUser, actor: Actor) -> None:
    organization, user = person.organization, person.user
    account_open(user=user, actor=actor)
    # Owners are made by owners, not by a directory: one who comes back is an admin.
    role = Role(person.left_role) if person.left_role else Role.MEMBER
    membership_add(
        organization=organization,
        user=user,
        role=Role.ADMIN if role is Role.OWNER else role,
        tags=person.left_tags,
        actor=actor,
        by=INSTALLATION,
    )
    groups = person.groups.values("group__team_id")
    teams = Team.objects.filter(organization=organization)
    for team in teams.filter(id__in=[UUID(found) for found in person.left_team_ids]) | teams.filter(id__in=groups):
        team_member_add(team=team, user=user, actor=actor)
    for team in teams.filter(id__in=[UUID(found) for found in person.left_led_team_ids], lead__isnull=True):
        team_update(team=team, lead=user, actor=actor)
    person.left_role, person.left_tags, person.left_team_ids, person.left_led_team_ids = "", {}, [], []
    _note_activity(person, True, actor)
    roles_follow(organization=organization, person_ids=[person.id], actor=actor)


def _note_activity(person: ScimUser, is_active: bool, actor: Actor) -> None:
    person.revision += 1
    person.save()
    record_change(
        organization_id=person.organization_id,
        actor=actor,
        action="scim_user.activated" if is_active else "scim_user.deactivated",
        subject=user_subject(person.user),
        before={"is_active": not is_active},
        after={"is_active": is_active},
    )


def _put(person: ScimUser, document: Mapping[str, Any], facts: PersonFacts) -> None:
    person.document = {name: value for name, value in document.items() if name != "active"}
    person.user_name, person.external_id = facts.user_name, facts.external_id
    person.emails = facts.searched_emails


def _is_member(person: ScimUser) -> bool:
    return membership_of(person.user, person.organization) is not None


def _check_name_free(organization: Organization, user_name: str) -> None:
    if people_of(organization).filter(user_name__iexact=user_name).exists():
        raise Clash(f"The userName {user_name} belongs to another person.")


def _facts(person: ScimUser) -> dict[str, Any]:
    """What the audit may say: who it is, not what a directory knows of them besides."""
    return {
        "user_name": person.user_name,
        "external_id": person.external_id,
        "email": person.user.email,
    }
