"""Whom rules for personal keys would touch, counted in the database: no key is read."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from control_plane.keys.models import KeyRules, VirtualKey
from control_plane.keys.services.scopes import NOTHING, intersect
from control_plane.organizations.models import Organization


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """Of the live personal keys. narrowed: lose models at once; without_models: lose all of them.

    crowded: people who hold more keys than the rule lets them mint; lasting: keys that outlive the rule, and may.
    """

    personal_keys: int
    people: int
    narrowed: int
    without_models: int
    crowded: int
    lasting: int


def effect_of(organization: Organization, rules: KeyRules) -> RuleEffect:
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    live = VirtualKey.objects.filter(
        alive, organization=organization, user__isnull=False, revoked_at__isnull=True
    ).order_by()
    total = live.aggregate(keys=Count("id"), people=Count("user", distinct=True))
    narrowed, without_models = _narrowed(live, rules)
    crowded = lasting = 0
    if rules.max_personal_keys is not None:
        held = live.values("user").annotate(number=Count("id"))
        crowded = held.filter(number__gt=rules.max_personal_keys).count()
    if rules.max_personal_days is not None:
        longest = timedelta(days=rules.max_personal_days, minutes=1)
        lasting = live.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at") + longest)).count()
    return RuleEffect(total["keys"], total["people"], narrowed, without_models, crowded, lasting)


def _narrowed(live: QuerySet[VirtualKey], rules: KeyRules) -> tuple[int, int]:
    """How many keys are wider than the rules' models, and how many have nothing in common with them."""
    if not rules.personal_models:
        return 0, 0
    narrowed = without = 0
    # Keys that have the same list are judged together: thousands of keys have a handful of lists.
    for globs, number in live.values_list("allowed_models").annotate(number=Count("id")):
        left = intersect(globs, rules.personal_models)
        if left != list(globs):
            narrowed += number
        if left == list(NOTHING):
            without += number
    return narrowed, without
