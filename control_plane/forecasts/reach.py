"""Who sees which forecasts and findings: all, those about the teams they lead, their own; and who may mute whom."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from django.db.models import Q

from control_plane.budgets.models import Budget
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import ServiceAccount, TeamMembership
from control_plane.organizations.roles import Permission, Reach, Standing, reach_of
from control_plane.rules.reach import seen_ids, sight_of

OF_SOMEBODY = ("team", "principal", "user", "service_account", "key")
"""What a counter may be of that tells whose it is."""
MOST_IDS = 300


def forecasts_seen_by(standing: Standing) -> Q:
    """Over rows of forecasts of the person's organization: of budgets that they may see the counters that are theirs,
    or that say nothing of anybody; of the whole organization for whoever sees everybody's usage."""
    budgets = _budgets_seen_by(standing)
    sees_whole = reach_of(standing, Permission.USAGE_READ) is Reach.ALL
    return budgets | Q(budget_id__isnull=True) if sees_whole else budgets


def unusual_seen_by(standing: Standing) -> Q:
    """Over findings: everybody's, those of led teams and one's own, or one's own."""
    match reach_of(standing, Permission.USAGE_READ):
        case Reach.ALL:
            return Q(principal_id__isnull=False)
        case Reach.TEAM:
            return Q(team_id__in=standing.led_team_ids) | Q(principal_id=standing.user_id)
        case Reach.OWN:
            return Q(principal_id=standing.user_id)
        case _:
            return Q(pk__in=[])


def mutes_seen_by(standing: Standing) -> Q:
    """Over mutes: like findings, by the teams that people are in."""
    match reach_of(standing, Permission.USAGE_READ):
        case Reach.ALL:
            return Q(principal_id__isnull=False)
        case Reach.TEAM:
            of_organization = {"organization_id": standing.organization_id, "team_id__in": standing.led_team_ids}
            people = TeamMembership.objects.filter(**of_organization).values("user_id")
            accounts = ServiceAccount.objects.filter(**of_organization).values("id")
            return Q(principal_id__in=people) | Q(principal_id__in=accounts) | Q(principal_id=standing.user_id)
        case Reach.OWN:
            return Q(principal_id=standing.user_id)
        case _:
            return Q(pk__in=[])


def may_mute(standing: Standing, principal_id: UUID) -> bool:
    """Whether somebody may mute this person or service account."""
    return principal_id in mutable_of(standing, [principal_id])


def mutable_of(standing: Standing, principal_ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of them whom somebody may mute; at most two queries.

    Whoever sets budgets for everybody may mute all. A lead who sets them for the team: others that are in no other
    team, since a mute is silence for every team's lead.
    """
    match reach_of(standing, Permission.BUDGETS_MANAGE):
        case Reach.ALL:
            return frozenset(principal_ids)
        case Reach.TEAM:
            teams = _teams_of(standing.organization_id, principal_ids)
            return frozenset(one for one, of_one in teams.items() if of_one <= standing.led_team_ids) - {
                standing.user_id
            }
        case _:
            return frozenset()


def _teams_of(organization_id: UUID, principal_ids: Collection[UUID]) -> Mapping[UUID, set[UUID]]:
    """The teams of each that is in any."""
    found: dict[UUID, set[UUID]] = defaultdict(set)
    people = TeamMembership.objects.filter(organization_id=organization_id, user_id__in=principal_ids)
    accounts = ServiceAccount.objects.filter(organization_id=organization_id, id__in=principal_ids)
    for rows in (people.values_list("user_id", "team_id"), accounts.values_list("id", "team_id")):
        for principal_id, team_id in rows:
            found[principal_id].add(team_id)
    return found


def _budgets_seen_by(standing: Standing) -> Q:
    match reach_of(standing, Permission.BUDGETS_READ):
        case Reach.NONE:
            return Q(pk__in=[])
        case Reach.ALL:
            return Q(budget_id__isnull=False)
    budgets = Budget.objects.filter(organization_id=standing.organization_id)
    seen = seen_ids(budgets, sight_of(standing, Permission.BUDGETS_READ))
    theirs = Q(pk__in=[])
    for kind in OF_SOMEBODY:
        theirs |= Q(per__contains=[kind])
    shared, own = ~theirs, Q(pk__in=[])
    for value in _values_of(standing):
        own |= Q(counter__contains=value)
    led = Q(budget_id__in=[budget.id for budget in budgets if budget.team_id in standing.led_team_ids])
    return Q(budget_id__in=seen) & (shared | own) | led


def _values_of(standing: Standing) -> list[str]:
    """What counters have in them that are this person's, or their teams'."""
    keys = VirtualKey.objects.filter(organization_id=standing.organization_id, user_id=standing.user_id)
    found = [standing.user_id.hex, *keys.values_list("key_id", flat=True)[:MOST_IDS]]
    if reach_of(standing, Permission.BUDGETS_READ) is Reach.TEAM:
        led = standing.led_team_ids
        people = TeamMembership.objects.filter(organization_id=standing.organization_id, team_id__in=led)
        found += [each.hex for each in (*led, *people.values_list("user_id", flat=True)[:MOST_IDS])]
    return found
