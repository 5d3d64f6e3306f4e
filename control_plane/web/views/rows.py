"""One row within a right's reach, and what lists of people and teams share."""

from typing import TypeVar
from uuid import UUID

from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404

from control_plane.organizations.reach import teams_within
from control_plane.organizations.roles import Standing

Row = TypeVar("Row", bound=Model)
MOST_SHOWN = 200
"""Rows of a table within a page; the lists have the rest."""
MOST_TEAMS_OFFERED = 100


def found_or_404(rows: QuerySet[Row], row_id: UUID) -> Row:
    """One row within reach. What is out of it answers 404, like one that never was."""
    found = rows.filter(id=row_id).first()
    if found is None:
        raise Http404
    return found


def counted(rows: QuerySet[Model], column: str, of: str) -> Coalesce:
    """How many of these rows point at the outer row. Counted for the rows of a page only, after its LIMIT."""
    grouped = rows.order_by().filter(**{column: OuterRef(of)}).values(column).annotate(number=Count("pk"))
    return Coalesce(Subquery(grouped.values("number"), output_field=IntegerField()), 0)


def team_options(standing: Standing, chosen: str) -> tuple[tuple[str, str], ...]:
    """(id, name) of the teams a list can be narrowed to: the first by name, and the one that is chosen."""
    teams = teams_within(standing)
    offered = {team.id.hex: team.name for team in teams[:MOST_TEAMS_OFFERED]}
    if chosen and chosen not in offered:
        try:
            found = teams.filter(id=UUID(chosen)).first()
        except ValueError:
            found = None
        if found is not None:
            offered[found.id.hex] = found.name
    return tuple(offered.items())
