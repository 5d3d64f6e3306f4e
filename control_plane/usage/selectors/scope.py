"""Whose usage may be seen."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from django.db.models import Q
from psycopg import sql

from control_plane.organizations.roles import Permission, Reach, Standing, reach_of


@dataclass(frozen=True, slots=True)
class Scope:
    """One organization, and in it everything, or what some principals used and what was charged to some teams."""

    organization_id: UUID
    principal_ids: frozenset[UUID] | None = None
    """None: everybody's usage. Empty: nobody's, unless teams are named."""
    team_ids: frozenset[UUID] = frozenset()
    """Teams whose usage is seen besides; of no meaning when everybody's is."""

    @classmethod
    def of(cls, standing: Standing, permission: Permission) -> Self:
        """What a person may see of usage by one right: all, their teams' and their own, their own, or nothing."""
        match reach_of(standing, permission):
            case Reach.ALL:
                return cls(standing.organization_id)
            case Reach.TEAM:
                return cls(standing.organization_id, frozenset({standing.user_id}), standing.led_team_ids)
            case Reach.OWN:
                return cls(standing.organization_id, frozenset({standing.user_id}))
            case Reach.NONE:
                return cls(standing.organization_id, frozenset())

    @property
    def is_everything(self) -> bool:
        return self.principal_ids is None

    def condition(self) -> Q:
        """The scope over rows with organization_id, principal_id and team_id."""
        whole = Q(organization_id=self.organization_id)
        if self.principal_ids is None:
            return whole
        return whole & (Q(principal_id__in=self.principal_ids) | Q(team_id__in=self.team_ids))

    def conditions(self) -> list[sql.Composable]:
        """The scope as SQL conditions over columns organization_id, principal_id and team_id."""
        conditions: list[sql.Composable] = [
            sql.SQL("organization_id = {}").format(sql.Literal(self.organization_id)),
        ]
        if self.principal_ids is not None:
            theirs = sql.SQL("principal_id = ANY({})").format(sql.Literal(sorted(self.principal_ids)))
            if self.team_ids:
                teams = sql.SQL("team_id = ANY({})").format(sql.Literal(sorted(self.team_ids)))
                theirs = sql.SQL("({} OR {})").format(theirs, teams)
            conditions.append(theirs)
        return conditions


def all_of(conditions: list[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(conditions)
