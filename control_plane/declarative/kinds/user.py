"""User: a person of the organization, known by e-mail; what they may do, and the teams they are in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError

from control_plane.declarative.kinds.kind import (
    Key,
    Kind,
    PolicyObject,
    Present,
    Reference,
    Spec,
    Wanted,
    World,
)
from control_plane.declarative.kinds.rows import gone_or_kept, locked_rows
from control_plane.declarative.kinds.team import EMAIL, TEAM_NAME
from control_plane.declarative.shapes import TAGS, Choice, Field, Flag, ListOf, Record, Text
from control_plane.keys.services import membership_remove, user_deactivate, user_reactivate
from control_plane.organizations.models import Membership, Organization, Role, Team, TeamMembership
from control_plane.organizations.roles import Permission
from control_plane.organizations.services import membership_update, person_add, team_member_add, team_member_remove


class UserKind(Kind):
    name = "User"
    title = "A person of the organization, known by e-mail; what they may do, and the teams they are in."
    order = 20
    name_shape = EMAIL
    spec = Record(
        (
            Field(
                "name", Text(200), "How the account is called when it is made; afterwards the person's own matter.", ""
            ),
            Field("role", Choice(tuple(Role.values)), "What this person may do.", str(Role.MEMBER)),
            Field("teams", ListOf(TEAM_NAME, is_set=True, most=500), "Teams this person is in.", []),
            Field("tags", TAGS, "Small text facts that end up on every usage event.", {}),
            Field("is_active", Flag(), "false: no sign-in, and every key denied.", True),
        )
    )
    read_right = Permission.MEMBERS_READ
    manage_right = Permission.MEMBERS_MANAGE
    subject_kinds = frozenset({"membership", "user"})
    removes_on_restore = False
    field_names = {"email": ("metadata", "name"), "user": ("metadata", "name")}
    example = """\
kind: User
metadata: {name: ada@example.com}
spec:
  name: Ada Lovelace
  role: team_lead
  teams: [platform]
"""

    def references(self, spec: Spec) -> Iterable[Reference]:
        for position, team in enumerate(spec["teams"]):
            yield Reference(("spec", "teams", position), Key("Team", team))

    def objects(self, organization: Organization) -> list[PolicyObject]:
        # Of all kinds this is the one with thousands of rows: making rows of them takes longer than all the rest.
        teams = _teams_of_people(organization)
        rows = Membership.objects.filter(organization=organization).order_by()
        return [
            self._object(email, name, role, teams.get(user_id, ()), tags, is_active)
            for user_id, email, name, role, tags, is_active in rows.values_list(
                "user_id", "user__email", "user__name", "role", "tags", "user__is_active"
            )
        ]

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(Membership.objects.filter(organization=organization).select_related("user"), locks=locks)
        teams = _teams_of_people(organization)
        for row in rows:
            # The services look at it; it is at hand.
            row.organization = organization
        return [
            Present(
                self._object(
                    row.user.email, row.user.name, row.role, teams.get(row.user_id, ()), row.tags, row.user.is_active
                ),
                row,
            )
            for row in rows
        ]

    def _object(
        self, email: str, name: str, role: str, teams: Iterable[str], tags: Mapping[str, str], is_active: bool
    ) -> PolicyObject:
        return PolicyObject(
            Key(self.name, email),
            {
                "name": name,
                "role": str(role),
                "teams": sorted(teams),
                "tags": {tag: tags[tag] for tag in sorted(tags)},
                "is_active": is_active,
            },
        )

    def settled(self, wanted: Wanted, present: Present | None) -> Wanted:
        if present is None or wanted.spec["name"] == present.spec["name"]:
            return wanted
        # People write their names themselves, and may be in other organizations too.
        return Wanted(
            PolicyObject(wanted.object.key, {**wanted.spec, "name": present.spec["name"]}),
            wanted.document,
            wanted.secrets,
        )

    def create(self, world: World, wanted: Wanted) -> None:
        spec = wanted.spec
        membership = person_add(
            organization=world.organization,
            email=wanted.object.key.name,
            password=None,
            name=spec["name"],
            role=Role(spec["role"]),
            teams=_teams(world.organization, spec["teams"]),
            actor=world.actor,
            by=world.standing,
        )
        if spec["tags"]:
            membership_update(membership=membership, tags=spec["tags"], actor=world.actor, by=world.standing)
        if not spec["is_active"]:
            user_deactivate(user=membership.user, actor=world.actor, reason=world.reason, by=world.standing)

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        membership: Membership = present.row
        before, spec = present.spec, wanted.spec
        if (before["role"], before["tags"]) != (spec["role"], spec["tags"]):
            membership_update(
                membership=membership,
                role=Role(spec["role"]),
                tags=spec["tags"],
                actor=world.actor,
                by=world.standing,
            )
        for team in _teams(world.organization, set(spec["teams"]) - set(before["teams"])):
            team_member_add(team=team, user=membership.user, actor=world.actor)
        for team in _teams(world.organization, set(before["teams"]) - set(spec["teams"])):
            team_member_remove(team=team, user=membership.user, actor=world.actor)
        if before["is_active"] == spec["is_active"]:
            return
        _check_only_here(membership)
        if spec["is_active"]:
            user_reactivate(user=membership.user, actor=world.actor, reason=world.reason, by=world.standing)
        else:
            _check_not_oneself(world, membership)
            user_deactivate(user=membership.user, actor=world.actor, reason=world.reason, by=world.standing)

    def delete(self, world: World, present: Present) -> None:
        membership: Membership = present.row
        if world.standing.user_id == membership.user_id:
            with gone_or_kept("Let somebody else take you out."):
                raise ValidationError("You would lock yourself out.")
        with gone_or_kept(""):
            membership_remove(membership=membership, actor=world.actor, reason=world.reason, by=world.standing)


def _teams_of_people(organization: Organization) -> Mapping[UUID, list[str]]:
    teams: dict[UUID, list[str]] = defaultdict(list)
    memberships = TeamMembership.objects.filter(organization=organization).order_by()
    for user_id, team in memberships.values_list("user_id", "team__name"):
        teams[user_id].append(team)
    return teams


def _check_only_here(membership: Membership) -> None:
    if (
        Membership.objects.filter(user_id=membership.user_id)
        .exclude(organization_id=membership.organization_id)
        .exists()
    ):
        raise ValidationError(
            {"is_active": "This person is in other organizations too. Take the membership here away instead."}
        )


def _check_not_oneself(world: World, membership: Membership) -> None:
    if world.standing.user_id == membership.user_id:
        raise ValidationError({"is_active": "You would lock yourself out."})


def _teams(organization: Organization, names: Iterable[str]) -> list[Team]:
    return list(Team.objects.filter(organization=organization, name__in=list(names)).order_by("name"))


KIND = UserKind()
