"""ServiceAccount: a tool, CI job or application that holds keys of its own."""

from collections.abc import Iterable, Sequence

from control_plane.declarative.kinds.kind import Key, Kind, PolicyObject, Present, Reference, Spec, Wanted, World
from control_plane.declarative.kinds.rows import gone_or_kept, locked_rows
from control_plane.declarative.kinds.team import TEAM_NAME
from control_plane.declarative.shapes import TAGS, Field, Flag, Record, Text
from control_plane.keys.services import service_account_activity_set
from control_plane.organizations.models import Organization, ServiceAccount, Team
from control_plane.organizations.roles import Permission
from control_plane.organizations.services import service_account_create, service_account_delete, service_account_update


class ServiceAccountKind(Kind):
    name = "ServiceAccount"
    title = "A tool, CI job or application that holds keys of its own."
    order = 30
    name_shape = TEAM_NAME
    spec = Record(
        (
            Field("team", TEAM_NAME, "The team that is charged."),
            Field("description", Text(500), "What it is for.", ""),
            Field("tags", TAGS, "Small text facts that end up on every usage event.", {}),
            Field("is_active", Flag(), "false: every key of it is denied.", True),
        )
    )
    read_right = Permission.SERVICE_ACCOUNTS_READ
    manage_right = Permission.SERVICE_ACCOUNTS_MANAGE
    subject_kinds = frozenset({"service_account"})
    removes_on_restore = False
    example = """\
kind: ServiceAccount
metadata: {name: release-pipeline}
spec:
  team: platform
  description: Writes release notes.
  tags: {environment: ci}
"""

    def references(self, spec: Spec) -> Iterable[Reference]:
        yield Reference(("spec", "team"), Key("Team", spec["team"]))

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(
            ServiceAccount.objects.filter(organization=organization).select_related("team", "organization"), locks=locks
        )
        return [
            Present(
                PolicyObject(
                    Key(self.name, row.name),
                    {
                        "team": row.team.name,
                        "description": row.description,
                        "tags": {name: row.tags[name] for name in sorted(row.tags)},
                        "is_active": row.is_active,
                    },
                ),
                row,
            )
            for row in rows
        ]

    def create(self, world: World, wanted: Wanted) -> None:
        spec = wanted.spec
        account = service_account_create(
            organization=world.organization,
            name=wanted.object.key.name,
            team=_team(world.organization, spec["team"]),
            description=spec["description"],
            tags=spec["tags"],
            actor=world.actor,
        )
        if not spec["is_active"]:
            service_account_activity_set(
                service_account=account, is_active=False, actor=world.actor, reason=world.reason
            )

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        spec = wanted.spec
        service_account_update(
            service_account=present.row,
            team=_team(world.organization, spec["team"]),
            description=spec["description"],
            tags=spec["tags"],
            actor=world.actor,
        )
        if present.spec["is_active"] != spec["is_active"]:
            service_account_activity_set(
                service_account=present.row, is_active=spec["is_active"], actor=world.actor, reason=world.reason
            )

    def delete(self, world: World, present: Present) -> None:
        with gone_or_kept("Set is_active: false to deny them all."):
            service_account_delete(service_account=present.row, actor=world.actor)


def _team(organization: Organization, name: str) -> Team:
    return Team.objects.get(organization=organization, name=name)


KIND = ServiceAccountKind()
