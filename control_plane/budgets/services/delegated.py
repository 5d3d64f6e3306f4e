"""What a budget that belongs to a team may say: about that team alone, and no more than the team's own budgets.

So whoever leads a team can only narrow what the organization set. docs/decisions/0118-budgets-of-teams.md
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.rules.conditions import Condition, Subject, loaded
from control_plane.rules.models import Mode
from control_plane.rules.problems import Problems
from control_plane.rules.reading import usd
from switchyard_contract.quantity import NanoUsd


def check_delegated(budget: Budget, problems: Problems) -> None:
    """Add what a team's budget may not say."""
    team = budget.team
    assert team is not None
    if budget.group:
        problems.add("group", "A team's budget stands beside the others; in a group it could take their place.")
    condition = loaded(budget.when)
    right = f"Right: team:{team.name}, and the service accounts and keys of that team."
    if condition.is_about_everybody:
        problems.add("when.subjects", f"A budget of team {team.name} must be about it alone. {right}")
    for position, subject in enumerate(condition.subjects):
        if not is_of_team(subject, team):
            problems.add(f"when.subjects[{position}]", f"This is not of team {team.name} alone. {right}")
    lowest = lowest_above(budget)
    if lowest is not None and budget.limit_nano_usd > lowest.limit_nano_usd:
        problems.add(
            "limit_usd",
            f"The team's own budget {lowest.name} has {usd(NanoUsd(lowest.limit_nano_usd))} a {lowest.period}. "
            "Right: at most that.",
        )


def is_of_team(subject: Subject, team: Team) -> bool:
    """Whether only what is charged to the team can fit the subject."""
    match subject.kind:
        case "team":
            return subject.value == team.id.hex
        case "service_account":
            of_team = ServiceAccount.objects.filter(organization_id=team.organization_id, team=team)
            charged_elsewhere = VirtualKey.objects.filter(
                organization_id=team.organization_id, service_account_id=UUID(subject.value)
            ).exclude(team=team)
            return of_team.filter(id=subject.value).exists() and not charged_elsewhere.exists()
        case "key":
            keys = VirtualKey.objects.filter(organization_id=team.organization_id, team=team)
            return keys.filter(key_id=subject.value).exists()
        case _:
            return False


def lowest_above(budget: Budget) -> Budget | None:
    """The tightest budget of the organization that holds for the whole team in the same period; None: there is none."""
    rows = Budget.objects.filter(
        Q(per=[]) | Q(per=["team"]) | Q(per=["organization"]),
        organization_id=budget.organization_id,
        team__isnull=True,
        mode=Mode.ENFORCE,
        period=budget.period,
        when_not=[],
    ).order_by("limit_nano_usd", "name")
    return next((row for row in rows if _is_about_team(loaded(row.when), budget.team_id)), None)


def room_for_raise(budget: Budget, raises: Iterable[BudgetRaise], at: datetime) -> NanoUsd | None:
    """By how much a team's lead may raise the team's budget; None: nothing stands above it."""
    above = lowest_above(budget)
    if above is None:
        return None
    raised = sum(each.amount_nano_usd for each in raises if each.from_at <= at < each.until_at)
    return NanoUsd(max(0, above.limit_nano_usd - budget.limit_nano_usd - raised))


def _is_about_team(condition: Condition, team_id: object) -> bool:
    if condition.models or condition.metadata or condition.clients or condition.protocols or condition.hours:
        return False
    return condition.is_about_everybody or any(
        str(subject) == f"team:{_hex(team_id)}" for subject in condition.subjects
    )


def _hex(team_id: object) -> str:
    return str(getattr(team_id, "hex", ""))
