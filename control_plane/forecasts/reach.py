"""Who sees which forecasts: all, those about the teams they lead, their own."""

from django.db.models import Q

from control_plane.budgets.models import Budget
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import TeamMembership
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
