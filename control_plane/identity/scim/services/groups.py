"""Groups, as a provider creates, renames, fills and deletes them. Each is kept in one team.

People are added and removed in bulk: the number of queries does not depend on how many there are, and one change in
the audit names them all.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.audit.services import Actor, record_change
from control_plane.identity.scim.documents import MAX_NAME, text_of
from control_plane.identity.scim.errors import Clash, NotThere, Unreadable, sentence
from control_plane.identity.scim.filters import Compare, Condition, Path, Some
from control_plane.identity.scim.models import ScimGroup, ScimGroupMember
from control_plane.identity.scim.patching import Operation, read_target
from control_plane.identity.scim.queries import groups_of, people_of
from control_plane.identity.scim.schemas import READ_ONLY
from control_plane.identity.scim.services.group_roles import group_subject, roles_follow
from control_plane.organizations.models import NAME_PATTERN, Organization, Team, TeamMembership
from control_plane.organizations.selectors import teams_of
from control_plane.organizations.services import team_create, team_update

MAX_MEMBERS = 20_000
BATCH = 1000


@dataclass(slots=True)
class GroupChange:
    """What operations come down to. members None: nobody is added or removed."""

    display_name: str
    external_id: str
    members: set[UUID] | None = None


def group_locked(organization: Organization, group_id: UUID) -> ScimGroup:
    """One group of the organization, locked for a change. Raises NotThere."""
    group = groups_of(organization).select_for_update(of=("self",)).filter(id=group_id).first()
    if group is None:
        raise NotThere("group")
    return group


@transaction.atomic
def group_create(*, organization: Organization, body: object, actor: Actor) -> ScimGroup:
    """Add a group with its people; a team of that name which no group has yet becomes its team. Raises ScimError."""
    given = _read_group(body)
    _check_name_free(organization, given.display_name)
    name = _team_name(given.display_name)
    taken = ScimGroup.objects.filter(organization=organization).values("team_id")
    team = teams_of(organization).filter(name__iexact=name).exclude(id__in=taken).first()
    if team is None:
        team = team_create(organization=organization, name=_free_team_name(organization, name, given), actor=actor)
    group = ScimGroup(
        organization=organization, team=team, display_name=given.display_name, external_id=given.external_id
    )
    group.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="scim_group.created",
        subject=group_subject(group),
        after=_facts(group),
    )
    _set_members(group, given.members or set(), actor)
    return group


@transaction.atomic
def group_replace(*, group: ScimGroup, body: object, actor: Actor) -> ScimGroup:
    """Set name and people of a group (PUT)."""
    given = _read_group(body)
    given.members = given.members or set()
    return _change(group, given, actor)


@transaction.atomic
def group_patch(*, group: ScimGroup, operations: Sequence[Operation], actor: Actor) -> ScimGroup:
    """Apply the operations of a PATCH, all of them or none. Raises ScimError."""
    change = GroupChange(group.display_name, group.external_id)
    for operation in operations:
        if operation.path:
            _apply(group, change, operation.kind, operation.path, operation.value, is_named=True)
            continue
        if not isinstance(operation.value, Mapping):
            raise Unreadable("An operation without a path has an object for its value.", "noTarget")
        for path, value in operation.value.items():
            _apply(group, change, operation.kind, str(path), value, is_named=False)
    return _change(group, change, actor)


@transaction.atomic
def group_delete(*, group: ScimGroup, actor: Actor) -> None:
    """Forget a group. Its people leave the team; the team stays, since keys and history are charged to it."""
    people = list(group.members.values_list("person_id", flat=True))
    _set_members(group, set(), actor)
    record_change(
        organization_id=group.organization_id,
        actor=actor,
        action="scim_group.deleted",
        subject=group_subject(group),
        before=_facts(group),
    )
    organization = group.organization
    group.delete()
    roles_follow(organization=organization, person_ids=people, actor=actor)


def _change(group: ScimGroup, change: GroupChange, actor: Actor) -> ScimGroup:
    before = _facts(group)
    if change.display_name != group.display_name:
        _rename(group, change, actor)
    group.external_id = change.external_id
    if _facts(group) != before:
        group.revision += 1
        group.save()
        record_change(
            organization_id=group.organization_id,
            actor=actor,
            action="scim_group.updated",
            subject=group_subject(group),
            before=before,
            after=_facts(group),
        )
    if change.members is not None:
        _set_members(group, change.members, actor)
    return group


def _rename(group: ScimGroup, change: GroupChange, actor: Actor) -> None:
    if change.display_name.lower() != group.display_name.lower():
        _check_name_free(group.organization, change.display_name)
    group.display_name = change.display_name
    name = _team_name(change.display_name)
    if name.lower() != group.team.name.lower():
        name = _free_team_name(group.organization, name, change)
    try:
        team_update(team=group.team, name=name, actor=actor)
    except ValidationError as failure:
        raise Unreadable(sentence(failure.message_dict)) from failure


def _set_members(group: ScimGroup, wanted: Collection[UUID], actor: Actor) -> None:
    """Make the group hold exactly these people; those who are active are in its team too."""
    if len(wanted) > MAX_MEMBERS:
        raise Unreadable(f"A group has at most {MAX_MEMBERS} members.", "tooMany")
    present = set(group.members.values_list("person_id", flat=True))
    joining = _people(group.organization, set(wanted) - present)
    leaving = list(people_of(group.organization).filter(id__in=present - set(wanted)))
    if not joining and not leaving:
        return
    ScimGroupMember.objects.bulk_create(
        (ScimGroupMember(organization_id=group.organization_id, group=group, person=person) for person in joining),
        batch_size=BATCH,
    )
    TeamMembership.objects.bulk_create(
        (
            TeamMembership(organization_id=group.organization_id, team=group.team, user_id=person.user_id)
            for person in joining
            if person.is_member
        ),
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    group.members.filter(person__in=leaving).delete()
    TeamMembership.objects.filter(
        organization_id=group.organization_id, team=group.team, user__in=[person.user_id for person in leaving]
    ).delete()
    group.revision += 1
    group.save(update_fields=["revision", "updated_at"])
    record_change(
        organization_id=group.organization_id,
        actor=actor,
        action="scim_group.members_changed",
        subject=group_subject(group),
        after={
            "team": group.team.name,
            "joined": sorted(person.user.email for person in joining),
            "left": sorted(person.user.email for person in leaving),
        },
    )
    roles_follow(
        organization=group.organization, person_ids=[person.id for person in (*joining, *leaving)], actor=actor
    )


def _people(organization: Organization, ids: Collection[UUID]) -> list[Any]:
    """The rows of these people, with `is_member`."""
    found = list(people_of(organization).filter(id__in=ids)) if ids else []
    if len(found) < len(ids):
        unknown = sorted(str(each) for each in set(ids) - {person.id for person in found})
        raise Unreadable(f"There is no user {unknown[0]} here; {len(unknown)} of the members are unknown.")
    return found


def _apply(group: ScimGroup, change: GroupChange, kind: str, path: str, value: Any, *, is_named: bool) -> None:
    target = read_target(path)
    match target.name:
        case "displayname":
            if kind == "remove":
                raise Unreadable("A group has a name.", "mutability")
            change.display_name = _name(value)
        case "externalid":
            change.external_id = "" if kind == "remove" or value is None else _external_id(value)
        case "members":
            present = change.members
            if present is None:
                present = set(group.members.values_list("person_id", flat=True))
            change.members = _members_after(present, kind, target.condition, value)
        case name if name in READ_ONLY and is_named:
            raise Unreadable(f"{path} is not for providers to change.", "mutability")
        case _:
            return


def _members_after(present: set[UUID], kind: str, condition: Condition | None, value: Any) -> set[UUID]:
    if condition is not None:
        named = _ids_of(condition)
        if kind == "remove":
            return present - named
        raise Unreadable("Members are added and replaced as a list, not one by one.", "invalidPath")
    if kind == "remove":
        # Entra names those who leave in the value; without one everybody does (RFC 7644 §3.5.2.2).
        return set() if value in (None, []) else present - _member_ids(value, is_lenient=True)
    given = _member_ids(value, is_lenient=False)
    return present | given if kind == "add" else given


def _ids_of(condition: Condition) -> set[UUID]:
    match condition:
        case Compare(Path(attribute), "eq", value) if attribute.lower() == "value":
            return _member_ids([value], is_lenient=True)
        case Some(terms):
            return {found for term in terms for found in _ids_of(term)}
    raise Unreadable('Members are picked by value eq "..." only.', "invalidFilter")


def _member_ids(value: Any, *, is_lenient: bool) -> set[UUID]:
    """Read a list of members. is_lenient: what is no id of ours is passed over, as nobody to remove."""
    return set(_each_id(value if isinstance(value, list) else [value], is_lenient))


def _each_id(members: Iterable[Any], is_lenient: bool) -> Iterable[UUID]:
    for member in members:
        found = (
            next((part for key, part in member.items() if str(key).lower() == "value"), None)
            if isinstance(member, Mapping)
            else member
        )
        if not isinstance(found, str):
            raise Unreadable("A member is an object with the id of a user as its value.")
        try:
            yield UUID(found)
        except ValueError:
            if not is_lenient:
                raise Unreadable(f"{found[:100]!r} is no id of a user here.") from None


def _read_group(body: object) -> GroupChange:
    if not isinstance(body, Mapping):
        raise Unreadable("A JSON object is expected.", "invalidSyntax")
    parts = {str(key).lower(): value for key, value in body.items()}
    members = parts.get("members")
    return GroupChange(
        display_name=_name(parts.get("displayname")),
        external_id=_external_id(parts.get("externalid") or ""),
        members=None if members is None else _member_ids(members, is_lenient=False),
    )


def _name(value: Any) -> str:
    name = text_of(value if value is not None else "", "displayName", MAX_NAME)
    if not name:
        raise Unreadable("displayName is required.")
    return name


def _external_id(value: Any) -> str:
    return text_of(value, "externalId", MAX_NAME)


def _check_name_free(organization: Organization, display_name: str) -> None:
    if groups_of(organization).filter(display_name__iexact=display_name).exists():
        raise Clash(f"The displayName {display_name} belongs to another group.")


def _team_name(display_name: str) -> str:
    """The name as teams may have it: plain letters, digits and a few signs."""
    if re.fullmatch(NAME_PATTERN, display_name):
        return display_name
    plain = unicodedata.normalize("NFKD", display_name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    words = " ".join(re.sub(r"[^A-Za-z0-9._-]+", " ", plain).split())
    name = re.sub(r"^[^A-Za-z0-9]+", "", words)[:90].rstrip(" -_")
    return name or f"group-{_mark(display_name)}"


def _free_team_name(organization: Organization, name: str, change: GroupChange) -> str:
    """The name, with a mark of the group's own where another team has it."""
    is_taken = Team.objects.filter(organization=organization, name__iexact=name).exists()
    return f"{name[:90]}-{_mark(change.display_name + change.external_id)}" if is_taken else name


def _mark(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]


def _facts(group: ScimGroup) -> dict[str, Any]:
    return {"display_name": group.display_name, "external_id": group.external_id, "team": group.team.name}
