"""Team: a group of people with a lead and a cost centre; keys are charged to it."""

from collections.abc import Iterable, Sequence

from control_plane.accounts.selectors import user_by_email
from control_plane.declarative.kinds.kind import Key, Kind, PolicyObject, Present, Reference, Spec, Wanted, World
from control_plane.declarative.kinds.rows import gone_or_kept, locked_rows
from control_plane.declarative.shapes import TAGS, Field, Record, Text
from control_plane.organizations.models import NAME_PATTERN, Membership, Organization, Team
from control_plane.organizations.roles import Permission
from control_plane.organizations.services import team_create, team_delete, team_update

TEAM_NAME = Text(
    100,
    "letters, digits, spaces, dots, dashes and underscores, beginning with a letter or digit",
    NAME_PATTERN.replace("^", "").replace("$", ""),
    may_be_empty=False,
    is_trimmed=True,
)
EMAIL = Text(254, "an e-mail address", r"[^@\s]+@[^@\s]+", may_be_empty=False, is_trimmed=True, is_lower=True)


class TeamKind(Kind):
    name = "Team"
    title = "A group of people with a lead and a cost centre; keys are charged to it."
    order = 10
    name_shape = TEAM_NAME
    spec = Record(
        (
            Field("cost_centre", Text(100), "Where finance books it.", ""),
            Field("lead", EMAIL, "E-mail of the lead, a user of the organization.", None),
            Field("tags", TAGS, "Small text facts that end up on every usage event.", {}),
        )
    )
    read_right = Permission.TEAMS_READ
    manage_right = Permission.TEAMS_MANAGE
    subject_kinds = frozenset({"team"})
    removes_on_restore = False
    example = """\
kind: Team
metadata: {name: platform}
spec:
  cost_centre: "4711"
  lead: ada@example.com
  tags: {environment: production}
"""

    def references(self, spec: Spec) -> Iterable[Reference]:
        if spec["lead"] is not None:
            yield Reference(("spec", "lead"), Key("User", spec["lead"]))

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(Team.objects.filter(organization=organization).select_related("lead"), locks=locks)
        members = set(
            Membership.objects.filter(
                organization=organization, user__led_teams__organization=organization
            ).values_list("user_id", flat=True)
        )
        return [
            Present(
                PolicyObject(
                    Key(self.name, row.name),
                    {
                        "cost_centre": row.cost_centre,
                        # A lead who has left the organization leads nothing.
                        "lead": row.lead.email if row.lead is not None and row.lead_id in members else None,
                        "tags": {name: row.tags[name] for name in sorted(row.tags)},
                    },
                ),
                row,
            )
            for row in rows
        ]

    def create(self, world: World, wanted: Wanted) -> None:
        team_create(
            organization=world.organization,
            name=wanted.object.key.name,
            cost_centre=wanted.spec["cost_centre"],
            tags=wanted.spec["tags"],
            actor=world.actor,
        )

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        clears_lead = wanted.spec["lead"] is None and present.row.lead_id is not None
        team_update(
            team=present.row,
            cost_centre=wanted.spec["cost_centre"],
            tags=wanted.spec["tags"],
            clears_lead=clears_lead,
            actor=world.actor,
        )

    def needs_finish(self, wanted: Wanted, present: Present | None) -> bool:
        lead = wanted.spec["lead"]
        return lead is not None and (present is None or present.spec["lead"] != lead)

    def finish(self, world: World, wanted: Wanted) -> None:
        # A lead is a user of the organization, and users name their teams: so teams come first, leads last.
        team = Team.objects.get(organization=world.organization, name=wanted.object.key.name)
        team_update(team=team, lead=user_by_email(wanted.spec["lead"]), actor=world.actor)

    def delete(self, world: World, present: Present) -> None:
        with gone_or_kept("Keys stay in the books, and their team with them."):
            team_delete(team=present.row, actor=world.actor)


KIND = TeamKind()
