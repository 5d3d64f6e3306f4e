"""Change budgets."""

from control_plane.audit.services import Actor
from control_plane.budgets.models import Budget
from control_plane.budgets.services.kind import BUDGETS
from control_plane.organizations.models import Organization
from control_plane.rules.reading import Spec
from control_plane.rules.services import rule_create, rule_delete, rule_update


def budget_create(*, organization: Organization, name: str, spec: Spec, actor: Actor) -> Budget:
    """Add a budget. spec: limit_usd, period, when, per, group, stages, bound, timezone, anchor, grace, grace_usd,
    on_counter_outage, outage_allowance_percent, team, mode, contact, description. Raises ValidationError."""
    return rule_create(BUDGETS, organization=organization, name=name, spec=spec, actor=actor)


def budget_update(
    *,
    budget: Budget,
    actor: Actor,
    name: str | None = None,
    changes: Spec | None = None,
    replaces: bool = False,
    reason: str = "",
) -> Budget:
    """Change a budget; what was spent stays spent. See `rules.services.rule_update`."""
    return rule_update(BUDGETS, row=budget, actor=actor, name=name, changes=changes, replaces=replaces, reason=reason)


def budget_delete(*, budget: Budget, actor: Actor, reason: str = "") -> None:
    """Take a budget away, with its raises and the requests for more."""
    rule_delete(BUDGETS, row=budget, actor=actor, reason=reason)
