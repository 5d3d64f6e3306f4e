"""Roles that groups give. The strongest of a person's groups counts; owners are left alone."""

from collections.abc import Collection
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.identity.scim.errors import Clash, sentence
from control_plane.identity.scim.models import GRANTABLE_ROLES, ScimGroup, ScimGroupMember, ScimUser
from control_plane.organizations.models import Membership, Organization, Role
from control_plane.organizations.services import INSTALLATION, Grantor, check_role_change, membership_update

_STRENGTH = {role.value: number for number, role in enumerate(Role)}
BATCH = 1000


@transaction.atomic
def group_role_set(*, group: ScimGroup, role: Role | None, actor: Actor, by: Grantor, reason: str = "") -> ScimGroup:
    """Say which role being in a group gives; None: no longer any. Takes effect for its people now.

    by: whose rights bound it. Raises ValidationError for a role that groups may not give,
    GrantTooWide for one that goes further than the giver's own.
    """
    group = ScimGroup.objects.select_for_update().get(id=group.id, organization_id=group.organization_id)
    wanted = "" if role is None else role.value
    if role is not None and role not in GRANTABLE_ROLES:
        raise ValidationError({"role": "Owners are made by owners; a group of a directory cannot make one."})
    if group.role == wanted:
        return group
    if role is not None:
        check_role_change(by, None, role)
    before, group.role = group.role, wanted
    group.save(update_fields=["role", "updated_at"])
    record_change(
        organization_id=group.organization_id,
        actor=actor,
        action="scim_group.role_set",
        subject=group_subject(group),
        before={"role": before},
        after={"role": wanted},
        reason=reason,
    )
    people = list(group.members.values_list("person_id", flat=True))
    roles_follow(organization=group.organization, person_ids=people, actor=actor)
    return group


def roles_follow(*, organization: Organization, person_ids: Collection[UUID], actor: Actor) -> None:
    """Give these people the roles of their groups, and take away what a group gave that gives it no more."""
    ids = list(person_ids)
    for start in range(0, len(ids), BATCH):
        _follow(organization, ids[start : start + BATCH], actor)


def _follow(organization: Organization, person_ids: list[UUID], actor: Actor) -> None:
    given: dict[UUID, str] = {}
    rows = ScimGroupMember.objects.filter(organization=organization, person_id__in=person_ids).exclude(group__role="")
    for person_id, role in rows.values_list("person_id", "group__role"):
        given[person_id] = min(role, given.get(person_id, role), key=_STRENGTH.__getitem__)
    people = ScimUser.objects.filter(organization=organization, id__in=person_ids)
    # Most people are in no group that gives a role, and have none from one.
    people = people.filter(id__in=list(given)) | people.filter(has_role_from_group=True)
    found = list(people)
    memberships = {
        row.user_id: row
        for row in Membership.objects.filter(
            organization=organization, user_id__in=[person.user_id for person in found]
        ).select_related("user", "organization")
    }
    for person in found:
        membership = memberships.get(person.user_id)
        if membership is None or membership.role == Role.OWNER:
            continue
        _set_role(person, membership, given.get(person.id), actor)


def _set_role(person: ScimUser, membership: Membership, given: str | None, actor: Actor) -> None:
    if given and not person.has_role_from_group and _STRENGTH[membership.role] <= _STRENGTH[given]:
        # What a person has by another way is not taken away by a group that gives less.
        return
    try:
        membership_update(
            membership=membership, role=Role(given) if given else Role.MEMBER, actor=actor, by=INSTALLATION
        )
    except ValidationError as failure:
        raise Clash(sentence(failure.message_dict), "mutability") from failure
    if person.has_role_from_group != bool(given):
        person.has_role_from_group = bool(given)
        person.save(update_fields=["has_role_from_group"])


def group_subject(group: ScimGroup) -> Subject:
    return Subject("scim_group", group.id.hex, group.display_name)
