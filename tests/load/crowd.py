"""A crowd: tens of thousands of keys, people and teams in one organization, with usage, for measuring.

Rows of people and keys are written in bulk, past the services: fifty thousand hash-chained audit entries would take
minutes and measure nothing. Usage goes the ordinary way, as pods' reports through the aggregation.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of, user_create
from control_plane.audit.services import Actor
from control_plane.catalog.services import list_prices_load
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.services import CredentialChoice, provider_create
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization, Role, ServiceAccount, Team, TeamMembership
from control_plane.organizations.services import organization_create, team_create, team_member_add
from control_plane.routing.services import virtual_models_offer
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import KeyLastUse
from switchyard_contract.virtual_key import KeyKind, mint
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, an_event

PASSWORD = "correct horse battery staple"
OWNER = "owner@crowd.example"
BATCH = 2000
EVENTS_A_BATCH = 500


@dataclass(frozen=True, slots=True)
class Crowd:
    organization: Organization
    owner: User
    teams: int
    users: int
    keys: int


def a_crowd(*, teams: int = 500, users: int = 5_000, keys: int = 50_000, exchanges: int = 60_000) -> Crowd:
    """Make it. One key in ten belongs to a service account, one in twenty is revoked, a few end soon."""
    system = Actor.system("crowd")
    list_prices_load(actor=system)
    organization = organization_create(slug="crowd", name="Crowd", actor=system)
    owner = user_create(email=OWNER, password=PASSWORD, name="Owner", actor=system)
    Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
    first = team_create(organization=organization, name="owners", actor=system)
    team_member_add(team=first, user=owner, actor=system)
    provider = provider_create(
        organization=organization,
        name="anthropic",
        vendor="anthropic",
        actor=actor_of(owner),
        credential=CredentialChoice(CredentialSource.VALUE, "sim-0123456789abcdef"),
    )
    virtual_models_offer(provider=provider, actor=actor_of(owner))
    crowd_grow(organization, provider, teams=teams, users=users, keys=keys, exchanges=exchanges)
    return Crowd(organization, owner, teams, users, keys)


def crowd_grow(
    organization: Organization,
    provider: Provider,
    *,
    teams: int,
    users: int,
    keys: int,
    exchanges: int,
    first: int = 0,
) -> None:
    """Add to a crowd. first: the number that names and ids begin with, so that they are new."""
    made_teams = _teams(organization, range(first, first + teams))
    people = _people(organization, made_teams, range(first, first + users))
    made_keys = _keys(organization, made_teams, people, range(first, first + keys))
    _usage(organization, made_keys, provider, range(first, first + exchanges))


def kept_crowd() -> Crowd | None:
    """Find the crowd that an earlier run left in this database. None: there is none, or it was not finished."""
    organization = Organization.objects.filter(slug="crowd").first()
    if organization is None or not KeyLastUse.objects.filter(organization_id=organization.id).exists():
        return None
    return Crowd(
        organization,
        User.objects.get(email=OWNER),
        Team.objects.filter(organization=organization).count(),
        Membership.objects.filter(organization=organization).count(),
        VirtualKey.objects.filter(organization=organization).count(),
    )


def _teams(organization: Organization, numbers: range) -> list[Team]:
    return Team.objects.bulk_create(
        [
            Team(organization=organization, name=f"Team {number:03d}", cost_centre=f"CC-{number % 40}")
            for number in numbers
        ],
        batch_size=BATCH,
    )


def _people(organization: Organization, teams: list[Team], numbers: range) -> list[User]:
    people = User.objects.bulk_create(
        [User(email=f"person{number:05d}@crowd.example", name=f"Person {number}", password="!") for number in numbers],
        batch_size=BATCH,
    )
    roles = (Role.MEMBER,) * 17 + (Role.TEAM_LEAD, Role.FINANCE, Role.AUDITOR)
    Membership.objects.bulk_create(
        [
            Membership(organization=organization, user=person, role=roles[number % len(roles)])
            for number, person in enumerate(people)
        ],
        batch_size=BATCH,
    )
    TeamMembership.objects.bulk_create(
        [
            TeamMembership(organization=organization, team=teams[number % len(teams)], user=person)
            for number, person in enumerate(people)
        ],
        batch_size=BATCH,
    )
    for team, person in zip(teams, people, strict=False):
        team.lead = person
    Team.objects.bulk_update(teams, ["lead"], batch_size=BATCH)
    return people


def _keys(organization: Organization, teams: list[Team], people: list[User], numbers: range) -> list[VirtualKey]:
    now = timezone.now()
    accounts = ServiceAccount.objects.bulk_create(
        [
            ServiceAccount(organization=organization, name=f"service-{number:04d}", team=teams[number % len(teams)])
            for number in range(numbers.start, numbers.start + max(1, len(numbers) // 100))
        ],
        batch_size=BATCH,
    )
    keys = []
    for number in numbers:
        is_service = number % 10 == 0
        token = mint(KeyKind.SERVICE if is_service else KeyKind.PERSONAL)
        account = accounts[number % len(accounts)]
        keys.append(
            VirtualKey(
                organization=organization,
                key_id=token.id,
                kind=token.kind.value,
                name=f"key {number:05d}",
                prefix=token.prefix,
                digest=uuid4().bytes * 2,
                pepper_version=1,
                user=None if is_service else people[number % len(people)],
                service_account=account if is_service else None,
                team=account.team if is_service else teams[number % len(teams)],
                expires_at=now + timedelta(days=number % 200) if number % 3 == 0 else None,
                revoked_at=now - timedelta(days=1) if number % 20 == 0 else None,
                allowed_models=["claude-*"] if number % 4 == 0 else [],
            )
        )
    return VirtualKey.objects.bulk_create(keys, batch_size=BATCH)


def _usage(organization: Organization, keys: list[VirtualKey], provider: Provider, numbers: range) -> None:
    chance = random.Random(11)
    now = timezone.now()
    models = ("claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5")
    events = []
    for number in numbers:
        key = keys[chance.randrange(len(keys))]
        owner = key.user_id or key.service_account_id
        assert owner is not None
        events.append(
            an_event(
                number + 1,
                at=now - timedelta(seconds=60 + chance.randrange(28 * 86_400)),
                organization_id=organization.id.hex,
                key_id=key.key_id,
                principal_id=owner.hex,
                team_id=key.team_id.hex,
                provider_id=provider.id.hex,
                provider_name=provider.name,
                model=chance.choice(models),
                session_id=f"session-{number // 12}",
                price_version="",
            )
        )
        if len(events) == EVENTS_A_BATCH or number == numbers[-1]:
            put(a_batch(events, first_sequence=number + 2 - len(events)))
            events = []
    while book_waiting(now=now, ledger_days=396).events:
        pass
