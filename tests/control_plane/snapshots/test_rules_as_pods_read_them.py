"""Rules as the control plane compiles them are rules that pods read, and mean the same to both."""

from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest

from control_plane.access.models import AccessRule
from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.rules.models import MetadataKey
from control_plane.snapshots.compile_rules import RuleRows, compile_rules
from data_plane.policy.conditions_from_proto import Known
from data_plane.policy.globs import globs_of
from data_plane.policy.periods import period_at
from data_plane.policy.rules import Condition, Parts, Raise, Rules, Stage
from data_plane.policy.rules_from_proto import read_rules
from switchyard_contract.quantity import NANO_PER_USD, nano_usd

NOW = datetime(2026, 10, 24, 12, tzinfo=UTC)
TEAM, USER, BOT, GONE = (UUID(sign * 32) for sign in "1239")
KNOWN = Known(frozenset({TEAM.hex}), frozenset({USER.hex}), frozenset({BOT.hex}))
PRESENT = frozenset({TEAM.hex, USER.hex, BOT.hex})


def read(**rows: object) -> Rules:
    return read_rules("shard", compile_rules(RuleRows(now=NOW, **rows), PRESENT), KNOWN)  # type: ignore[arg-type]


def a_budget(**changes: object) -> Budget:
    fields = {"name": "b", "limit_nano_usd": 10 * NANO_PER_USD, "period": "day", "timezone": "Europe/Berlin"}
    return Budget(**{**fields, **changes})


def test_a_budget_means_to_pods_what_was_saved() -> None:
    budget = a_budget(
        mode="shadow",
        when={
            "subjects": [f"team:{TEAM.hex}", f"user:{USER.hex}", "role:member"],
            "models": ["*opus*"],
            "metadata": {"environment": ["dev"]},
            "clients": ["claude-*"],
            "protocols": ["anthropic_messages"],
        },
        when_not=[{"subjects": [f"service_account:{BOT.hex}"]}],
        group="daily",
        per=["principal"],
        stages=[
            {"at": 80, "do": "alert", "notify": ["team_lead", "channel:finance"]},
            {"at": 95, "do": "downgrade", "to": ["small"], "when": {"uncached_input_tokens_below": 10_000}},
            {"at": 100, "do": "block"},
        ],
        grace="turn",
        grace_nano_usd=5,
        contact="finance@example.com",
    )
    more = BudgetRaise(
        budget=budget, counter=USER.hex, amount_nano_usd=7, from_at=NOW, until_at=datetime(2026, 10, 30, tzinfo=UTC)
    )

    (rule,) = read(budgets=[budget], raises=[more]).budgets

    assert rule.is_shadow
    assert rule.when == Condition(
        subjects=frozenset({f"team:{TEAM.hex}", f"user:{USER.hex}", "role:member"}),
        models=globs_of(("*opus*",)),
        metadata=(("environment", globs_of(("dev",))),),
        clients=globs_of(("claude-*",)),
        protocols=frozenset({"anthropic_messages"}),
    )
    assert rule.when_not == (Condition(subjects=frozenset({f"service_account:{BOT.hex}"})),)
    assert rule.stages == (
        Stage(80, "alert", told=("team lead", "#finance")),
        Stage(95, "downgrade", to=("small",), uncached_input_tokens_below=10_000, cache_aware=True),
        Stage(100, "block"),
    )
    assert (rule.limit, rule.outage_allowance, rule.grace) == (nano_usd("10"), nano_usd("0.5"), 5)
    (raised,) = rule.raises
    assert raised == Raise(more.id.hex, USER.hex, nano_usd("0.000000007"), raised.from_ms, raised.until_ms)
    assert (raised.from_ms, raised.until_ms) == (1_792_843_200_000, 1_793_318_400_000)


@pytest.mark.parametrize("unit", ["minute", "hour", "day", "week", "month", "quarter", "lifetime"])
def test_every_period_is_one_that_pods_can_tell_the_time_by(unit: str) -> None:
    (rule,) = read(budgets=[a_budget(period=unit)]).budgets
    now_ms = int(NOW.timestamp() * 1000)

    seen = {period_at(rule.periods, now_ms + hours * 3_600_000).id for hours in range(24 * 35)}

    assert all(int(period) <= now_ms + 35 * 86_400_000 for period in seen)
    assert (
        len(seen) == {"hour": 840, "minute": 840, "day": 36, "week": 6, "month": 2, "quarter": 1, "lifetime": 1}[unit]
    )


def test_a_day_in_berlin_has_as_many_hours_as_it_has() -> None:
    (rule,) = read(budgets=[a_budget()]).budgets
    starts = rule.periods.starts_ms

    assert [(end - start) // 3_600_000 for start, end in pairwise(starts[:4])] == [24, 25, 24]


@pytest.mark.parametrize("unit", list(Unit))
def test_every_unit_of_a_rate_is_one_that_pods_count(unit: Unit) -> None:
    (rule,) = read(rate_limits=[RateLimit(name="r", limit=5, unit=unit, burst=0, per=["key"])]).rates

    assert rule.is_concurrency is (unit == Unit.CONCURRENT_REQUESTS)
    assert unit.startswith(rule.unit) or rule.is_concurrency
    assert rule.is_concurrency or unit.endswith(rule.periods.unit)


def test_a_rule_whose_subjects_are_gone_is_about_nobody() -> None:
    (rule,) = read(budgets=[a_budget(when={"subjects": [f"team:{GONE.hex}"]})]).budgets

    assert rule.when.subjects
    assert rule.when.subjects.isdisjoint({"organization", f"team:{GONE.hex}", "kind:user"})


@pytest.mark.parametrize(
    ("column", "parts"),
    [
        (None, None),
        ({}, Parts()),
        (
            {"models": ["a*"], "providers": ["p"], "regions": ["eu"], "external": False},
            Parts(globs_of(("a*",)), globs_of(("p",)), globs_of(("eu",)), external=False),
        ),
    ],
)
def test_what_a_rule_of_access_does_not_say_is_not_what_it_leaves_empty(
    column: dict[str, object] | None, parts: Parts | None
) -> None:
    (rule,) = read(access_rules=[AccessRule(name="a", allow=column, deny={"external": True})]).access

    assert rule.allow == parts
    assert rule.deny == Parts(external=True)


def test_caps_and_keys_of_metadata_are_read() -> None:
    rules = read(
        session_caps=[SessionCap(name="c", max_cost_nano_usd=5, max_request_retries=3)],
        metadata_keys=[MetadataKey(name="environment", values=["dev"], pattern="d.*", unknown="other")],
    )

    (cap,) = rules.caps
    assert (cap.max_cost, cap.max_retries, cap.max_turns, cap.per_key_hour_factor) == (5, 3, 0, 10)
    (key,) = rules.metadata_keys
    assert (key.key, key.values, key.counts_unknown_as_other) == ("environment", frozenset({"dev"}), True)
    assert key.pattern is not None
    assert key.pattern.fullmatch("dev")
