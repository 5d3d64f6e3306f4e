"""Rules of every kind, with what they did, what was spent of budgets, raises, requests for more, and alert channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from django.utils import timezone

from control_plane.access.services import ACCESS_RULES
from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.alerts.models import AlertChannel
from control_plane.alerts.services import ChannelFacts, channel_create
from control_plane.budgets.models import Budget, BudgetRequest
from control_plane.budgets.services import (
    BUDGETS,
    budget_raise_add,
    budget_request_decline,
    budget_request_make,
)
from control_plane.limits.services import RATE_LIMITS, SESSION_CAPS
from control_plane.organizations.models import Organization, ServiceAccount
from control_plane.rules.metadata_keys import metadata_key_create
from control_plane.rules.models import MetadataKey, RuleFields
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.rules.services import RuleKind, rule_create
from control_plane.usage.models import BudgetSpend, RuleDay
from control_plane.usage.spending import Counter
from switchyard_contract.counters import counter_of
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd

STAGES = (
    {"at": 80, "do": "alert", "notify": ["team_lead"]},
    {"at": 95, "do": "downgrade", "to": ["claude-haiku-4-5"]},
    {"at": 100, "do": "block"},
)
MODELS = ("claude-opus-4-6", "claude-sonnet-4-6")


@dataclass(frozen=True, slots=True)
class Ruled:
    daily: Budget
    monthly: Budget
    shadow: Budget
    access: RuleFields
    rate: RuleFields
    cap: RuleFields
    channel: AlertChannel
    webhook: AlertChannel
    metadata_key: MetadataKey
    open_request: BudgetRequest
    decided_request: BudgetRequest


def ruled(organization: Organization, people: Mapping[str, User], account: ServiceAccount, admin: User) -> Ruled:
    """People are named by their e-mails; the teams are those of the world."""
    actor, kinds = actor_of(admin), _Rules(organization, admin)
    channel = channel_create(
        organization=organization,
        type="email",
        facts=ChannelFacts(name="finance", addresses=("ai-spend@example.com",), cost_centre="4711"),
        actor=actor,
    ).channel
    # An address, since no test asks a name server.
    webhook = channel_create(
        organization=organization,
        type="webhook",
        facts=ChannelFacts(
            name="pager", url="https://93.184.215.14/switchyard", description="Wakes whoever is on call"
        ),
        actor=actor,
    ).channel
    in_berlin = {"period": "day", "timezone": "Europe/Berlin", "per": ["principal"], "group": "allowance"}
    daily = kinds.made(
        BUDGETS, "daily-allowance", description="What everybody has a day", limit_usd="10", stages=STAGES, **in_berlin
    )
    kinds.made(BUDGETS, "seniors-daily", when={"subjects": ["team:research"]}, limit_usd="50", **in_berlin)
    monthly = kinds.made(
        BUDGETS,
        "opus-monthly",
        when={"models": ["*opus*"], "not": {"subjects": ["service_account:review-bot"]}},
        limit_usd="1000",
        period="month",
        stages=[{"at": 80, "do": "alert", "notify": ["team_lead", "channel:finance"]}, {"at": 110, "do": "block"}],
    )
    shadow = kinds.made(
        BUDGETS,
        "compilers-weekly",
        mode="shadow",
        when={"subjects": ["team:compilers"]},
        limit_usd="120",
        period="week",
        per=["user", "model"],
    )
    kinds.made(BUDGETS, "pilot", mode="off", limit_usd="5000", period="lifetime")
    access = kinds.made(ACCESS_RULES, "everybody", description="The catalogue is open", allow={})
    juniors = kinds.made(
        ACCESS_RULES,
        "juniors-haiku",
        mode="shadow",
        when={"subjects": ["team:compilers"], "hours": "Mon-Fri 09:00-18:00 Europe/Berlin"},
        allow={"models": ["claude-haiku-*"]},
        deny={"external": True},
    )
    rate = kinds.made(RATE_LIMITS, "per-key-minute", limit=60, unit="requests_per_minute", per=["key"])
    kinds.made(
        RATE_LIMITS,
        "ci-tokens",
        when={"subjects": ["service_account:review-bot"], "metadata": {"environment": ["ci", "nightly"]}},
        limit=5_000_000,
        unit="tokens_per_day",
        timezone="Europe/Berlin",
    )
    cap = kinds.made(SESSION_CAPS, "runaway", max_cost_usd="50", max_turns=400, max_consecutive_failed_tool_results=6)
    for budget, share, values in _spent(people, account, daily, monthly, shadow):
        _post(budget, share, values)
    for row, kind, sums in (
        (daily, "budget", (412, 9, 0, 37)),
        (monthly, "budget", (188, 0, 0, 0)),
        (shadow, "budget", (96, 0, 14, 0)),
        (access, "access", (644, 0, 0, 0)),
        (juniors, "access", (120, 0, 61, 0)),
        (rate, "rate", (644, 3, 0, 0)),
        (cap, "cap", (644, 1, 0, 0)),
    ):
        _did(row, kind, *sums)
    budget_raise_add(
        budget=daily,
        amount=NanoUsd(5 * NANO_PER_USD),
        counter=counter_of([people["alan@example.com"].id.hex]),
        reason="The paper's deadline",
        actor=actor,
    )
    asked, declined = _asked(people, admin, daily)
    project = metadata_key_create(
        organization=organization,
        name="project",
        spec={"values": ["checkout", "search", "billing"], "pattern": "[A-Z]{2,5}-[0-9]+", "unknown": "other"},
        actor=actor,
    )
    return Ruled(daily, monthly, shadow, access, rate, cap, channel, webhook, project, asked, declined)


class _Rules:
    """Makes rules of one organization."""

    def __init__(self, organization: Organization, admin: User) -> None:
        self._organization, self._admin = organization, admin

    def made(self, kind: RuleKind[Any], name: str, **spec: Any) -> Any:
        return rule_create(kind, organization=self._organization, name=name, spec=spec, actor=actor_of(self._admin))


def _spent(
    people: Mapping[str, User], account: ServiceAccount, daily: Budget, monthly: Budget, shadow: Budget
) -> list[tuple[Budget, float, list[str]]]:
    """(budget, share of its limit, values of the counter)."""
    shares = (0.43, 0.97, 0.84, 1.02, 0.12, 0.0031)
    found = [(daily, share, [person.id.hex]) for share, person in zip(shares, people.values(), strict=False)]
    found += [(daily, 0.55, [account.id.hex]), (monthly, 0.71, [])]
    weekly = ((0.36, "grace@example.com", 0), (1.07, "barbara@example.com", 0), (0.2, "barbara@example.com", 1))
    return found + [(shadow, share, [people[email].id.hex, MODELS[model]]) for share, email, model in weekly]


def _post(budget: Budget, share: float, values: list[str]) -> None:
    now = timezone.now()
    span = period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), now)
    counter = Counter(budget.organization_id, budget.id, counter_of(values), int(span.id))
    BudgetSpend.objects.create(
        id=counter.id,
        organization_id=counter.organization_id,
        budget_id=counter.budget_id,
        counter=counter.counter,
        period_ms=counter.period_ms,
        posted_nano_usd=int(budget.limit_nano_usd * share),
        count=int(300 * share) + 1,
        last_at=now - timedelta(minutes=3),
    )


def _did(row: RuleFields, kind: str, matched: int, refused: int, shadow_refused: int, downgraded: int) -> None:
    today = timezone.now().astimezone(UTC).date()
    for days in range(4):
        RuleDay.objects.create(
            organization_id=row.organization_id,
            day=today - timedelta(days=days),
            rule_id=row.id.hex,
            kind=kind,
            matched=matched,
            refused=refused,
            shadow_refused=shadow_refused,
            downgraded=downgraded,
        )


def _asked(people: Mapping[str, User], admin: User, daily: Budget) -> tuple[BudgetRequest, BudgetRequest]:
    """One request that waits, one that was declined."""
    barbara, grace = people["barbara@example.com"], people["grace@example.com"]
    waiting = budget_request_make(
        budget=daily,
        requester=barbara,
        amount=NanoUsd(8 * NANO_PER_USD),
        reason="The migration has to be through tonight",
        counter=counter_of([barbara.id.hex]),
        actor=actor_of(barbara),
    )
    asked = budget_request_make(
        budget=daily,
        requester=grace,
        amount=NanoUsd(400 * NANO_PER_USD),
        reason="More is better",
        counter=counter_of([grace.id.hex]),
        actor=actor_of(grace),
    )
    declined = budget_request_decline(
        request=asked, decider=admin, actor=actor_of(admin), note="Ask for what the task needs, please."
    )
    return waiting, declined
