"""Rules that a person's right reaches: all; those about the teams they lead; those that apply to themselves; none."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Role, ServiceAccount, Team, TeamMembership
from control_plane.organizations.roles import Permission, Reach, Standing, reach_of
from control_plane.rules.conditions import Condition, loaded, loaded_all
from control_plane.rules.models import RuleFields


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody may see of rules. has_all: everything. subjects: those that are theirs, as rules write them."""

    has_all: bool
    subjects: frozenset[str] = frozenset()
    own: frozenset[str] = field(default=frozenset())
    """Of the person alone: a rule that excludes one of these does not apply to them."""
    is_lead: bool = False

    def sees(self, rule: RuleFields) -> bool:
        """Whether a rule applies to somebody within sight."""
        if self.has_all:
            return True
        when = loaded(rule.when)
        if not when.is_about_everybody and self.subjects.isdisjoint(map(str, when.subjects)):
            return False
        if self.is_lead:
            return True
        excluded = (each for each in loaded_all(rule.when_not) if each.is_about_subjects_alone)
        return not any(not self.own.isdisjoint(map(str, each.subjects)) for each in excluded)

    def narrowed(self, condition: Condition) -> Condition:
        """A condition without those whom this person does not see; roles and kinds are nobody in particular."""
        if self.has_all or not condition.subjects:
            return condition
        shown = tuple(
            subject
            for subject in condition.subjects
            if subject.kind in ("role", "kind", "organization") or str(subject) in self.subjects
        )
        return Condition(
            shown, condition.models, condition.metadata, condition.clients, condition.protocols, condition.hours
        )


def sight_of(standing: Standing, permission: Permission) -> Sight:
    """What a person may see by a right to read rules of some kind."""
    reach = reach_of(standing, permission)
    if reach is Reach.ALL:
        return Sight(has_all=True)
    if reach is Reach.NONE:
        return Sight(has_all=False)
    own = _own_subjects(standing)
    led = _led_subjects(standing) if reach is Reach.TEAM else set()
    return Sight(False, frozenset(own | led), frozenset(own), is_lead=bool(led))


def seen_ids(rules: Iterable[RuleFields], sight: Sight) -> list[UUID]:
    """The ids of those that are within sight."""
    return [rule.id for rule in rules if sight.sees(rule)]


def _own_subjects(standing: Standing) -> set[str]:
    organization_id, user_id = standing.organization_id, standing.user_id
    keys = VirtualKey.objects.filter(organization_id=organization_id, user_id=user_id, revoked_at__isnull=True)
    found = {"kind:user", f"role:{standing.role.value}", f"user:{user_id.hex}"}
    for key_id, team_id in keys.values_list("key_id", "team_id"):
        found |= {f"key:{key_id}", f"team:{team_id.hex}"}
    joined = TeamMembership.objects.filter(organization_id=organization_id, user_id=user_id)
    return found | {f"team:{team_id.hex}" for team_id in joined.values_list("team_id", flat=True)}


def _led_subjects(standing: Standing) -> set[str]:
    """Everybody in the teams that somebody leads, and what is charged to them."""
    organization_id, led = standing.organization_id, standing.led_team_ids
    found = {f"team:{team_id.hex}" for team_id in Team.objects.filter(id__in=led).values_list("id", flat=True)}
    if not found:
        return found
    people = set(
        TeamMembership.objects.filter(organization_id=organization_id, team_id__in=led).values_list(
            "user_id", flat=True
        )
    )
    found |= {f"user:{user_id.hex}" for user_id in people}
    roles = Membership.objects.filter(organization_id=organization_id, user_id__in=people).values_list(
        "role", flat=True
    )
    found |= {f"role:{Role(role).value}" for role in set(roles)}
    accounts = ServiceAccount.objects.filter(organization_id=organization_id, team_id__in=led)
    found |= {f"service_account:{account_id.hex}" for account_id in accounts.values_list("id", flat=True)}
    of_team = Q(team_id__in=led) | Q(service_account__team_id__in=led)
    keys = VirtualKey.objects.filter(of_team, organization_id=organization_id, revoked_at__isnull=True)
    return found | {"kind:service_account"} | {f"key:{key_id}" for key_id in keys.values_list("key_id", flat=True)}
