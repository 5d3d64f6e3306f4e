"""Whose usage may be seen."""

from dataclasses import dataclass
from uuid import UUID

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Scope:
    """One organization, and in it all principals or only some."""

    organization_id: UUID
    principal_ids: frozenset[UUID] | None = None
    """None: everybody's usage. Empty: nobody's."""

    def conditions(self) -> list[sql.Composable]:
        """The scope as SQL conditions over columns organization_id and principal_id."""
        conditions: list[sql.Composable] = [
            sql.SQL("organization_id = {}").format(sql.Literal(self.organization_id)),
        ]
        if self.principal_ids is not None:
            conditions.append(sql.SQL("principal_id = ANY({})").format(sql.Literal(sorted(self.principal_ids))))
        return conditions


def all_of(conditions: list[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(conditions)
