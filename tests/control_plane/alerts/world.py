"""Short constructors: budgets with stages, spending that is booked, channels."""

from datetime import UTC, datetime
from typing import Any

from control_plane.alerts.models import AlertChannel
from control_plane.alerts.services import ChannelFacts, channel_create
from control_plane.budgets.models import Budget, Period
from control_plane.rules.models import Mode
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.usage.aggregation import book_waiting
from switchyard_contract.counters import MICRO, Verdict
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.charges import a_budget_number, a_rule_seen, an_answer
from tests.control_plane.usage.events import NOW, a_batch, a_refusal, an_event

DOLLAR = 1_000_000_000
STAGES: list[dict[str, Any]] = [
    {"at": 80, "do": "alert", "notify": ["team_lead", "finance"]},
    {"at": 95, "do": "downgrade", "to": ["claude-haiku-4-5"]},
    {"at": 100, "do": "block"},
]
_numbers = iter(range(1, 1 << 40))


def a_budget(tenant: Tenant, name: str = "engineer-daily", **changes: Any) -> Budget:
    """$10 a day in Berlin for everybody together, as the defaults of a budget are."""
    values: dict[str, Any] = {
        "organization": tenant.organization,
        "name": name,
        "limit_nano_usd": 10 * DOLLAR,
        "period": Period.DAY,
        "timezone": "Europe/Berlin",
        "stages": STAGES,
        "mode": Mode.ENFORCE,
    }
    return Budget.objects.create(**{**values, **changes})


def period_of(budget: Budget, at: datetime = NOW) -> str:
    return period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), at).id


def spend(
    budget: Budget,
    dollars: float,
    *,
    counter: str = "",
    at: datetime = NOW,
    is_shadow: bool = False,
    now: datetime = NOW,
) -> None:
    """Report and book one exchange that cost so much."""
    put(spending(budget, dollars, counter=counter, at=at, is_shadow=is_shadow))
    book_waiting(now=now, ledger_days=LEDGER_DAYS)


def spending(
    budget: Budget, dollars: float, *, counter: str = "", at: datetime = NOW, is_shadow: bool = False
) -> usage_pb2.UsageBatch:
    number = next(_numbers)
    charge = usage_pb2.Charge(
        budget_id=budget.id.hex, counter=counter, period=period_of(budget, at), is_shadow=is_shadow
    )
    event = an_event(
        number,
        at=at,
        organization_id=budget.organization_id.hex,
        cost_nano_usd=round(dollars * DOLLAR),
        charges=[charge],
    )
    return a_batch([event], boot=f"boot-{number}".encode())


def a_mail_channel(tenant: Tenant, name: str = "finance", **changes: Any) -> AlertChannel:
    facts = ChannelFacts(**{"name": name, "addresses": (f"{name}@acme.example",), **changes})
    return channel_create(organization=tenant.organization, type="email", facts=facts, actor=tenant.actor).channel


def a_webhook(tenant: Tenant, url: str, name: str = "hook", secret: str = "a-secret-for-tests-only") -> AlertChannel:
    facts = ChannelFacts(name=name, url=url, secret=secret)
    return channel_create(organization=tenant.organization, type="webhook", facts=facts, actor=tenant.actor).channel


def midnight(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def refuse(budget: Budget, posted: float, **told: Any) -> None:
    """Report and book one exchange that the budget had no room for; told: as `refusing` takes it."""
    put(refusing(budget, posted, **told))
    book_waiting(now=NOW, ledger_days=LEDGER_DAYS)


def refusing(
    budget: Budget,
    posted: float,
    *,
    reserved: float = 0,
    wanted: float = 0.5,
    counter: str = "",
    limit: float = 10,
    at: datetime = NOW,
    is_shadow: bool = False,
    verdict: Verdict = Verdict.DENIED,
    **changes: Any,
) -> usage_pb2.UsageBatch:
    """Amounts in dollars. wanted, reserved: as a calibrated budget bounds them; twice that at worst, and half of it
    expected."""
    number = next(_numbers)
    rule = a_rule_seen(
        budget.id,
        name=budget.name,
        counter=counter,
        period=period_of(budget, at),
        limit=round(limit * DOLLAR),
        is_shadow=is_shadow,
    )
    micro = DOLLAR // MICRO
    numbers = a_budget_number(
        posted=round(posted * micro), expected=round(reserved * micro / 2), worst=round(reserved * micro), refused=True
    )
    amounts = {"expected": round(wanted * micro / 2), "calibrated": round(wanted * micro)}
    answer = an_answer([], [numbers], verdict=verdict, index=0, worst=round(wanted * micro * 2), **amounts)
    event = a_refusal(
        number,
        at=at,
        organization_id=budget.organization_id.hex,
        rules=usage_pb2.RulesSeen(rules=[rule]),
        counters_answer=answer,
        **{"reason": "budget_exceeded", "client_status": 402, **changes},
    )
    return a_batch([event], boot=f"boot-{number}".encode())
