"""REST: channels and deliveries."""

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from control_plane.alerts.findings import missing_note
from control_plane.alerts.models import AlertChannel, Delivery
from control_plane.alerts.sealing import secret_of
from control_plane.alerts.services import crossings_dispatch, findings_dispatch
from control_plane.organizations.models import Role
from control_plane.usage.models import MissingEvents
from tests.builders.tenants import Tenant, a_person_of_role
from tests.control_plane.alerts.world import NOW, STAGES, a_budget, a_mail_channel, spend

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/hook"


def client_of(tenant: Tenant, role: Role = Role.OWNER) -> APIClient:
    client = APIClient()
    client.force_login(tenant.admin if role is Role.OWNER else a_person_of_role(tenant, role))
    return client


def test_a_channel_is_made_read_changed_and_removed(acme: Tenant) -> None:
    client = client_of(acme)
    made = client.post(
        "/api/v1/alert-channels", {"name": "finance", "type": "email", "addresses": ["finance@acme.example"]}
    )
    assert made.status_code == 201, made.content
    assert "secret" not in made.json()
    address = f"/api/v1/alert-channels/{made.json()['id']}"

    read = client.get(address)
    assert read.json()["addresses"] == ["finance@acme.example"]
    assert client.get("/api/v1/alert-channels/finance").json()["id"] == made.json()["id"]
    stale = client.patch(address, {"description": "x"}, headers={"if-match": '"other"'})
    assert stale.status_code == 412
    changed = client.patch(address, {"cost_centre": "CC-7"}, headers={"if-match": read["ETag"]})
    assert changed.json()["cost_centre"] == "CC-7"
    assert client.get("/api/v1/alert-channels", {"cost_centre": "CC-7"}).json()["results"][0]["name"] == "finance"
    assert client.delete(address).status_code == 204
    assert client.get("/api/v1/alert-channels").json()["results"] == []


def test_a_webhooks_secret_is_told_once(acme: Tenant) -> None:
    client = client_of(acme)
    made = client.post("/api/v1/alert-channels", {"name": "hook", "type": "webhook", "url": URL}).json()

    assert made["secret"] == secret_of(AlertChannel.objects.get())
    assert "secret" not in client.get(f"/api/v1/alert-channels/{made['id']}").json()
    renewed = client.patch(f"/api/v1/alert-channels/{made['id']}", {"secret": ""}).json()["secret"]
    assert renewed == secret_of(AlertChannel.objects.get()) != made["secret"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "hook", "type": "webhook", "url": "http://10.0.0.1/"}, "url"),
        ({"name": "hook", "type": "pager"}, "type"),
        ({"name": "finance", "type": "email", "addresses": ["nobody"]}, "addresses"),
        ({"name": "finance", "type": "email", "addresses": ["a@b.example"], "adresses": []}, "adresses"),
    ],
)
def test_what_is_wrong_is_told_by_field(acme: Tenant, body: dict[str, Any], field: str) -> None:
    answer = client_of(acme).post("/api/v1/alert-channels", body)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_post_under_one_key_is_done_once(acme: Tenant) -> None:
    client, body = client_of(acme), {"name": "hook", "type": "webhook", "url": URL}
    answers = [client.post("/api/v1/alert-channels", body, headers={"idempotency-key": "k1"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert AlertChannel.objects.count() == 1


def test_a_test_is_a_delivery_whose_fate_can_be_read(acme: Tenant, hints: list[str]) -> None:
    client, channel = client_of(acme), a_mail_channel(acme)

    sent = client.post(f"/api/v1/alert-channels/{channel.name}/test")

    assert sent.status_code == 202
    read = client.get(f"/api/v1/alert-deliveries/{sent.json()['id']}").json()
    assert (read["state"], read["is_test"], read["channel"], read["budget"]) == ("waiting", True, "finance", None)


def test_deliveries_say_what_was_crossed(acme: Tenant) -> None:
    a_mail_channel(acme)
    budget = a_budget(acme, stages=[{**STAGES[0], "notify": ["finance"]}])
    spend(budget, 8.4)
    crossings_dispatch()

    [row] = client_of(acme).get("/api/v1/alert-deliveries", {"budget": budget.id.hex}).json()["results"]

    assert (row["budget"], row["budget_id"], row["stage"]) == ("engineer-daily", budget.id.hex, 80)
    assert (row["spent_usd"], row["limit_usd"]) == ("8.400000000", "10.000000000")
    retried = client_of(acme).post(f"/api/v1/alert-deliveries/{row['id']}/retry")
    assert retried.status_code == 202


def test_foreign_channels_and_deliveries_are_not_there(acme: Tenant, globex: Tenant) -> None:
    channel = a_mail_channel(globex)
    delivery = Delivery.objects.get_or_create(
        organization=globex.organization,
        type="email",
        recipient="x",
        recipient_name="x",
        due_at=channel.created_at,
        give_up_at=channel.created_at,
    )[0]
    client = client_of(acme)

    for method, path in [
        ("get", f"alert-channels/{channel.id.hex}"),
        ("get", "alert-channels/finance"),
        ("patch", f"alert-channels/{channel.id.hex}"),
        ("delete", f"alert-channels/{channel.id.hex}"),
        ("post", f"alert-channels/{channel.id.hex}/test"),
        ("get", f"alert-deliveries/{delivery.id.hex}"),
        ("post", f"alert-deliveries/{delivery.id.hex}/retry"),
    ]:
        assert getattr(client, method)(f"/api/v1/{path}").status_code == 404, path
    assert client.get("/api/v1/alert-channels").json()["results"] == []
    assert client.get("/api/v1/alert-deliveries").json()["results"] == []


@pytest.mark.parametrize(
    ("role", "reads", "changes"),
    [
        (Role.OWNER, 200, 201),
        (Role.ADMIN, 200, 201),
        (Role.FINANCE, 200, 201),
        (Role.AUDITOR, 200, 403),
        (Role.TEAM_LEAD, 403, 403),
        (Role.MEMBER, 403, 403),
    ],
)
def test_who_may_what(acme: Tenant, role: Role, reads: int, changes: int) -> None:
    client = client_of(acme, role)

    assert client.get("/api/v1/alert-channels").status_code == reads
    assert client.get("/api/v1/alert-deliveries").status_code == reads
    made = client.post("/api/v1/alert-channels", {"name": "hook", "type": "webhook", "url": URL})
    assert made.status_code == changes


def test_a_lead_who_may_set_budgets_of_the_team_makes_no_channel_for_all(acme: Tenant) -> None:
    acme.organization.leads_may_set_budgets = True
    acme.organization.save()

    made = client_of(acme, Role.TEAM_LEAD).post("/api/v1/alert-channels", {"name": "h", "type": "webhook", "url": URL})

    assert made.status_code == 403


@pytest.mark.parametrize("count", [2, 12])
def test_a_list_costs_the_same_queries_however_long_it_is(
    acme: Tenant, count: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(count):
        a_mail_channel(acme, f"channel-{number}")
        spend(a_budget(acme, f"budget-{number}", stages=[{**STAGES[0], "notify": [f"channel-{number}"]}]), 9)
    crossings_dispatch()
    client = client_of(acme)
    client.get("/api/v1/alert-deliveries")

    with django_assert_max_num_queries(12):
        assert len(client.get("/api/v1/alert-deliveries").json()["results"]) == count
    with django_assert_max_num_queries(12):
        assert len(client.get("/api/v1/alert-channels").json()["results"]) == count


def test_a_channel_hears_of_topics_and_its_deliveries_say_what_was_found(acme: Tenant) -> None:
    client = client_of(acme)
    client.post("/api/v1/alert-channels", {"name": "ops", "type": "email", "addresses": ["ops@acme.example"]})
    refused = client.patch("/api/v1/alert-channels/ops", {"hears": ["everything"]})
    assert refused.status_code == 400
    changed = client.patch("/api/v1/alert-channels/ops", {"hears": ["missing_usage", "unusual_spend"]})
    assert changed.json()["hears"] == ["unusual_spend", "missing_usage"]

    MissingEvents.objects.create(pod_id="pod-3", boot_id=b"b", first=1, last=2, opened_at=NOW)
    missing_note(now=NOW + timedelta(minutes=11))
    findings_dispatch(now=NOW)

    (told,) = client.get("/api/v1/alert-deliveries", {"channel": "ops"}).json()["results"]
    assert (told["finding"], told["is_test"], told["budget"]) == ("Missing usage of pod-3", False, None)
