"""Which budgets and counters somebody may see: all, those of the teams they lead, those that hold them."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.budgets.counters import parts_of
from control_plane.budgets.models import Budget
from control_plane.budgets.selectors import budgets_of
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization, TeamMembership
from control_plane.organizations.roles import Permission, Reach, Standing, can, reach_of
from control_plane.rules.conditions import Condition, Subject, loaded, loaded_all
from control_plane.rules.models import Mode
from control_plane.usage.models import BudgetSpend
from control_plane.web.budget_view import (
    CounterRow,
    Present,
    counter_row,
    held_of,
    learn_names,
    present_of,
    spent_rows,
)
from control_plane.web.names import Names
from switchyard_contract.counters import counter_of

PERSONAL = ("principal", "user")
OF_SOMEBODY = ("principal", "user", "service_account", "key", "team")
"""What a counter may be of that tells whose it is."""
MOST_IDS = 300
MOST_MINE = 100


@dataclass(frozen=True, slots=True)
class Mine:
    """What makes a counter somebody's own: their id, the teams their keys are charged to, their keys."""

    user_id: UUID
    role: str
    team_ids: frozenset[UUID]
    key_ids: tuple[str, ...]

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return (
            Subject("user", self.user_id.hex),
            Subject("role", self.role),
            Subject("kind", "user"),
            *(Subject("team", team_id.hex) for team_id in sorted(self.team_ids)),
            *(Subject("key", key_id) for key_id in self.key_ids),
        )

    def values(self, kind: str) -> tuple[str, ...] | None:
        """What a counter may have for a kind, to be theirs; None: any."""
        match kind:
            case "principal" | "user":
                return (self.user_id.hex,)
            case "team":
                return tuple(sorted(team_id.hex for team_id in self.team_ids))
            case "key":
                return self.key_ids
            case "service_account":
                return ()
            case _:
                return None

    def has(self, per: Collection[str], counter: str) -> bool:
        """Whether a counter counts what this person spends."""
        for kind, value in parts_of(tuple(per), counter).items():
            own = self.values(kind)
            if own is not None and value not in own:
                return False
        return True


def mine_of(user: User, organization: Organization, role: str) -> Mine:
    """Two queries."""
    now = timezone.now()
    keys = VirtualKey.objects.filter(organization=organization, user=user, revoked_at__isnull=True)
    found = list(
        keys.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now)).values_list("key_id", "team_id")[:MOST_IDS]
    )
    joined = TeamMembership.objects.filter(organization=organization, user=user).values_list("team_id", flat=True)
    teams = frozenset([*joined, *(team_id for _, team_id in found)])
    return Mine(user.id, role, teams, tuple(key_id for key_id, _ in found))


def budgets_within(standing: Standing, organization: Organization, mine: Mine) -> QuerySet[Budget]:
    """Budgets that a person may see at all, by name."""
    budgets = budgets_of(organization)
    match reach_of(standing, Permission.BUDGETS_READ):
        case Reach.ALL:
            return budgets
        case Reach.TEAM:
            return budgets.filter(_of_teams(standing) | _about(mine))
        case Reach.OWN:
            return budgets.filter(_about(mine), mode=Mode.ENFORCE)
        case _:
            return budgets.none()


def counters_within(
    present: Present,
    standing: Standing,
    organization: Organization,
    mine: Mine,
    *,
    led: Collection[str] | None = None,
) -> Q | None:
    """Which counters of a budget a person may see; None: all of them. led: `led_ids`, where they were asked for."""
    if reach_of(standing, Permission.BUDGETS_READ) is Reach.ALL or _is_of_led_teams(present.budget, standing):
        return None
    ids = led_ids(standing, organization) if led is None else led
    own = Q(pk__in=[])
    if not set(present.budget.per) & set(OF_SOMEBODY):
        # It says nothing of anybody: what all spend together, as every refusal tells it.
        return None
    for value in (*ids, mine.user_id.hex, *mine.key_ids, *_team_values(present.budget, mine)):
        own |= Q(counter__contains=value)
    return own


def my_counters(user: User, organization: Organization, role: str) -> list[tuple[Present, CounterRow]]:
    """The counters that hold this person, the fullest first; such that nothing was posted to yet stand at the end."""
    mine = mine_of(user, organization, role)
    budgets = budgets_of(organization).filter(_about(mine), mode=Mode.ENFORCE)[:MOST_MINE]
    presents = [each for each in present_of(budgets, timezone.now()) if _is_about(each.budget, mine)]
    if not presents:
        return []
    by_budget = {each.budget.id: each for each in presents}
    holds = Q(pk__in=[])
    for each in presents:
        if set(each.budget.per) & set(OF_SOMEBODY):
            for value in (mine.user_id.hex, *mine.key_ids, *_team_values(each.budget, mine)):
                holds |= Q(budget_id=each.budget.id, counter__contains=value)
        else:
            holds |= Q(budget_id=each.budget.id)
    rows = spent_rows(presents).filter(holds).order_by("-posted_nano_usd", "id")[:MOST_IDS]
    posted = [row for row in rows if mine.has(by_budget[row.budget_id].budget.per, row.counter)]
    names = Names(organization)
    found: list[tuple[Present, str, BudgetSpend | None]] = [
        (by_budget[row.budget_id], row.counter, row) for row in posted
    ]
    seen = {(present.budget.id, counter) for present, counter, _ in found}
    for each in presents:
        for counter in certain_counters(each.budget, mine):
            if (each.budget.id, counter) not in seen:
                found.append((each, counter, None))
    for present, counter, _ in found:
        learn_names(present.budget.per, [counter], names)
    held = held_of((present, counter) for present, counter, _ in found)
    shown = [(present, counter_row(present, counter, row, names, held)) for present, counter, row in found]
    return sorted(shown, key=lambda one: -one[1].gauge.percent)


def may_decide(standing: Standing, budget: Budget) -> bool:
    """Whether this person may raise it and decide about requests for more."""
    return can(standing, Permission.BUDGETS_MANAGE, team_ids=(budget.team_id,) if budget.team_id else ())


def certain_counters(budget: Budget, mine: Mine) -> list[str]:
    """Counters that are this person's even before anything was spent."""
    found: list[tuple[str, ...]] = [()]
    for kind in budget.per:
        values = (budget.organization_id.hex,) if kind == "organization" else mine.values(kind)
        if not values:
            return []
        found = [(*before, value) for before in found for value in values]
        if len(found) > MOST_MINE:
            return []
    return [counter_of(values) for values in found]


def _about(mine: Mine) -> Q:
    """Budgets whose condition may fit what this person sends, as far as subjects go."""
    where = Q(when__subjects__isnull=True) | Q(when__subjects__contains=["organization"])
    for subject in mine.subjects[:MOST_IDS]:
        where |= Q(when__subjects__contains=[str(subject)])
    return where


def _is_about(budget: Budget, mine: Mine) -> bool:
    """The same with exceptions; a budget counted for service accounts alone is about nobody's own."""
    if "service_account" in budget.per:
        return False
    own = set(mine.subjects)
    condition = loaded(budget.when)
    if not condition.is_about_everybody and own.isdisjoint(condition.subjects):
        return False
    return not any(_excludes(each, own) for each in loaded_all(budget.when_not))


def _excludes(condition: Condition, own: Collection[Subject]) -> bool:
    """Whether an exception takes a person out altogether."""
    is_narrow = condition.models or condition.metadata or condition.clients or condition.protocols or condition.hours
    if is_narrow:
        return False
    return condition.is_about_everybody or not set(own).isdisjoint(
        subject for subject in condition.subjects if subject.kind in ("user", "role", "kind")
    )


def _of_teams(standing: Standing) -> Q:
    where = Q(team_id__in=standing.led_team_ids)
    for team_id in sorted(standing.led_team_ids):
        where |= Q(when__subjects__contains=[f"team:{team_id.hex}"])
    return where


def _is_of_led_teams(budget: Budget, standing: Standing) -> bool:
    """Whether a budget is about nobody but teams that this person leads."""
    if reach_of(standing, Permission.BUDGETS_READ) is not Reach.TEAM:
        return False
    if budget.team_id in standing.led_team_ids:
        return True
    led = {Subject("team", team_id.hex) for team_id in standing.led_team_ids}
    condition = loaded(budget.when)
    return bool(condition.subjects) and led.issuperset(condition.subjects)


def led_ids(standing: Standing, organization: Organization) -> list[str]:
    """The teams that this person leads, and who is in them."""
    if reach_of(standing, Permission.BUDGETS_READ) is not Reach.TEAM:
        return []
    people = TeamMembership.objects.filter(organization=organization, team_id__in=standing.led_team_ids)
    ids = [*standing.led_team_ids, *people.values_list("user_id", flat=True)[:MOST_IDS]]
    return [each.hex for each in ids]


def _team_values(budget: Budget, mine: Mine) -> list[str]:
    """Own teams, where no person stands in the counter besides: what a whole team spends is everybody's in it."""
    if "team" not in budget.per or set(budget.per) & {"principal", "user", "service_account", "key"}:
        return []
    return [team_id.hex for team_id in mine.team_ids]
