"""What there is to see of forecasts: how the last days were seen, budgets in danger, somebody's wild day."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, ActorKind
from control_plane.budgets.models import Budget
from control_plane.forecasts.models import UnusualSpend
from control_plane.forecasts.services import forecasts_make, forecasts_score, mute_set, unusual_find
from control_plane.forecasts.subjects import Subject
from control_plane.organizations.models import Organization, Team
from control_plane.organizations.selectors import service_accounts_of
from switchyard_contract.quantity import NANO_PER_USD

DAYS_SEEN = (12, 6, 3, 2, 1)
"""So many days ago forecasts were made; what ended since is scored."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    organization_id: UUID
    budget_id: UUID
    """Subjects of forecasts, as addresses name them."""


def foreseen(organization: Organization, budget: Budget, person: User, team: Team) -> Foreseen:
    """Forecast it as of some days. budget: one that counts all together."""
    now = timezone.now()
    # As if they had been there all the month.
    Budget.objects.filter(organization=organization).update(created_at=now - timedelta(days=60))
    for days in DAYS_SEEN:
        forecasts_make(organization=organization, now=now - timedelta(days=days))
    forecasts_score()
    forecasts_make(organization=organization)
    unusual_find(organization=organization)
    _a_wild_day(organization, person, team, now)
    _a_mute(organization, now)
    return Foreseen(Subject(organization.id, None, "").id, Subject(organization.id, budget.id, "").id)


def _a_wild_day(organization: Organization, person: User, team: Team, now: datetime) -> None:
    UnusualSpend.objects.update_or_create(
        organization_id=organization.id,
        principal_id=person.id,
        day=(now - timedelta(days=1)).astimezone(UTC).date(),
        defaults={
            "principal_kind": "user",
            "team_id": team.id,
            "spent_nano_usd": 84 * NANO_PER_USD,
            "usual_nano_usd": 9 * NANO_PER_USD,
            "line_nano_usd": 30 * NANO_PER_USD,
            "compared": "weekday",
            "compared_days": 4,
            "model": "claude-opus-4-6",
            "model_nano_usd": 71 * NANO_PER_USD,
            "found_at": now,
        },
    )


def _a_mute(organization: Organization, now: datetime) -> None:
    """Of a machine whose load is known."""
    account = service_accounts_of(organization).first()
    if account is not None:
        by = Actor(ActorKind.USER, "", "Grace Hopper", reason="Moves the old repositories until Friday.")
        with transaction.atomic():
            mute_set(
                organization=organization,
                principal_id=account.id,
                last_day=(now + timedelta(days=7)).astimezone(UTC).date(),
                by=by,
                now=now,
            )
