"""Another gateway's files become ours; what cannot be carried is named."""

import pytest
import yaml

from deploy.remote.refused import Refused
from deploy.remote.truefoundry import convert

RATE_LIMITS = """\
name: ratelimiting-config
type: gateway-rate-limiting-config
rules:
  - id: "bob"
    when:
      subjects: ["user:bob@example.com", "virtualaccount:ci"]
      models: ["openai-main/openai/gpt-4o"]
      metadata: {env: prod}
    limit_to: 1000
    unit: requests_per_day
    rate_limit_applies_per: ["user", "model"]
  - id: everyone
    when: {}
    limit_to: "50000"
    unit: tokens_per_minute
    rate_limit_applies_per: [virtualaccount]
  - id: strange
    when: {subjects: ["group:x"], weather: sunny}
    limit_to: 5
    unit: requests_per_fortnight
"""

BUDGETS = """\
name: budgets
type: gateway-budget-config
rules:
  - id: team core/daily
    when: {subjects: ["team:core"], models: ["*opus*"]}
    limit_to: 12.5
    unit: cost_per_day
    budget_applies_per: [metadata.project]
    audit_mode: true
    alerts:
      thresholds: [75, "90", 100]
      notification_target:
        - {type: email, to_emails: [ops@example.com]}
"""

ROUTING = """\
name: claude-sonnet
type: virtual-model
routing_config:
  type: priority-based-routing
  load_balance_targets:
    - target: Anthropic-Main/claude-sonnet-4-6
      priority: 0
      retry_config: {attempts: 3, delay: 200, on_status_codes: "429,500"}
      fallback_status_codes: ["401", "429", "500", "5xx"]
      override_params: {temperature: 0.2}
      headers_override: {set: {x-a: 1}, remove: [x-b]}
      sla_cutoff: {time_per_output_token_ms: 50}
    - target: bedrock/us.anthropic/claude-sonnet
      priority: 1
      fallback_candidate: false
---
name: plain
routing_config:
  type: weight-based-routing
  load_balance_targets: [{target: openai-main/gpt-5.1, weight: 100}]
"""


def converted(**files: str) -> tuple[list[object], tuple[str, ...]]:
    done = convert([(f"{name}.yaml", text) for name, text in files.items()])
    return list(yaml.safe_load_all(done.text)), done.report


def test_rate_limits_become_one_group_of_rate_limits() -> None:
    objects, report = converted(limits=RATE_LIMITS)
    assert objects == [
        {
            "apiVersion": "switchyard/v1",
            "kind": "RateLimit",
            "metadata": {"name": "bob"},
            "spec": {
                "when": {
                    "subjects": ["user:bob@example.com", "service_account:ci"],
                    "models": ["openai-main/openai/gpt-4o"],
                    "metadata": {"env": ["prod"]},
                },
                "limit": 1000,
                "unit": "requests_per_day",
                "per": ["user", "model"],
                "group": "ratelimiting-config",
            },
        },
        {
            "apiVersion": "switchyard/v1",
            "kind": "RateLimit",
            "metadata": {"name": "everyone"},
            "spec": {
                "when": {},
                "limit": 50000,
                "unit": "tokens_per_minute",
                "per": ["service_account"],
                "group": "ratelimiting-config",
            },
        },
    ]
    assert report == (
        "converted: 2 RateLimit",
        "limits.yaml, document 1: rule strange: limit_to 5 'requests_per_fortnight' is no rate limit that is known; "
        "the rule is not carried",
        "limits.yaml, document 1: there, a day is the last 24 hours; here it begins at midnight in UTC",
        "has to be there, or in a file beside it: User bob@example.com, ServiceAccount ci, Provider openai-main",
    )


def test_budgets_keep_their_money_and_say_what_they_lose() -> None:
    objects, report = converted(budgets=BUDGETS)
    channel, budget = objects
    assert channel == {
        "apiVersion": "switchyard/v1",
        "kind": "AlertChannel",
        "metadata": {"name": "alerts-1"},
        "spec": {"type": "email", "addresses": ["ops@example.com"]},
    }
    assert budget == {
        "apiVersion": "switchyard/v1",
        "kind": "Budget",
        "metadata": {"name": "team-core-daily"},
        "spec": {
            "when": {"subjects": ["team:core"], "models": ["*opus*"]},
            "mode": "shadow",
            "limit_usd": "12.50",
            "period": "day",
            "timezone": "UTC",
            "per": ["metadata.project"],
            "stages": [
                {"at": 75, "do": "alert", "notify": ["alerts-1"]},
                {"at": 90, "do": "alert", "notify": ["alerts-1"]},
                {"at": 100, "do": "block", "notify": ["alerts-1"]},
            ],
        },
    }
    rule = "budgets.yaml, document 1: rule team core/daily"
    assert report == (
        "converted: 1 AlertChannel, 1 Budget",
        f"{rule}: audit_mode becomes shadow, which is counted and shown and sends no alerts; "
        "for alerts alone set mode: enforce and take the block out of its stages",
        "has to be there, or in a file beside it: Team core",
    )


def test_alerts_that_go_elsewhere_are_told() -> None:
    objects, report = converted(
        b="""\
type: gateway-budget-config
name: Budgets of 2026
rules:
  - id: A
    limit_to: 100
    unit: cost_per_week
    budget_applies_per: [user, virtualaccount]
    alerts:
      thresholds: [50, 100, 120]
      notification_target: [{type: slack-webhook, notification_channel: "#spend"}]
  - id: B
    when: {subjects: ["*", "user:Bob@Example.com"], models: [Azure/gpt-4o]}
    limit_to: 1
    unit: cost_per_month
    alerts: {thresholds: [90], notification_enabled: false}
  - {id: C, limit_to: 0, unit: cost_per_day}
"""
    )
    assert [(each["metadata"]["name"], each["spec"]["group"]) for each in objects] == [  # type: ignore[index]
        ("a", "budgets-of-2026"),
        ("b", "budgets-of-2026"),
    ]
    first, second = (each["spec"] for each in objects)  # type: ignore[index]
    assert first["per"] == ["principal"]
    assert first["stages"] == [{"at": 50, "do": "alert"}, {"at": 100, "do": "block"}]
    assert second["when"] == {"models": ["azure/gpt-4o"]}
    place = "b.yaml, document 1: rule"
    assert report[1:] == (
        f"{place} A: alerts to type slack-webhook notification_channel #spend are not carried: make an alert channel "
        "of the type webhook, and name it in the stage's notify",
        f"{place} A: a threshold at 120 is not carried: here alerts stand at 100 % or below, in whole percent",
        f"{place} A: its alerts go to the team lead, since nobody else could be carried",
        f"{place} B: the provider Azure is called azure here",
        f"{place} B: its alerts are switched off there and are not carried",
        f"{place} C: a limit of 0 refuses everything; write an AccessRule that denies it; the rule is not carried",
        "b.yaml, document 1: a stands before b, which is more specific: there a decides for what matches both, "
        "here b does",
        "b.yaml, document 1: there, cost is added to every rule that matches although only the first one decides; "
        "here, a group counts only on the rule that applies",
        "has to be there, or in a file beside it: Provider azure",
    )


def test_routes_keep_slashes_and_read_status_codes_in_quotes() -> None:
    objects, report = converted(routing=ROUTING)
    assert objects == [
        {
            "apiVersion": "switchyard/v1",
            "kind": "VirtualModel",
            "metadata": {"name": "claude-sonnet"},
            "spec": {
                "strategy": "priority",
                "targets": [
                    {
                        "model": "anthropic-main/claude-sonnet-4-6",
                        "priority": 0,
                        "retry": {"attempts": 3, "delay_ms": 200},
                        "fallback_on": [401, 429, 500],
                        "set_params": {"temperature": 0.2},
                        "set_headers": {"x-a": "1"},
                    },
                    {"model": "bedrock/us.anthropic/claude-sonnet", "priority": 1},
                ],
            },
        },
        {
            "apiVersion": "switchyard/v1",
            "kind": "VirtualModel",
            "metadata": {"name": "plain"},
            "spec": {"targets": [{"model": "openai-main/gpt-5.1"}]},
        },
    ]
    first = "routing.yaml, document 1: virtual model claude-sonnet: target Anthropic-Main/claude-sonnet-4-6"
    second = "routing.yaml, document 1: virtual model claude-sonnet: target bedrock/us.anthropic/claude-sonnet"
    assert report[1:] == (
        f"{first}: the provider Anthropic-Main is called anthropic-main here",
        f"{first}: retry_config.on_status_codes [429, 500] is not carried: "
        "what is tried again follows from the failure",
        f"{first}: the status code '5xx' is not carried",
        f"{first}: falling back on [401] hides a provider's dead key; think about leaving it out",
        f"{first}: headers_override.remove ['x-b'] is not carried",
        f"{first}: sla_cutoff is not carried; strategy: latency leaves slow targets aside",
        f"{second}: fallback_candidate: false is not carried; every target may be landed on",
    )


def test_older_rules_become_names_and_lose_their_conditions() -> None:
    objects, report = converted(
        old="""\
type: gateway-load-balancing-config
name: lb
rules:
  - id: gpt
    type: weight-based-routing
    when: {models: [gpt], subjects: ["team:core"]}
    load_balance_targets:
      - {target: azure/gpt-4o, weight: 70}
      - {target: openai/gpt-4o, weight: 30}
"""
    )
    assert objects[0] == {
        "apiVersion": "switchyard/v1",
        "kind": "VirtualModel",
        "metadata": {"name": "gpt"},
        "spec": {
            "strategy": "weight",
            "targets": [{"model": "azure/gpt-4o", "weight": 70}, {"model": "openai/gpt-4o", "weight": 30}],
        },
    }
    assert "when.subjects is not carried" in report[1]


def test_an_order_that_decides_otherwise_is_told() -> None:
    _, report = converted(
        limits="""\
type: gateway-rate-limiting-config
name: l
rules:
  - {id: all, when: {}, limit_to: 10, unit: requests_per_minute}
  - {id: core, when: {subjects: ["team:core"]}, limit_to: 5, unit: requests_per_minute}
  - {id: opus, when: {models: [a/opus]}, limit_to: 5, unit: requests_per_minute}
  - {id: haiku, when: {models: [a/haiku], metadata: {x: y}}, limit_to: 5, unit: requests_per_minute}
"""
    )
    told = [line.partition(": ")[2].partition(",")[0] for line in report[1:] if "stands before" in line]
    assert told == ["all stands before core", "all stands before opus", "all stands before haiku"]


def test_a_rule_whose_people_are_unknown_is_switched_off_rather_than_for_everybody() -> None:
    objects, report = converted(
        limits="type: gateway-rate-limiting-config\nname: l\n"
        "rules: [{id: a, when: {subjects: ['group:x']}, limit_to: 1, unit: requests_per_day}]\n"
    )
    assert objects[0]["spec"]["mode"] == "off"  # type: ignore[index]
    assert len(report) == 4


@pytest.mark.parametrize("text", ["a: [", "just text", "type: something-else\n", "kind: Team\n", ""])
def test_what_is_not_theirs_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        convert([("file.yaml", text)])
