"""An organization on its first day: nothing before this morning, so nothing to compare with and no band yet."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of, user_create
from control_plane.audit.services import Actor
from control_plane.budgets.models import Budget
from control_plane.budgets.services import BUDGETS
from control_plane.credentials.services import CredentialChoice, CredentialSource, provider_create
from control_plane.forecasts.services import forecasts_make, unusual_find
from control_plane.forecasts.subjects import Subject
from control_plane.keys.services import key_mint
from control_plane.organizations.models import Organization, Role, Team
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_create,
    team_create,
    team_member_add,
)
from control_plane.routing.services import virtual_models_offer
from control_plane.rules.services import rule_create
from control_plane.snapshots.services import everything_compile
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import LedgerEntry
from switchyard_contract.quantity import NANO_PER_USD
from tests.browser.conversations import conversations
from tests.browser.exchanges import Prices, exchange_event
from tests.browser.ruled import STAGES
from tests.browser.world import PASSWORD
from tests.control_plane.forecasts.world import post
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch

ADMIN = "morning@example.com"
MEMBER = "noon@example.com"
EXCHANGES = 44
FIRST_SEQUENCE = 800_000
"""Of its pods' events: they share their names with those of the month's world."""
LATEST = timedelta(hours=9)


@dataclass(frozen=True, slots=True)
class OneDay:
    organization: Organization
    admin: User
    session: UUID
    budget: Budget

    @property
    def organization_subject(self) -> UUID:
        return Subject(self.organization.id, None, "").id

    @property
    def budget_subject(self) -> UUID:
        return Subject(self.organization.id, self.budget.id, "").id


def a_one_day_organization() -> OneDay:
    """Make it: two people, two providers, a budget, the exchanges of this day alone."""
    system, now = Actor.system("test"), timezone.now()
    organization = organization_create(slug="first-day", name="First Day", actor=system)
    team = team_create(organization=organization, name="everybody", cost_centre="100", actor=system)
    people = [_person(organization, team, ADMIN, "Mina Morning", Role.OWNER)]
    people.append(_person(organization, team, MEMBER, "Nora Noon", Role.MEMBER))
    admin = people[0]
    actor = actor_of(admin)
    providers = {}
    for vendor in ("anthropic", "openai", "gemini"):
        providers[vendor] = provider_create(
            organization=organization,
            name=f"{vendor}-main",
            vendor=vendor,
            actor=actor,
            credential=CredentialChoice(CredentialSource.VALUE, "sim-0123456789abcdef"),
        )
        virtual_models_offer(provider=providers[vendor], actor=actor)
    keys = [
        key_mint(
            organization=organization, name="laptop", user=person, team=team, actor=actor_of(person), created_by=person
        ).key
        for person in people
    ]
    spec = {"limit_usd": "200", "period": "month", "stages": STAGES}
    budget = rule_create(BUDGETS, organization=organization, name="first-month", spec=spec, actor=actor)
    chance, prices = random.Random(3), Prices(organization, now)
    begin = _begin(now)
    events = []
    for number in range(EXCHANGES):
        who, sequence = chance.choice((0, 0, 1)), FIRST_SEQUENCE + number
        moment = begin + (now - timedelta(minutes=1) - begin) * chance.random()
        events.append(
            exchange_event(
                chance,
                sequence,
                moment,
                organization,
                keys[who],
                people[who].id,
                providers,
                prices,
                False,
            )
        )
    put(a_batch(events, first_sequence=FIRST_SEQUENCE))
    while book_waiting(now=now, ledger_days=396).events:
        pass
    session = conversations(
        organization,
        [(person, key, team) for person, key in zip(people, keys, strict=True)],
        begin=max(begin, now - timedelta(hours=4)),
        earlier=0,
        first_sequence=FIRST_SEQUENCE + 10_000,
    )
    spent = LedgerEntry.objects.filter(organization_id=organization.id).aggregate(all=Sum("cost_nano_usd"))["all"]
    post(budget, spent / NANO_PER_USD, now=now)
    forecasts_make(organization=organization)
    unusual_find(organization=organization)
    everything_compile()
    return OneDay(organization, admin, session, budget)


def _begin(now: datetime) -> datetime:
    """When the day's first exchange was: not before the day itself began."""
    return max(now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0), now - LATEST)


def _person(organization: Organization, team: Team, email: str, name: str, role: Role) -> User:
    """In UTC, so that their day is the day of roll-ups and statements."""
    system = Actor.system("test")
    person = user_create(email=email, password=PASSWORD, name=name, time_zone="UTC", actor=system)
    membership_add(organization=organization, user=person, role=role, actor=system, by=INSTALLATION)
    team_member_add(team=team, user=person, actor=system)
    return person
