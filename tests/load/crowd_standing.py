"""What a crowd has besides its usage: rules, spent budgets, sessions looked at, forecasts, a closed month.

Before the usage come the things that rows name (`crowd_furnish`), behind it what is worked out of rows
(`crowd_settle`), by the jobs that do so every hour. Both leave alone what is there.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from control_plane.access.services import ACCESS_RULES
from control_plane.accounts.services import actor_of
from control_plane.alerts.services import ChannelFacts, channel_create
from control_plane.audit.services import Actor
from control_plane.budgets.models import Budget
from control_plane.budgets.services import BUDGETS, budget_raise_add, budget_request_make
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.services import CredentialChoice, provider_create
from control_plane.fleet.models import Pod
from control_plane.forecasts.services import forecasts_make, forecasts_score, unusual_find
from control_plane.keys.services import admin_token_mint
from control_plane.limits.services import RATE_LIMITS, SESSION_CAPS
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.routing.services import virtual_models_offer
from control_plane.rules.metadata_keys import metadata_key_create
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.rules.services import rule_create
from control_plane.sessions import tasks as sessions
from control_plane.statements.services import statement_close
from control_plane.usage.closing import month_of
from control_plane.usage.models import BudgetSpend, LedgerEntry, RuleDay, UsageHour
from control_plane.usage.spending import Counter
from switchyard_contract.counters import counter_of
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd
from tests.browser.directory import a_directory
from tests.browser.governance import governance
from tests.browser.incomplete import incomplete
from tests.browser.leaver import somebody_left
from tests.browser.machines import machines
from tests.browser.priced import price_things
from tests.load.crowd import PASSWORD, Crowd

TEAM_BUDGETS = 60
"""Teams that have a budget of their own."""
STAGES = (
    {"at": 80, "do": "alert", "notify": ["team_lead"]},
    {"at": 95, "do": "downgrade", "to": ["claude-haiku-4-5"]},
    {"at": 100, "do": "block"},
)
REPRICED = timedelta(hours=1)
SEEN_DAYS_AGO = (9, 3, 1)
"""So many days ago forecasts were made."""


def crowd_furnish(crowd: Crowd) -> list[str]:
    """The second vendor, and rules of every kind; returns the ids of those that every exchange meets."""
    organization, owner = crowd.organization, crowd.owner
    actor = actor_of(owner)
    if not Provider.objects.filter(organization=organization, vendor="openai").exists():
        provider = provider_create(
            organization=organization,
            name="openai",
            vendor="openai",
            actor=actor,
            credential=CredentialChoice(CredentialSource.VALUE, "sim-0123456789abcdef"),
        )
        virtual_models_offer(provider=provider, actor=actor)

    def made(kind: Any, name: str, **spec: Any) -> Any:
        known = kind.model.objects.filter(organization=organization, name=name).first()
        return known or rule_create(kind, organization=organization, name=name, spec=spec, actor=actor)

    access = made(ACCESS_RULES, "everybody", allow={})
    made(RATE_LIMITS, "per-key-minute", limit=600, unit="requests_per_minute", per=["key"])
    made(SESSION_CAPS, "runaway", max_cost_usd="500", max_turns=4_000)
    team = made(BUDGETS, "team-month", limit_usd="600", period="month", per=["team"], stages=STAGES)
    daily = made(
        BUDGETS,
        "daily-allowance",
        limit_usd="100",
        period="day",
        timezone="Europe/Berlin",
        per=["principal"],
        stages=STAGES,
    )
    made(BUDGETS, "organization-month", limit_usd="250000", period="month", stages=STAGES)
    for name in (
        Team.objects.filter(organization=organization).order_by("name").values_list("name", flat=True)[:TEAM_BUDGETS]
    ):
        spec = {"limit_usd": "900", "period": "month", "stages": STAGES, "when": {"subjects": [f"team:{name}"]}}
        made(BUDGETS, f"month-of-{name.lower().replace(' ', '-')}", **spec)
    return [access.id.hex, team.id.hex, daily.id.hex]


def crowd_settle(crowd: Crowd) -> bool:
    """Work out of the rows what jobs work out of them, and say how long each took. False: nothing was left to do."""
    was_settled = Pod.objects.exists()
    for what, step in _steps(crowd):
        begun = time.perf_counter()
        step()
        print(f"{what} in {time.perf_counter() - begun:.0f} s", flush=True)
    return not was_settled


def _steps(crowd: Crowd) -> Iterator[tuple[str, Any]]:
    organization = crowd.organization
    now = timezone.now()
    if not Pod.objects.exists():
        yield "fleet, directory, prices and other small things made", lambda: transaction.atomic(_small_things)(crowd)
    Pod.objects.update(last_seen_at=now, status_at=now)
    if not BudgetSpend.objects.filter(organization_id=organization.id).exists():
        yield "books of budgets and rules written", lambda: _books(crowd, now)
        yield "forecasts made and scored", lambda: _forecasts(crowd, now)
    yield "sessions looked at", _sessions
    month = month_of(month_of(now) - timedelta(days=1))
    yield "month closed", lambda: statement_close(organization=organization, month=month, actor=Actor.system("crowd"))


def _small_things(crowd: Crowd) -> None:
    organization, owner = crowd.organization, crowd.owner
    actor, now = actor_of(owner), timezone.now()
    teams = list(Team.objects.filter(organization=organization).order_by("name")[1:3])
    governance(organization, owner, {"platform": teams[0], "compilers": teams[1]}, PASSWORD)
    admin_token_mint(organization=organization, user=owner, name="terraform", actor=actor)
    machines(ServiceAccount.objects.filter(organization=organization).earliest("name"), actor)
    a_directory(organization, actor)
    somebody_left(organization, teams[0])
    # A window as people price anew: what it takes grows with its rows.
    price_things(organization, owner, window=REPRICED)
    newest = LedgerEntry.objects.filter(organization_id=organization.id).latest("exchange_id")
    incomplete(organization, newest.exchange_id)
    channel_create(
        organization=organization,
        type="email",
        facts=ChannelFacts(name="finance", addresses=("ai-spend@example.com",)),
        actor=actor,
    )
    metadata_key_create(organization=organization, name="project", spec={"values": ["checkout", "search"]}, actor=actor)
    Pod.objects.bulk_create(
        [
            Pod(
                pod_id=f"pod-{number}",
                boot_id=f"{number:016x}",
                software_version="0.1.0",
                contract_revision=1,
                address=f"10.0.3.{number}:9100",
                connected_at=now - timedelta(hours=number),
                last_seen_at=now,
                status_at=now,
                in_flight=number,
            )
            for number in range(1, 9)
        ]
    )


def _books(crowd: Crowd, now: datetime) -> None:
    """What was posted to every counter in this period and the one before, and what rules did in four weeks."""
    organization = crowd.organization
    rows = []
    for budget in Budget.objects.filter(organization=organization):
        rule = PeriodRule(budget.period, budget.timezone, budget.anchor)
        here = period_at(rule, now)
        before = period_at(rule, here.start - timedelta(milliseconds=1))
        for span, until in ((here, now), (before, here.start)):
            hours = UsageHour.objects.filter(organization_id=organization.id, hour__gte=span.start, hour__lt=until)
            if subjects := budget.when.get("subjects"):
                hours = hours.filter(team_id__in=[UUID(subject.removeprefix("team:")) for subject in subjects])
            column = {"team": "team_id", "principal": "principal_id"}.get("".join(budget.per), "organization_id")
            sums = hours.values_list(column).annotate(Sum("cost_nano_usd"), Sum("requests"))
            for whose, cost, count in sums:
                values = [whose.hex] if budget.per else []
                counter = Counter(organization.id, budget.id, counter_of(values), int(span.id))
                rows.append(
                    BudgetSpend(
                        id=counter.id,
                        organization_id=organization.id,
                        budget_id=budget.id,
                        counter=counter.counter,
                        period_ms=counter.period_ms,
                        posted_nano_usd=cost,
                        count=count,
                        last_at=until,
                    )
                )
    BudgetSpend.objects.bulk_create(rows, batch_size=2000)
    today = now.astimezone(UTC).date()
    kinds = ((BUDGETS, "budget"), (ACCESS_RULES, "access"), (RATE_LIMITS, "rate"), (SESSION_CAPS, "cap"))
    rules = [
        (row.id.hex, word)
        for kind, word in kinds
        for row in kind.model._default_manager.filter(organization=organization)
    ]
    RuleDay.objects.bulk_create(
        RuleDay(
            organization_id=organization.id,
            day=today - timedelta(days=back),
            rule_id=rule_id,
            kind=kind,
            matched=70_000,
            refused=200,
        )
        for rule_id, kind in rules
        for back in range(28)
    )
    daily = Budget.objects.get(organization=organization, name="daily-allowance")
    asked: dict[str, Any] = {
        "budget": daily,
        "amount": NanoUsd(5 * NANO_PER_USD),
        "counter": counter_of([crowd.owner.id.hex]),
        "actor": actor_of(crowd.owner),
    }
    budget_raise_add(reason="A release", **asked)
    budget_request_make(requester=crowd.owner, reason="Once more", **asked)


def _forecasts(crowd: Crowd, now: datetime) -> None:
    """As the hourly job made them on some days. Budgets are as old as the usage."""
    organization = crowd.organization
    Budget.objects.filter(organization=organization).update(created_at=now - timedelta(days=60))
    for days in SEEN_DAYS_AGO:
        forecasts_make(organization=organization, now=now - timedelta(days=days))
    forecasts_score()
    forecasts_make(organization=organization)
    unusual_find(organization=organization)


def _sessions() -> None:
    while sessions.run(longest_s=60):
        pass
