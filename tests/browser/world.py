"""A month in the life of an organization, for people to look at and machines to check: everything through services.

Random, but the same each time: screenshots of two commits can be laid side by side.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.utils import timezone

from control_plane.accounts.models import Theme, User
from control_plane.accounts.services import actor_of, user_create, user_preferences_set
from control_plane.audit.services import Actor
from control_plane.catalog.services import list_prices_load
from control_plane.credentials.models import Provider
from control_plane.credentials.services import CredentialChoice, CredentialSource, provider_create
from control_plane.fleet.models import Pod, PodShard
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import MintedKey, Rotation, key_mint, key_revoke, key_rotate
from control_plane.keys.services.notices import notices_write
from control_plane.organizations.models import Organization, Role, ServiceAccount, Team
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_create,
    service_account_create,
    team_create,
    team_member_add,
)
from control_plane.routing.services import virtual_models_offer
from control_plane.snapshots.selectors import shard_heads
from control_plane.snapshots.services import everything_compile
from control_plane.usage.aggregation import book_waiting
from switchyard_contract.v1 import usage_pb2
from tests.browser.conversations import conversations
from tests.browser.directory import a_directory
from tests.browser.exchanges import Prices, exchange_event
from tests.browser.explained import explain_refused, explain_served
from tests.browser.foreseen import Foreseen, foreseen
from tests.browser.governance import Governance, governance
from tests.browser.incomplete import incomplete
from tests.browser.leaver import somebody_left
from tests.browser.machines import machines
from tests.browser.priced import Priced, price_things, without_a_price
from tests.browser.ruled import Ruled, ruled
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch

PASSWORD = "correct horse battery staple"
ADMIN = "ada@example.com"
MEMBER = "grace@example.com"
LONG_NAME = "A team with a name that is much longer than anybody would think sensible when they typed it"
DAYS = 30
LATELY = 14
"""Exchanges of the last minutes."""
EVENTS_A_BATCH = 500

PEOPLE = (
    (ADMIN, "Ada Lovelace", Role.OWNER, ("platform",), 1.0),
    (MEMBER, "Grace Hopper", Role.MEMBER, ("platform", "compilers"), 2.2),
    ("alan@example.com", "Alan Turing", Role.MEMBER, ("research",), 1.4),
    ("barbara@example.com", "Barbara Liskov", Role.MEMBER, ("compilers",), 0.8),
    ("edsger@example.com", "Edsger Dijkstra", Role.MEMBER, ("research",), 0.3),
    ("katherine@example.com", "", Role.MEMBER, ("platform",), 0.6),
)


@dataclass(frozen=True, slots=True)
class World:
    """What was made, by the names tests use."""

    organization: Organization
    admin: User
    member: User
    teams: dict[str, Team]
    providers: dict[str, Provider]
    account: ServiceAccount
    governance: Governance
    ruled: Ruled
    member_key: VirtualKey
    admin_key: VirtualKey
    scheduled_key: VirtualKey
    failed_exchange: str
    refused_exchange: str
    served_exchange: str
    session: UUID
    priced: Priced
    foreseen: Foreseen
    leaver_id: UUID


def a_bare_organization() -> tuple[Organization, User]:
    """The first run before anything is set up: an organization, its admin, one team."""
    system = Actor.system("test")
    organization = organization_create(slug="bare", name="Bare", actor=system)
    admin = user_create(email="first@example.com", password=PASSWORD, name="First", actor=system)
    membership_add(organization=organization, user=admin, role=Role.OWNER, actor=system, by=INSTALLATION)
    team = team_create(organization=organization, name="everybody", actor=system)
    team_member_add(team=team, user=admin, actor=system)
    return organization, admin


def a_world(*, exchanges_a_day: int = 60) -> World:
    """Make it all. The busiest people make most of the exchanges; weekends are quiet."""
    chance = random.Random(7)
    list_prices_load(actor=Actor.system("test"))
    organization, people, teams = _people()
    admin = people[ADMIN]
    actor = actor_of(admin)
    providers = _providers(organization, actor)
    account = service_account_create(
        organization=organization,
        name="review-bot",
        team=teams["platform"],
        description="Reviews pull requests at night",
        actor=actor,
    )
    machines(account, actor)
    keys = _keys(organization, people, teams, account, actor)
    rules = ruled(organization, people, account, admin)
    events = list(_events(chance, organization, people, keys, providers, account, exchanges_a_day))
    mine = [event for event in events if event.principal_id == people[MEMBER].id.hex]
    served, refused = _newest(mine, usage_pb2.OUTCOME_SERVED), _newest(events, usage_pb2.OUTCOME_REFUSED)
    explain_served(next(event for event in events if event.exchange_id == served), rules)
    explain_refused(next(event for event in events if event.exchange_id == refused), rules)
    without_a_price(events)
    for number in range(0, len(events), EVENTS_A_BATCH):
        put(a_batch(events[number : number + EVENTS_A_BATCH], first_sequence=number + 1))
    while book_waiting(now=timezone.now(), ledger_days=396).events:
        pass
    who = ((MEMBER, "platform"), (ADMIN, "platform"), ("alan@example.com", "research"))
    told = conversations(organization, [(people[email], keys[email].key, teams[team]) for email, team in who])
    leaver_id = somebody_left(organization, teams["research"])
    a_directory(organization, actor)
    governed = governance(organization, admin, teams, PASSWORD)
    priced = price_things(organization, admin)
    ahead = foreseen(organization, rules.monthly, people["alan@example.com"], teams["research"])
    everything_compile()
    _pods(organization)
    incomplete(organization, served)
    return World(
        organization=organization,
        admin=admin,
        member=people[MEMBER],
        teams=teams,
        providers=providers,
        account=account,
        governance=governed,
        ruled=rules,
        member_key=keys[MEMBER].key,
        admin_key=keys[ADMIN].key,
        scheduled_key=keys["deploys"].key,
        failed_exchange=_newest(events, usage_pb2.OUTCOME_FAILED),
        refused_exchange=refused,
        served_exchange=served,
        session=told,
        priced=priced,
        foreseen=ahead,
        leaver_id=leaver_id,
    )


def set_theme(user: User, theme: str) -> None:
    user_preferences_set(user=user, actor=actor_of(user), theme=Theme(theme))


def _people() -> tuple[Organization, dict[str, User], dict[str, Team]]:
    system = Actor.system("first run")
    organization = organization_create(slug="acme", name="Acme Instruments", actor=system, contact="#ai-platform")
    people: dict[str, User] = {}
    teams: dict[str, Team] = {}
    for name, cost_centre in (("platform", "4711"), ("compilers", "4712"), ("research", "0815"), (LONG_NAME, "")):
        teams[name] = team_create(organization=organization, name=name, cost_centre=cost_centre, actor=system)
    for email, name, role, in_teams, _ in PEOPLE:
        user = user_create(email=email, password=PASSWORD, name=name, time_zone="Europe/Berlin", actor=system)
        membership_add(organization=organization, user=user, role=role, actor=system, by=INSTALLATION)
        for team in in_teams:
            team_member_add(team=teams[team], user=user, actor=system)
        people[email] = user
    return organization, people, teams


def _providers(organization: Organization, actor: Actor) -> dict[str, Provider]:
    made: dict[str, Provider] = {}
    for vendor in ("anthropic", "openai", "gemini"):
        provider = provider_create(
            organization=organization,
            name=f"{vendor}-main",
            vendor=vendor,
            actor=actor,
            credential=CredentialChoice(CredentialSource.VALUE, "sim-0123456789abcdef"),
            account="Acme production",
        )
        virtual_models_offer(provider=provider, actor=actor)
        made[vendor] = provider
    made["max"] = provider_create(
        organization=organization,
        name="anthropic-max",
        vendor="anthropic",
        actor=actor,
        credential=CredentialChoice(CredentialSource.PASSTHROUGH),
        models=("claude-*",),
    )
    return made


def _keys(
    organization: Organization, people: dict[str, User], teams: dict[str, Team], account: ServiceAccount, actor: Actor
) -> dict[str, MintedKey]:
    keys: dict[str, MintedKey] = {}
    for email, _, _, in_teams, _ in PEOPLE:
        keys[email] = key_mint(
            organization=organization,
            name="laptop",
            user=people[email],
            team=teams[in_teams[0]],
            expires_at=timezone.now() + timedelta(days=90),
            actor=actor_of(people[email]),
            created_by=people[email],
        )
    keys["review-bot"] = key_mint(
        organization=organization,
        name="nightly",
        service_account=account,
        actor=actor,
        created_by=people[ADMIN],
        models=("claude-haiku-*",),
        tags={"environment": "ci"},
    )
    grace = people[MEMBER]
    lost = key_mint(
        organization=organization,
        name="old laptop",
        user=grace,
        team=teams["compilers"],
        actor=actor_of(grace),
        created_by=grace,
    )
    key_revoke(key=lost.key, reason="lost on a train", actor=actor_of(grace), cut_streams=True)
    turned = key_mint(
        organization=organization,
        name="workstation",
        user=grace,
        team=teams["compilers"],
        actor=actor_of(grace),
        created_by=grace,
    )
    key_rotate(key=turned.key, grace_seconds=86_400, actor=actor_of(grace), created_by=grace)
    keys["deploys"] = key_mint(
        organization=organization,
        name="deploys",
        service_account=account,
        actor=actor,
        created_by=people[ADMIN],
        models=("claude-*",),
        routes=("anthropic_messages", "openai_responses"),
        source_networks=("10.0.0.0/8", "2001:db8::/32"),
        rotation=Rotation(90, 7 * 86_400),
    )
    ending = key_mint(
        organization=organization,
        name="travel laptop",
        user=grace,
        team=teams["compilers"],
        expires_at=timezone.now() + timedelta(days=5),
        actor=actor_of(grace),
        created_by=grace,
    )
    # As if they had been minted a while ago: one is due for rotation soon, the other ends.
    long_ago = timezone.now() - timedelta(days=80)
    VirtualKey.objects.filter(id=keys["deploys"].key.id).update(
        created_at=long_ago, rotate_by=long_ago + timedelta(days=90), expires_at=long_ago + timedelta(days=97)
    )
    VirtualKey.objects.filter(id=ending.key.id).update(created_at=long_ago)
    notices_write()
    return keys


def _events(
    chance: random.Random,
    organization: Organization,
    people: dict[str, User],
    keys: dict[str, MintedKey],
    providers: dict[str, Provider],
    account: ServiceAccount,
    exchanges_a_day: int,
) -> Iterator[usage_pb2.UsageEvent]:
    now = timezone.now().astimezone(UTC)
    prices = Prices(organization, now)
    emails = [email for email, *_ in PEOPLE]
    weights = [weight for *_, weight in PEOPLE]
    number = 0
    for day in range(DAYS - 1, -1, -1):
        date = now - timedelta(days=day)
        share = 0.25 if date.weekday() >= 5 else 1.0 + 0.4 * chance.random()
        for _ in range(round(exchanges_a_day * share)):
            number += 1
            is_bot = chance.random() < 0.12
            email = "" if is_bot else chance.choices(emails, weights)[0]
            key = keys["review-bot" if is_bot else email].key
            owner = account.id if is_bot else people[email].id
            moment = _moment(chance, date, now)
            yield exchange_event(chance, number, moment, organization, key, owner, providers, prices, is_bot)
    for seconds in range(15, 15 + 40 * LATELY, 40):
        # Somebody works right now: the live view has something to show.
        number, moment = number + 1, now - timedelta(seconds=seconds)
        key, owner = keys[MEMBER].key, people[MEMBER].id
        yield exchange_event(chance, number, moment, organization, key, owner, providers, prices, False)


def _moment(chance: random.Random, date: datetime, now: datetime) -> datetime:
    if date.date() == now.date():
        # Today's are spread over what there is of today.
        seconds = now.hour * 3600 + now.minute * 60 + now.second
        return date.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
            seconds=max(0, seconds - 40 - chance.randrange(max(1, seconds)))
        )
    return date.replace(hour=chance.choice((7, 8, 9, 10, 12, 13, 14, 15, 16, 19)), minute=chance.randrange(60))


def _pods(organization: Organization) -> None:
    """Two pods that are well, one that refuses a policy, one that is gone."""
    now = timezone.now()
    heads = shard_heads()
    for name, minutes, degraded, gone in (
        ("pod-1", 400, [], False),
        ("pod-2", 400, [], False),
        ("pod-3", 90, ["counters"], False),
        ("pod-4", 2000, [], True),
    ):
        pod = Pod.objects.create(
            pod_id=name,
            boot_id=f"{random.Random(name).getrandbits(64):016x}",
            software_version="0.1.0",
            contract_revision=1,
            address=f"10.0.3.{len(name) + int(name[-1])}:9100",
            connected_at=now - timedelta(minutes=minutes),
            disconnected_at=now - timedelta(minutes=30) if gone else None,
            last_seen_at=now - timedelta(minutes=30) if gone else now,
            status_at=now,
            draining=gone,
            in_flight=0 if gone else 3 + int(name[-1]),
            spool_records=12,
            spool_bytes=48_000,
            counters_reachable=not degraded,
            degraded=degraded,
            loop_lag_ms=2,
        )
        for shard, head in heads.items():
            at = head.at
            if shard != "global" and not shard.startswith(f"org/{organization.id.hex}/"):
                continue
            is_refused = name == "pod-3" and shard.endswith("/policy")
            PodShard.objects.create(
                pod=pod,
                shard=shard,
                acked_epoch=at.epoch,
                acked_version=max(0, at.version - 1) if is_refused else at.version,
                acked_at=now - timedelta(minutes=20),
                nack_code="SIGNATURE" if is_refused else "",
                nack_detail="the signature does not fit the header" if is_refused else "",
                nack_epoch=at.epoch if is_refused else 0,
                nack_version=at.version if is_refused else 0,
                nacked_at=now - timedelta(minutes=2) if is_refused else None,
            )


def _newest(events: list[usage_pb2.UsageEvent], outcome: int) -> str:
    return max(event.exchange_id for event in events if event.outcome == outcome)
