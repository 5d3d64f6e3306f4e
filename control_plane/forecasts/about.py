"""What budgets are about, read from their rows: conditions, and whom roles and keys in them mean today."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from control_plane.budgets.models import Budget
from control_plane.forecasts.matching import About
from control_plane.organizations.models import Membership, Organization
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.selectors import successors_of


def abouts_of(organization: Organization, budgets: Sequence[Budget]) -> dict[UUID, About]:
    """By the budget's id; a fixed number of queries, but for chains of rotated keys."""
    conditions = {budget.id: (loaded(budget.when), loaded_all(budget.when_not)) for budget in budgets}
    subjects = [subject for when, nots in conditions.values() for each in (when, *nots) for subject in each.subjects]
    roles: dict[str, set[UUID]] = defaultdict(set)
    wanted = {subject.value for subject in subjects if subject.kind == "role"}
    if wanted:
        rows = Membership.objects.filter(organization=organization, role__in=wanted)
        for role, user_id in rows.values_list("role", "user_id"):
            roles[role].add(user_id)
    keys = {subject.value for subject in subjects if subject.kind == "key"}
    successors = successors_of(organization.id, keys) if keys else {}
    holders = {role: frozenset(people) for role, people in roles.items()}
    found = {
        budget.id: About(tuple(budget.per), *conditions[budget.id], roles=holders, successors=successors)
        for budget in budgets
    }
    return {budget_id: about.known_by_tag() if about.tag else about for budget_id, about in found.items()}
