"""Rules over REST: saved, changed, refused with every error, seen by those whom they apply to."""

from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from control_plane.audit.models import Change
from control_plane.budgets.models import Budget
from control_plane.keys.services import key_rotate
from control_plane.organizations.models import Role
from control_plane.organizations.services import organization_update, team_create, team_delete, team_update
from control_plane.snapshots.compile import compile_policy, oldest_reader
from control_plane.snapshots.selectors import policy_rows
from switchyard_contract.revision import RULES
from switchyard_contract.v1 import snapshot_pb2
from tests.control_plane.api.world import ACTOR, Tenant, a_person, as_user
from tests.control_plane.rules.bad_rules import A_BUDGET, BAD_RULES, PATHS, Bad


def post(tenant: Tenant, address: str, body: Any, **headers: str) -> Any:
    return tenant.as_admin.post(f"/api/v1/{address}", body, format="json", headers=headers)


def made(tenant: Tenant, address: str, body: Any) -> Any:
    answer = post(tenant, address, body)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def told_to_pods(tenant: Tenant) -> snapshot_pb2.PolicyShard:
    return compile_policy(policy_rows(tenant.organization, timezone.now()))


def test_seniors_have_fifty_dollars_a_day_everybody_else_ten_and_all_opus_together_a_thousand_a_month(
    acme: Tenant,
) -> None:
    everybody = {"limit_usd": "10", "period": "day", "per": ["principal"], "group": "daily-allowance"}
    made(acme, "budgets", {"name": "everybody", **everybody})
    made(
        acme,
        "budgets",
        {
            "name": "seniors",
            **everybody,
            "limit_usd": "50",
            "timezone": "Europe/Berlin",
            "when": {"subjects": ["team:Platform"]},
        },
    )
    opus = made(
        acme,
        "budgets",
        {"name": "all-opus", "limit_usd": "1000", "period": "month", "when": {"models": ["*opus*"]}},
    )

    assert (opus["limit_usd"], opus["limit_nano_usd"], opus["per"]) == ("1000.00", 1_000_000_000_000, [])
    assert opus["sentence"].startswith("All together: what everybody asks for *opus* costs at most $1000.00 a month")
    told = {budget.name: budget for budget in told_to_pods(acme).budgets}
    assert {name: (b.limit_nano_usd, b.group, list(b.per), b.periods.unit) for name, b in told.items()} == {
        "everybody": (10_000_000_000, "daily-allowance", ["principal"], "day"),
        "seniors": (50_000_000_000, "daily-allowance", ["principal"], "day"),
        "all-opus": (1_000_000_000_000, "", [], "month"),
    }
    assert list(told["seniors"].when.subjects) == [f"team:{acme.team.id.hex}"]
    assert list(told["all-opus"].when.models) == ["*opus*"]
    assert [(stage.at_percent, stage.action) for stage in told["all-opus"].stages] == [
        (80, snapshot_pb2.STAGE_ACTION_ALERT),
        (100, snapshot_pb2.STAGE_ACTION_BLOCK),
    ]
    assert oldest_reader(told_to_pods(acme)) == RULES


@pytest.mark.parametrize("bad", BAD_RULES, ids=lambda bad: bad.id)
def test_a_bad_rule_is_refused_with_the_field_named(bad: Bad, acme: Tenant) -> None:
    for good in bad.present:
        made(acme, PATHS[good.kind], {"name": good.name, **good.spec})

    refused = post(acme, PATHS[bad.kind], {"name": bad.name, **bad.spec})

    assert refused.status_code == 400
    assert refused["Content-Type"].startswith("application/problem+json")
    errors = {error["field"]: error["message"] for error in refused.json()["errors"]}
    assert bad.says in errors.get(bad.field, ""), errors


def test_every_error_is_told_at_once(acme: Tenant) -> None:
    refused = post(
        acme,
        "budgets",
        {
            "name": "Bad Name",
            "limit_usd": "-1",
            "period": "fortnight",
            "timezone": "Mars/Base",
            "when": {"subjects": ["team:nowhere", "user:no@one.example"], "models": ["nowhere/x"]},
            "stages": [{"at": 95, "do": "alert"}, {"at": 80, "do": "shout"}],
            "surprise": 1,
        },
    )

    assert {error["field"] for error in refused.json()["errors"]} == {
        "name",
        "limit_usd",
        "period",
        "timezone",
        "when.subjects[0]",
        "when.subjects[1]",
        "when.models[0]",
        "stages[1].do",
        "surprise",
    }
    assert refused.json()["detail"] == "9 fields are wrong."


def test_what_rest_shows_can_be_sent_back(acme: Tenant) -> None:
    shown = made(
        acme,
        "budgets",
        {
            "name": "ci",
            "limit_usd": "12.5",
            "period": "week",
            "anchor": 3,
            "timezone": "Asia/Kathmandu",
            "per": ["service_account", "metadata.project"],
            "when": {
                "subjects": ["service_account:ci", f"key:{acme.account_key.key_id}", "kind:service_account"],
                "models": ["sonnet", "*opus*"],
                "metadata": {"environment": "ci"},
                "clients": ["curl"],
                "protocols": ["anthropic_messages"],
                "hours": "Mon-Fri 09:00-18:00, Sat 22:00-02:00 Europe/Berlin",
                "not": {"subjects": ["role:admin"], "models": ["*mini*"]},
            },
            "stages": [
                {"at": 50, "do": "alert", "notify": ["team_lead"]},
                {"do": "downgrade", "to": ["sonnet"], "when": {"uncached_input_tokens_below": 10000}},
                {"at": 110, "do": "block"},
            ],
            "bound": "strict",
            "on_counter_outage": "deny",
            "outage_allowance_percent": 0,
            "grace": "turn",
            "grace_usd": "0.50",
            "contact": "#llm-help",
            "mode": "shadow",
        },
    )
    assert shown["when"]["hours"]["windows"][1] == {"days": ["sat"], "from": "22:00", "until": "02:00"}
    assert shown["stages"][1] == {
        "at": 95,
        "do": "downgrade",
        "to": ["sonnet"],
        "when": {"uncached_input_tokens_below": 10000},
        "cache_aware": True,
    }
    assert shown["bound_in_dollars"]["hard_usd"] == "13.75"
    assert shown["bound_in_dollars"]["at_most_usd"] == "14.25"
    fields = set(shown) - {"id", "created_at", "updated_at", "sentence", "missing_subjects", "bound_in_dollars"}
    fields -= {"limit_nano_usd", "outage_allowance_usd"}

    before = Change.objects.count()
    answer = acme.as_admin.patch("/api/v1/budgets/ci", {name: shown[name] for name in fields}, format="json")

    assert answer.status_code == 200, answer.json()
    assert answer.json() == shown
    assert Change.objects.count() == before


def test_a_rule_is_changed_field_by_field_by_its_etag_and_taken_away(acme: Tenant) -> None:
    client = acme.as_admin
    created = post(acme, "rate-limits", {"name": "ci", "limit": 60, "unit": "requests_per_minute", "burst": 5})
    address = f"/api/v1/rate-limits/{created.json()['id']}"

    day = client.patch(address, {"unit": "requests_per_day"}, format="json", headers={"If-Match": created["ETag"]})
    assert day.status_code == 200, day.json()
    assert (day.status_code, day.json()["burst"], day.json()["limit"]) == (200, 0, 60)
    stale = client.patch(address, {"limit": 9}, format="json", headers={"If-Match": created["ETag"]})
    assert stale.status_code == 412
    assert client.get(address, headers={"If-None-Match": day["ETag"]}).status_code == 304
    assert client.patch(address, {"burst": None, "name": "nightly"}, format="json").json()["name"] == "nightly"
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    actions = list(
        Change.objects.filter(subject_kind="rate_limit").order_by("sequence").values_list("action", flat=True)
    )
    assert actions == ["rate_limit.created", "rate_limit.updated", "rate_limit.updated", "rate_limit.deleted"]


def test_a_name_is_taken_once_and_a_repeated_post_is_answered_alike(acme: Tenant) -> None:
    body = {"name": "runaway", "max_turns": 400, "max_cost_usd": "50"}
    first = post(acme, "session-caps", body, **{"Idempotency-Key": "one"})
    again = post(acme, "session-caps", body, **{"Idempotency-Key": "one"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()

    assert post(acme, "session-caps", body).status_code == 409


def test_names_of_rules_are_apart_in_organizations(acme: Tenant, globex: Tenant) -> None:
    made(acme, "budgets", {"name": "daily", **A_BUDGET})
    made(globex, "budgets", {"name": "daily", **A_BUDGET})

    refused = post(globex, "budgets", {"name": "x", **A_BUDGET, "when": {"subjects": [f"team:{acme.team.id.hex}"]}})
    assert [error["field"] for error in refused.json()["errors"]] == ["when.subjects[0]"]
    refused = post(
        globex, "budgets", {"name": "x", **A_BUDGET, "when": {"subjects": [f"key:{acme.member_key.key_id}"]}}
    )
    assert [error["field"] for error in refused.json()["errors"]] == ["when.subjects[0]"]


def test_lists_are_filtered(acme: Tenant) -> None:
    made(acme, "budgets", {"name": "one", **A_BUDGET, "group": "g", "when": {"subjects": ["team:Platform"]}})
    made(acme, "budgets", {"name": "two", **A_BUDGET, "period": "month", "mode": "off"})

    def names(query: str) -> list[str]:
        return [row["name"] for row in acme.as_admin.get(f"/api/v1/budgets?{query}").json()["results"]]

    assert names("") == ["one", "two"]
    assert names("mode=off") == names("period=month") == names("search=tw") == ["two"]
    assert names("group=g") == names("subject=team:Platform") == ["one"]
    assert acme.as_admin.get("/api/v1/budgets?subject=team:nowhere").status_code == 400


def test_a_deleted_team_is_said_and_fits_nobody(acme: Tenant) -> None:
    team = team_create(organization=acme.organization, name="Gone", actor=ACTOR)
    team_id = team.id.hex
    made(acme, "budgets", {"name": "theirs", **A_BUDGET, "when": {"subjects": ["team:Gone"]}})
    made(acme, "budgets", {"name": "ours", **A_BUDGET, "when": {"subjects": ["team:Gone", "team:Platform"]}})
    team_delete(team=team, actor=ACTOR)

    shown = acme.as_admin.get("/api/v1/budgets/theirs").json()

    assert shown["missing_subjects"] == [f"team:{team_id}"]
    assert "no longer there" in shown["sentence"]
    told = {budget.name: list(budget.when.subjects) for budget in told_to_pods(acme).budgets}
    assert told == {"theirs": ["key:gone"], "ours": [f"team:{acme.team.id.hex}"]}
    # What is there may stay when something else changes; nobody new can name it.
    assert acme.as_admin.patch("/api/v1/budgets/theirs", {"limit_usd": "1"}, format="json").status_code == 200
    assert post(acme, "budgets", {"name": "new", **A_BUDGET, "when": shown["when"]}).status_code == 400


def test_a_rule_about_a_key_is_about_those_that_take_its_place(acme: Tenant) -> None:
    key = acme.member_key
    made(acme, "rate-limits", {"name": "k", "limit": 1, "unit": "concurrent_requests",
                               "when": {"subjects": [f"key:{key.key_id}"]}})  # fmt: skip

    after = key_rotate(key=key, actor=ACTOR, grace_seconds=0).key

    told = told_to_pods(acme).rate_limits[0]
    assert set(told.when.subjects) == {f"key:{key.key_id}", f"key:{after.key_id}"}


def test_members_see_what_applies_to_them_and_nobody_elses_name(acme: Tenant) -> None:
    other = a_person(acme, Role.FINANCE, "other@acme.example")
    subjects = ["user:other@acme.example", f"user:{acme.member.email}"]
    made(acme, "budgets", {"name": "both", **A_BUDGET, "when": {"subjects": subjects}})
    made(acme, "budgets", {"name": "theirs", **A_BUDGET, "when": {"subjects": ["user:other@acme.example"]}})
    made(
        acme,
        "budgets",
        {"name": "but-not-me", **A_BUDGET, "when": {"not": {"subjects": [f"user:{acme.member.email}"]}}},
    )
    made(acme, "access-rules", {"name": "all", "allow": {}, "when": {"not": {"subjects": ["user:other@acme.example"]}}})

    listed = acme.as_member.get("/api/v1/budgets")
    assert [row["name"] for row in listed.json()["results"]] == ["both"]
    assert listed.json()["results"][0]["when"] == {"subjects": [f"user:{acme.member.email}"]}
    rule = acme.as_member.get("/api/v1/access-rules/all").json()
    assert (rule["when"], rule["allow"]) == ({}, {})
    assert "other@" not in listed.content.decode() + str(rule)
    assert acme.as_member.get("/api/v1/budgets/theirs").status_code == 404
    assert acme.as_member.post("/api/v1/budgets", {"name": "x", **A_BUDGET}, format="json").status_code == 403
    assert [row["name"] for row in as_user(acme, other).get("/api/v1/budgets").json()["results"]] == [
        "both",
        "but-not-me",
        "theirs",
    ]


def test_a_lead_sets_budgets_of_the_led_team_below_its_own_where_that_is_delegated(acme: Tenant) -> None:
    lead = a_person(acme, Role.TEAM_LEAD, "lead@acme.example")
    team_update(team=acme.team, lead=lead, actor=ACTOR)
    client = as_user(acme, lead)
    mine = {
        "name": "mine",
        **A_BUDGET,
        "team": "Platform",
        "when": {"subjects": ["team:Platform"]},
        "per": ["principal"],
    }
    assert client.post("/api/v1/budgets", mine, format="json").status_code == 403

    organization_update(organization=acme.organization, leads_may_set_budgets=True, actor=ACTOR)
    made(acme, "budgets", {"name": "the-teams-own", "limit_usd": "100", "period": "day",
                           "when": {"subjects": ["team:Platform"]}})  # fmt: skip

    assert client.post("/api/v1/budgets", mine, format="json").status_code == 201
    for wrong, field in (
        ({"team": None}, "team"),
        ({"limit_usd": "101"}, "limit_usd"),
        ({"group": "g"}, "group"),
        ({"when": {}}, "when.subjects"),
        ({"when": {"subjects": ["team:Research"]}}, "when.subjects[0]"),
        ({"when": {"subjects": ["role:member"]}}, "when.subjects[0]"),
    ):
        refused = client.post("/api/v1/budgets", {**mine, "name": "wrong", **wrong}, format="json")
        assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (400, [field]), wrong
    assert client.post("/api/v1/budgets", {**mine, "name": "x", "team": "Research"}, format="json").status_code == 403
    assert client.patch("/api/v1/budgets/mine", {"limit_usd": "5"}, format="json").status_code == 200
    assert client.patch("/api/v1/budgets/mine", {"team": None}, format="json").status_code == 403
    assert client.patch("/api/v1/budgets/the-teams-own", {"limit_usd": "500"}, format="json").status_code == 403
    assert client.delete("/api/v1/budgets/mine").status_code == 204


def test_a_preview_says_what_a_rule_means_and_whom_it_touches(acme: Tenant) -> None:
    preview = post(
        acme,
        "rules/preview",
        {
            "kind": "Budget",
            "spec": {**A_BUDGET, "per": ["user"], "when": {"subjects": ["team:Platform"], "clients": ["codex"]}},
        },
    )

    assert preview.status_code == 200, preview.json()
    shown = preview.json()
    assert shown["sentence"].startswith(
        "Each person on its own: what team Platform asks from codex costs at most $10.00 a day"
    )
    assert shown["people"] == {"count": 2, "examples": ["admin@acme.example", "member@acme.example"]}
    assert shown["service_accounts"] == {"count": 0, "examples": []}
    assert shown["keys"] == {"count": 1, "examples": ["laptop"]}
    assert shown["notes"] == ["It counts by user, so it does not match what service accounts do."]
    assert shown["bound_in_dollars"]["hard_usd"] == "10.00"
    assert not Budget.objects.exists()
    refused = post(acme, "rules/preview", {"kind": "RateLimit", "spec": {"limit": -1}})
    assert {error["field"] for error in refused.json()["errors"]} == {"limit", "unit"}
    assert acme.as_member.post("/api/v1/rules/preview", {}, format="json").status_code == 403


def test_lists_cost_the_same_however_many_rules_there_are(
    acme: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(8):
        subjects = ["team:Platform", "service_account:ci", f"user:{acme.member.email}", f"key:{acme.member_key.key_id}"]
        made(acme, "budgets", {"name": f"b{number}", **A_BUDGET, "when": {"subjects": subjects}})
    client = acme.as_admin
    client.get("/api/v1/budgets")

    with django_assert_max_num_queries(16):
        assert len(client.get("/api/v1/budgets").json()["results"]) == 8


def test_providers_have_limits_and_say_whether_they_are_external(acme: Tenant) -> None:
    client = acme.as_admin
    shown = client.get("/api/v1/providers/anthropic-main").json()
    assert (shown["external"], shown["limits"]) == (
        True,
        {"concurrent_requests": 0, "requests_per_minute": 0, "tokens_per_minute": 0},
    )

    changed = client.patch(
        "/api/v1/providers/anthropic-main",
        {"external": False, "limits": {"concurrent_requests": 200, "requests_per_minute": 4000}},
        format="json",
    )

    assert changed.json()["limits"] == {"concurrent_requests": 200, "requests_per_minute": 4000, "tokens_per_minute": 0}
    told = told_to_pods(acme)
    assert told.providers[0].limits == snapshot_pb2.ProviderLimits(concurrent_requests=200, requests_per_minute=4000)
    assert told.providers[0].external is False
    assert oldest_reader(told) == RULES
    wrong = client.patch("/api/v1/providers/anthropic-main", {"limits": {"tokens_per_minute": -1}}, format="json")
    assert [error["field"] for error in wrong.json()["errors"]] == ["limits.tokens_per_minute"]


def test_keys_of_metadata_are_limited_to_values_or_a_pattern(acme: Tenant) -> None:
    made(acme, "metadata-keys", {"name": "environment", "values": ["dev", "prod"], "is_required": True})
    made(acme, "metadata-keys", {"name": "ticket", "pattern": "[A-Z]+-[0-9]+", "unknown": "other"})

    assert list(told_to_pods(acme).metadata_keys) == [
        snapshot_pb2.MetadataKey(key="environment", is_required=True, values=["dev", "prod"]),
        snapshot_pb2.MetadataKey(key="ticket", pattern="[A-Z]+-[0-9]+", counts_unknown_as_other=True),
    ]
    changed = acme.as_admin.patch("/api/v1/metadata-keys/environment", {"values": []}, format="json")
    assert (changed.status_code, changed.json()["values"], changed.json()["is_required"]) == (200, [], True)
    assert post(acme, "metadata-keys", {"name": "ticket"}).status_code == 409
    assert acme.as_admin.delete("/api/v1/metadata-keys/ticket").status_code == 204


def test_how_a_spent_budget_is_told_is_the_organizations_choice(acme: Tenant) -> None:
    changed = acme.as_admin.patch("/api/v1/organizations/acme", {"budget_status": "429"}, format="json")
    assert (changed.status_code, changed.json()["budget_status"]) == (200, "429")
    acme.organization.refresh_from_db()
    assert told_to_pods(acme).budget_status == "429"
    assert acme.as_admin.patch("/api/v1/organizations/acme", {"budget_status": "402"}, format="json").status_code == 400
