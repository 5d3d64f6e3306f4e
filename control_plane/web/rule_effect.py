"""What a rule will do, before it is saved: whom it touches, its bound in dollars, what is perhaps not meant."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.access.models import AccessRule
from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.bounds import BoundInDollars
from control_plane.budgets.models import Budget
from control_plane.limits.models import RateLimit
from control_plane.organizations.models import Organization
from control_plane.rules.affected import Affected, affected_by
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.models import Mode, RuleFields
from control_plane.rules.models_named import ModelNames

MOST_NAMED = 6
MOST_MODELS = 8


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """warnings: in sentences. models: names that the rule narrows itself to, of those that can be listed."""

    affected: Affected
    warnings: Sequence[str]
    models: Sequence[str] = ()
    bound: BoundInDollars | None = None

    @property
    def named(self) -> list[str]:
        return [*self.affected.people.examples, *self.affected.service_accounts.examples][:MOST_NAMED]

    @property
    def is_more(self) -> bool:
        return self.affected.people.count + self.affected.service_accounts.count > len(self.named)

    @property
    def models_shown(self) -> Sequence[str]:
        return self.models[:MOST_MODELS]

    @property
    def models_more(self) -> int:
        return max(0, len(self.models) - MOST_MODELS)


def effect_of(row: RuleFields, organization: Organization) -> RuleEffect:
    """Judge a rule, saved or not, beside what there is today."""
    condition, per = loaded(row.when), tuple(getattr(row, "per", ()))
    affected = affected_by(organization, condition, loaded_all(row.when_not), per=per)
    globs = condition.models or tuple((getattr(row, "allow", None) or {}).get("models", ()))
    models = ModelNames.of(organization).fitting(globs) if globs else []
    warnings = list(affected.notes)
    if condition.models and not models:
        warnings.append("No model that can be listed fits these names today.")
    match row:
        case AccessRule():
            warnings += _access_warnings(row, organization)
        case RateLimit() if not per and row.limit < affected.people.count:
            warnings.append("All of them share one counter. “Counted apart for each” gives everybody their own.")
    bound = BoundFinder.of(organization).bound_of(row) if isinstance(row, Budget) else None
    return RuleEffect(affected, warnings, models, bound)


def _access_warnings(row: AccessRule, organization: Organization) -> list[str]:
    if row.mode != Mode.ENFORCE or row.allow is None:
        return []
    others = AccessRule.objects.filter(organization=organization, mode=Mode.ENFORCE, allow__isnull=False)
    condition = loaded(row.when)
    if others.exclude(id=row.id).exists() or condition.is_about_everybody:
        return []
    return [
        "It is the only enforced rule that lets anything through: whoever it is not about may use nothing. "
        "Add a rule that lets everybody else through first."
    ]
