"""The kinds of rules that the console shows, each with its form and with examples to begin from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from control_plane.access.services import ACCESS_RULES
from control_plane.budgets.services import BUDGETS
from control_plane.limits.services import RATE_LIMITS, SESSION_CAPS
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rules.models import RuleFields
from control_plane.rules.services import RuleKind
from control_plane.web.forms.rule_kinds import (
    ORDINARY_STAGES,
    AccessRuleForm,
    BudgetForm,
    RateLimitForm,
    SessionCapForm,
)
from control_plane.web.forms.rules import RuleForm


@dataclass(frozen=True, slots=True)
class Example:
    """A rule to begin from, in words and as a spec."""

    slug: str
    title: str
    text: str
    name: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleType:
    """One kind. seen_as: how what rules did on a day names it (`usage.RuleDay.kind`)."""

    slug: str
    kind: RuleKind[Any]
    yaml_kind: str
    title: str
    plural: str
    icon: str
    form: type[RuleForm]
    lead: str
    manage: Permission = Permission.POLICY_MANAGE
    examples: tuple[Example, ...] = field(default=())

    @property
    def template(self) -> str:
        return f"web/rules/parts/{self.slug.replace('-', '_')}.html"

    def row(self, organization: Organization, rule_id: UUID) -> RuleFields | None:
        rows = self.kind.model._default_manager.filter(organization=organization, id=rule_id)
        found: RuleFields | None = rows.select_related("organization").first()
        return found


RULE_TYPES: Final = (
    RuleType(
        "budgets",
        BUDGETS,
        "Budget",
        "Budget",
        "Budgets",
        "wallet",
        BudgetForm,
        "How much may be spent in a period, and what happens on the way there.",
        Permission.BUDGETS_MANAGE,
        (
            Example(
                "daily",
                "$10 a day per person",
                "Everybody has an allowance that begins anew each midnight; the lead is told at 80 %.",
                "daily-allowance",
                {
                    "limit_usd": "10",
                    "period": "day",
                    "per": ["principal"],
                    "stages": list(ORDINARY_STAGES),
                },
            ),
            Example(
                "monthly",
                "$1,000 a month for all Opus together",
                "One counter for the whole organization, on the dearest models alone.",
                "opus-monthly",
                {
                    "limit_usd": "1000",
                    "period": "month",
                    "when": {"models": ["*opus*"]},
                    "stages": list(ORDINARY_STAGES),
                },
            ),
        ),
    ),
    RuleType(
        "access-rules",
        ACCESS_RULES,
        "AccessRule",
        "Access rule",
        "Access rules",
        "shield-check",
        AccessRuleForm,
        "Which models, providers and regions may be used, and by whom. Once one rule is there, nothing is allowed "
        "that no rule lets through.",
        examples=(
            Example(
                "juniors",
                "Only Haiku for juniors",
                "One team keeps to the small models; a second rule lets everybody else use everything.",
                "juniors-haiku",
                {"when": {"subjects": []}, "allow": {"models": ["claude-haiku-*"]}},
            ),
        ),
    ),
    RuleType(
        "rate-limits",
        RATE_LIMITS,
        "RateLimit",
        "Rate limit",
        "Rate limits",
        "timer",
        RateLimitForm,
        "How many requests or tokens in a minute, an hour or a day. Tools wait and go on by themselves.",
        examples=(
            Example(
                "per-key",
                "60 requests a minute per key",
                "One script that has gone wild takes nothing away from the others.",
                "per-key-minute",
                {"limit": 60, "unit": "requests_per_minute", "per": ["key"]},
            ),
        ),
    ),
    RuleType(
        "session-caps",
        SESSION_CAPS,
        "SessionCap",
        "Session cap",
        "Session caps",
        "octagon-pause",
        SessionCapForm,
        "What one session of a coding tool may do at most, so that a loop ends by itself.",
        examples=(
            Example(
                "runaway",
                "Stop runaway sessions",
                "$50, 400 turns, 6 failed tool results in a row, or the same tool call 8 times: then it ends.",
                "runaway",
                {
                    "max_cost_usd": "50",
                    "max_turns": 400,
                    "max_request_retries": 3,
                    "max_consecutive_failed_tool_results": 6,
                    "max_repeats_of_same_tool_call": 8,
                },
            ),
        ),
    ),
)
BY_SLUG: Final[Mapping[str, RuleType]] = {one.slug: one for one in RULE_TYPES}


def type_of(row: RuleFields) -> RuleType:
    return next(one for one in RULE_TYPES if isinstance(row, one.kind.model))


def example_of(rule_type: RuleType, slug: str) -> Example | None:
    return next((one for one in rule_type.examples if one.slug == slug), None)
