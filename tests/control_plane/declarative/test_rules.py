"""Rules in a policy file: the same rules as in a form and over REST, refused alike, the same after export."""

from typing import Any

import jsonschema
import pytest
import yaml
from django.db import transaction

from control_plane.access.models import AccessRule
from control_plane.alerts.models import AlertChannel
from control_plane.alerts.sealing import secret_of
from control_plane.audit.models import Change
from control_plane.budgets.models import Budget
from control_plane.budgets.services.kind import BUDGETS
from control_plane.catalog.services import list_prices_load
from control_plane.credentials.models import Provider
from control_plane.declarative.differences import Action
from control_plane.declarative.drift import drift_of
from control_plane.declarative.nodes import RefusedPolicy
from control_plane.declarative.revisions import revision_record
from control_plane.declarative.schema import policy_schema
from control_plane.declarative.selectors import newest_revision
from control_plane.declarative.services import removal_on_restore, restore_apply
from control_plane.limits.models import RateLimit, SessionCap
from control_plane.rules.models import MetadataKey
from control_plane.rules.services import rule_update
from deploy.remote.truefoundry import convert
from tests.builders.tenants import SYSTEM, a_key, a_provider, a_tenant
from tests.control_plane.declarative.test_round_trip import rename_accounts
from tests.control_plane.declarative.world import EVERYTHING, Code, an_empty_organization, code_of
from tests.control_plane.rules.bad_rules import BAD_RULES, Bad

PEOPLE = """\
kind: Team
metadata: {name: seniors}
spec: {}
---
kind: User
metadata: {name: ada@example.com}
spec: {role: owner, teams: [seniors]}
---
kind: ServiceAccount
metadata: {name: ci}
spec: {team: seniors}
---
kind: Provider
metadata: {name: anthropic-main}
spec:
  vendor: anthropic
  credential: {value: null}
  limits: {concurrent_requests: 200, requests_per_minute: 4000}
  external: false
---
kind: AlertChannel
metadata: {name: finance}
spec: {type: email, addresses: [finance@example.com], cost_centre: "4711"}
---
kind: AlertChannel
metadata: {name: pager}
spec: {type: webhook, url: "https://93.184.216.34/hook", secret: {value: "a secret of twenty"}}
"""
SENIORS = """\
kind: Budget
metadata: {name: seniors}
spec:
  when: {subjects: ["team:seniors"]}
  limit_usd: 50
  period: day
  group: daily-allowance
  per: principal
---
kind: Budget
metadata: {name: everybody}
spec: {limit_usd: "10.00", period: day, group: daily-allowance, per: [principal]}
---
kind: Budget
metadata: {name: all-opus}
spec:
  when: {models: ["*opus*"]}
  limit_usd: 1000
  period: month
  timezone: Europe/Berlin
  stages:
    - {at: 80, do: alert, notify: [finance, team_lead]}
    - {at: 95, do: downgrade, to: [anthropic-main/claude-haiku-4-5], when: {uncached_input_tokens_below: 10000}}
    - {at: 100, do: block}
"""
"""Seniors $50 a day, everybody else $10, all Opus together $1,000 a month."""
RULES = f"""\
{SENIORS}---
kind: AccessRule
metadata: {{name: juniors}}
spec:
  when:
    subjects: ["role:member", "kind:service_account"]
    not: {{clients: [claude-code], hours: "Mon-Fri 09:00-18:00 Europe/Berlin"}}
  allow: {{models: ["claude-haiku-*", anthropic-main/claude-sonnet-4-6], providers: [anthropic-main]}}
  deny: {{external: true}}
---
kind: AccessRule
metadata: {{name: all-others}}
spec: {{mode: shadow, allow: {{}}}}
---
kind: RateLimit
metadata: {{name: ci-pipeline}}
spec:
  when: {{subjects: ["service_account:ci"], metadata: {{environment: [ci, "build-*"]}}}}
  limit: 500
  unit: requests_per_day
  timezone: Europe/Berlin
  per: [service_account, metadata.environment]
---
kind: SessionCap
metadata: {{name: runaway}}
spec: {{max_cost_usd: "50", max_turns: 400, max_request_retries: 3}}
---
kind: MetadataKey
metadata: {{name: environment}}
spec: {{values: [ci, dev, production], pattern: "build-[0-9]+", unknown: other, is_required: true}}
"""


@pytest.fixture
def empty(db: None) -> Code:
    list_prices_load(actor=SYSTEM)
    return an_empty_organization()


def document(kind: str, name: str, spec: Any) -> str:
    return yaml.safe_dump({"kind": kind, "metadata": {"name": name}, "spec": spec}, sort_keys=False)


def test_seniors_everybody_and_all_opus(empty: Code) -> None:
    empty.apply(PEOPLE)
    done = empty.apply(SENIORS)
    assert done.count(Action.CREATE) == 3
    seniors, everybody, opus = (Budget.objects.get(name=name) for name in ("seniors", "everybody", "all-opus"))
    assert (seniors.limit_nano_usd, everybody.limit_nano_usd, opus.limit_nano_usd) == (50 * 10**9, 10**10, 10**12)
    assert seniors.group == everybody.group == "daily-allowance"
    assert (seniors.per, opus.per, opus.period) == (["principal"], [], "month")
    assert opus.stages[0]["notify"] == ["channel:finance", "team_lead"]


def test_every_kind_of_rule_is_made_exported_and_made_again(empty: Code) -> None:
    empty.apply(PEOPLE)
    empty.apply(RULES)
    assert {model.objects.count() for model in (Budget, AccessRule)} == {3, 2}
    assert (RateLimit.objects.count(), SessionCap.objects.count(), MetadataKey.objects.count()) == (1, 1, 1)
    provider = Provider.objects.get()
    assert (provider.max_concurrent_requests, provider.max_requests_per_minute, provider.is_external) == (
        200,
        4000,
        False,
    )
    assert secret_of(AlertChannel.objects.get(name="pager")) == "a secret of twenty"
    text = empty.export()
    assert "a secret of twenty" not in text
    check = jsonschema.Draft202012Validator(policy_schema())
    for each in [*yaml.safe_load_all(text), *yaml.safe_load_all(PEOPLE + "---\n" + RULES)]:
        check.validate(each)

    assert empty.apply(text, EVERYTHING).changes == ()
    assert empty.apply(PEOPLE + "---\n" + RULES, EVERYTHING).changes == ()

    rename_accounts()
    second = an_empty_organization("second")
    done = second.apply(text)
    assert second.export() == text
    assert ("AlertChannel pager", "spec.secret") in [(str(gap.key), gap.field) for gap in done.gaps]


def test_what_goes_makes_room_for_what_comes(empty: Code) -> None:
    """Eight budgets fit an exchange; another eight in their place are no ninth one."""
    old = "---\n".join(document("Budget", f"old-{n}", {"limit_usd": "5", "period": "day"}) for n in range(8))
    new = "---\n".join(document("Budget", f"new-{n}", {"limit_usd": "5", "period": "day"}) for n in range(8))
    empty.apply(old)
    empty.apply(new, EVERYTHING)
    assert sorted(Budget.objects.values_list("name", flat=True)) == [f"new-{n}" for n in range(8)]


def test_budgets_that_trade_places_are_not_in_each_others_way(empty: Code) -> None:
    """Each alone would be a ninth for a moment."""
    names = [f"b-{n}" for n in range(9)]

    def text(odd: str) -> str:
        def spec(name: str) -> dict[str, Any]:
            subject = "kind:user" if name == odd else "kind:service_account"
            return {"when": {"subjects": [subject]}, "limit_usd": "5", "period": "day"}

        return "---\n".join(document("Budget", name, spec(name)) for name in names)

    empty.apply(text("b-0"))
    done = empty.apply(text("b-8"))
    assert done.count(Action.CHANGE) == 2


def test_each_bad_rule_is_refused_with_its_field_named(db: None) -> None:
    list_prices_load(actor=SYSTEM)
    tenant = a_tenant()
    a_provider(tenant)
    code = code_of(tenant)
    told_otherwise = []
    for bad in BAD_RULES:
        with transaction.atomic():
            for good in bad.present:
                code.apply(document(good.kind, good.name, dict(good.spec)))
            told = refused_fields(code, bad)
            transaction.set_rollback(True)
        wanted = "metadata.name" if bad.field == "name" else f"spec.{bad.field}"
        if wanted not in told:
            told_otherwise.append((bad.id, wanted, told))
    assert told_otherwise == []


def refused_fields(code: Code, bad: Bad) -> list[str]:
    with pytest.raises(RefusedPolicy) as refused:
        code.plan(document(bad.kind, bad.name, dict(bad.spec)))
    assert all(problem.place.line for problem in refused.value.problems if problem.document)
    return [problem.field for problem in refused.value.problems]


def test_everything_that_is_wrong_with_several_rules_is_told_at_once(empty: Code) -> None:
    text = "---\n".join(
        [
            document("Budget", "one", {"limit_usd": "-1", "period": "fortnight", "timezone": "Mars"}),
            document("RateLimit", "two", {"limit": 1, "unit": "requests_per_day", "burst": 2}),
            document("AccessRule", "three", {"allow": {"providers": ["nowhere"]}}),
        ]
    )
    with pytest.raises(RefusedPolicy) as refused:
        empty.plan(text)
    told = {(problem.name, problem.field) for problem in refused.value.problems}
    assert {("one", "spec.period"), ("two", "spec.burst")} <= told


def test_a_team_made_by_the_same_file_may_be_named_and_one_that_is_not_may_not(empty: Code) -> None:
    rule = document("Budget", "b", {"when": {"subjects": ["team:new"]}, "limit_usd": "5", "period": "day"})
    with pytest.raises(RefusedPolicy) as refused:
        empty.plan(rule)
    assert [problem.field for problem in refused.value.problems] == ["spec.when.subjects[0]"]
    empty.apply("kind: Team\nmetadata: {name: new}\nspec: {}\n---\n" + rule)
    assert Budget.objects.count() == 1


def test_a_key_named_by_its_name_stays_that_key(db: None) -> None:
    list_prices_load(actor=SYSTEM)
    tenant = a_tenant()
    key = a_key(tenant).key
    code = code_of(tenant)
    rule = document("RateLimit", "r", {"when": {"subjects": ["key:laptop"]}, "limit": 5, "unit": "requests_per_minute"})
    code.apply(rule)
    assert RateLimit.objects.get().when == {"subjects": [f"key:{key.key_id}"]}
    assert code.apply(rule).changes == ()
    assert f"key:{key.key_id}" in code.export()


def test_an_edited_budget_is_drift_and_an_earlier_revision_brings_it_back(empty: Code) -> None:
    empty.apply(PEOPLE)
    empty.apply(RULES, label="abc123")
    before = newest_revision(empty.organization.id)
    assert before is not None
    rule_update(BUDGETS, row=Budget.objects.get(name="everybody"), changes={"limit_usd": "12"}, actor=SYSTEM)
    drift = drift_of(empty.organization)
    assert drift is not None
    ((change,),) = [drift.changes]
    assert [(str(change.key), each.field, each.before, each.after) for each in change.fields] == [
        ("Budget everybody", "limit_usd", "10.00", "12.00")
    ]
    assert 'limit_usd: "12.00"' in drift.text
    with transaction.atomic():
        revision_record(organization_id=empty.organization.id)
    removal = removal_on_restore(takes_people=False, is_confirmed=True)
    restore_apply(asker=empty.asker, revision=before, removal=removal)
    assert Budget.objects.get(name="everybody").limit_nano_usd == 10**10


def test_a_change_of_one_rule_is_one_entry_of_the_audit(empty: Code) -> None:
    empty.apply(PEOPLE)
    empty.apply(RULES)
    count = Change.objects.count()
    empty.apply(RULES.replace('limit_usd: "10.00"', "limit_usd: 11"))
    made = Change.objects.order_by("id")[count:].values_list("action", "subject_name")
    assert list(made) == [("budget.updated", "everybody"), ("policy.applied", "Empty")]


THEIRS = """\
name: Limits
type: gateway-rate-limiting-config
rules:
  - id: Ada
    when: {subjects: ["user:ada@example.com", "virtualaccount:ci"], models: [anthropic-main/claude-haiku-4-5]}
    limit_to: 1000
    unit: requests_per_day
    rate_limit_applies_per: [user, model]
  - {id: everyone, when: {}, limit_to: "50000", unit: tokens_per_minute, rate_limit_applies_per: [virtualaccount]}
---
name: Budgets
type: gateway-budget-config
rules:
  - id: seniors
    when: {subjects: ["team:seniors"], metadata: {env: prod}}
    limit_to: 50
    unit: cost_per_day
    budget_applies_per: [user]
    alerts: {thresholds: [75, 100], notification_target: [{type: email, to_emails: [ops@example.com]}]}
  - {id: others, limit_to: 10.5, unit: cost_per_month, budget_applies_per: [metadata.project], audit_mode: true}
"""


def test_what_was_imported_from_elsewhere_is_applied_as_it_was_meant(empty: Code) -> None:
    empty.apply(PEOPLE)
    done = empty.apply(convert([("theirs.yaml", THEIRS)]).text)
    assert done.count(Action.CREATE) == 5
    ada, everyone = RateLimit.objects.order_by("name")
    assert (ada.group, ada.limit, ada.unit, ada.per) == ("limits", 1000, "requests_per_day", ["user", "model"])
    assert (everyone.group, everyone.per) == ("limits", ["service_account"])
    others, seniors = Budget.objects.order_by("name")
    assert (others.mode, others.limit_nano_usd) == ("shadow", 10_500_000_000)
    assert (others.period, others.timezone) == ("month", "UTC")
    assert (seniors.mode, seniors.group, seniors.per) == ("enforce", "budgets", ["user"])
    assert [(stage["at"], stage["do"], stage["notify"]) for stage in seniors.stages] == [
        (75, "alert", ["channel:alerts-1"]),
        (100, "block", ["channel:alerts-1"]),
    ]
    assert AlertChannel.objects.get(name="alerts-1").addresses == ["ops@example.com"]
