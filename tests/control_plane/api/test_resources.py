"""People, providers, models and the rest: what the addresses do, and how their answers look."""

import json
import secrets
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.catalog.models import KnownModel, ListPrice
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership
from control_plane.organizations.services import INSTALLATION, membership_add, team_create
from control_plane.organizations.services.arrivals import BELONGS_ELSEWHERE
from control_plane.rest.throttles import PostThrottle
from tests.control_plane.api.world import ACTOR, PASSWORD, Tenant, client


def post(tenant: Tenant, address: str, body: Any) -> Any:
    return tenant.as_admin.post(f"/api/v1/{address}", body, format="json")


def test_a_new_organization_comes_with_a_token_that_acts_in_it(acme: Tenant) -> None:
    created = post(acme, "organizations", {"slug": "initech", "name": "Initech"})

    assert created.status_code == 201
    inside = client(created.json()["admin_token"])
    assert [row["slug"] for row in inside.get("/api/v1/organizations").json()["results"]] == ["initech"]
    assert [row["slug"] for row in acme.as_admin.get("/api/v1/organizations").json()["results"]] == ["acme"]


def test_only_the_first_organization_adds_others(acme: Tenant, globex: Tenant) -> None:
    refused = post(globex, "organizations", {"slug": "initech", "name": "Initech"})

    assert refused.status_code == 403
    assert refused["Content-Type"].startswith("application/problem+json")
    assert post(acme, "organizations", {"slug": "initech", "name": "Initech"}).status_code == 201


def test_whoever_posts_too_often_is_told_to_wait(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostThrottle, "rates", {"post": 2})
    monkeypatch.setattr("control_plane.rest.throttles._now_s", lambda: 1_800_000_010.0)

    statuses = [post(acme, "teams", {"name": f"Team {number}"}).status_code for number in range(3)]

    assert statuses == [201, 201, 429]
    refused = post(acme, "teams", {"name": "Team 4"})
    assert refused.json()["status"] == 429
    assert refused["Content-Type"].startswith("application/problem+json")
    assert 0 < int(refused["Retry-After"]) <= 60
    assert acme.as_admin.get("/api/v1/teams").status_code == 200
    assert acme.as_member.get("/api/v1/teams").status_code == 200


def test_a_user_is_added_changed_and_shut_out(acme: Tenant) -> None:
    added = post(acme, "users", {"email": "Ada@acme.example", "name": "Ada", "teams": ["Platform"]})
    assert added.status_code == 201
    assert added.json()["email"] == "ada@acme.example"
    members = acme.as_admin.get("/api/v1/teams/Platform/members").json()
    assert [member["email"] for member in members] == [
        "ada@acme.example",
        "admin@acme.example",
        "member@acme.example",
    ]
    assert post(acme, "users", {"email": "ada@acme.example"}).status_code == 400

    off = post(acme, "users/ada@acme.example/deactivate", {"reason": "left"})
    assert (off.status_code, off.json()["is_active"]) == (200, False)
    assert post(acme, "users/ada@acme.example/reactivate", {}).json()["is_active"] is True


def test_a_person_of_two_organizations_is_not_switched_off_by_one(acme: Tenant, globex: Tenant) -> None:
    membership_add(organization=acme.organization, user=globex.member, actor=ACTOR, by=INSTALLATION)

    response = post(acme, f"users/{globex.member.email}/deactivate", {})

    assert response.status_code == 409
    assert User.objects.get(id=globex.member.id).is_active


def test_an_account_of_another_organization_is_not_taken_in(acme: Tenant, globex: Tenant) -> None:
    refused = post(acme, "users", {"email": globex.member.email.upper(), "password": "chosen by a stranger"})

    assert refused.status_code == 409
    assert refused.json()["errors"] == [{"field": "email", "message": BELONGS_ELSEWHERE}]
    for stranger in (globex.member.email, "nobody@nowhere.example"):
        assert post(acme, "memberships", {"user": stranger}).status_code == 404
    assert Membership.objects.filter(user=globex.member).count() == 1
    assert User.objects.get(id=globex.member.id).check_password(PASSWORD)


def test_a_person_of_two_organizations_can_be_cut_off_from_one(acme: Tenant, globex: Tenant) -> None:
    membership_add(organization=acme.organization, user=globex.member, actor=ACTOR, by=INSTALLATION)

    assert acme.as_admin.delete(f"/api/v1/memberships/{globex.member.email}").status_code == 204

    assert [row.organization for row in Membership.objects.filter(user=globex.member)] == [globex.organization]
    assert not VirtualKey.objects.get(id=globex.member_key.id).is_revoked


def test_whoever_leaves_loses_keys_and_tokens(acme: Tenant) -> None:
    response = acme.as_admin.delete(f"/api/v1/memberships/{acme.member.email}")

    assert response.status_code == 204
    assert VirtualKey.objects.get(id=acme.member_key.id).is_revoked
    assert acme.as_member.get("/api/v1/keys").status_code == 401


def test_the_last_owner_stays(acme: Tenant) -> None:
    response = acme.as_owner.patch(f"/api/v1/memberships/{acme.owner.email}", {"role": "member"}, format="json")

    assert response.status_code == 409
    assert response.json()["errors"][0]["field"] == "role"


def test_a_service_account_is_switched_off_with_a_field(acme: Tenant) -> None:
    response = acme.as_admin.patch("/api/v1/service-accounts/ci", {"is_active": False}, format="json")

    assert (response.status_code, response.json()["is_active"]) == (200, False)


def test_a_credential_goes_in_and_never_comes_out(acme: Tenant) -> None:
    secret = f"sk-{secrets.token_hex(16)}"
    created = post(
        acme,
        "providers",
        {
            "name": "openai-main",
            "vendor": "openai",
            "credential": {"value": secret},
            "models": ["*"],
            "idle_timeout_ms": 120_000,
        },
    )

    assert created.status_code == 201, created.content
    assert created.json()["credential"]["source"] == "value"
    assert created.json()["idle_timeout_ms"] == 120_000
    replaced = acme.as_admin.patch(
        "/api/v1/providers/openai-main", {"credential": {"value": secret + "2"}}, format="json"
    )
    assert replaced.json()["credential"]["version"] == 2
    for address in ("providers", "providers/openai-main", "audit"):
        assert secret not in acme.as_admin.get(f"/api/v1/{address}").content.decode()
    assert acme.as_admin.delete("/api/v1/providers/openai-main").status_code == 204


def test_a_provider_with_two_credentials_is_refused(acme: Tenant) -> None:
    body = {"name": "p", "vendor": "openai", "credential": {"value": "x", "env": "Y"}}

    response = post(acme, "providers", body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "credential"
    assert post(acme, "providers", {**body, "credential": {"passthrough": "caller"}}).status_code == 201


def test_a_provider_that_is_led_to_is_not_deleted(acme: Tenant) -> None:
    response = acme.as_admin.delete("/api/v1/providers/anthropic-main")

    assert response.status_code == 400
    assert "sonnet" in response.json()["detail"]


def test_a_virtual_model_with_slashes_in_its_name(acme: Tenant) -> None:
    name = "team/fast/sonnet-4.6"
    body = {"name": name, "targets": [{"model": "anthropic-main/claude-sonnet-4-6"}]}
    assert post(acme, "virtual-models", body).status_code == 201
    assert post(acme, "virtual-models", body).status_code == 409

    found = acme.as_member.get(f"/api/v1/virtual-models/{name}")
    assert (found.status_code, found.json()["name"]) == (200, name)
    led = acme.as_admin.patch(
        f"/api/v1/virtual-models/{name}", {"targets": [{"model": "anthropic-main/claude-haiku-4-5"}]}, format="json"
    )
    assert led.json()["targets"] == [{"model": "anthropic-main/claude-haiku-4-5"}]
    assert acme.as_admin.delete(f"/api/v1/virtual-models/{name}").status_code == 204


def test_models_carry_the_price_in_force(acme: Tenant) -> None:
    KnownModel.objects.create(vendor="anthropic", model="claude-test", context_tokens=200_000)
    KnownModel.objects.create(vendor="anthropic", model="claude-unpriced")
    KnownModel.objects.create(vendor="openai", model="not-served")
    ListPrice.objects.create(version="v1", vendor="anthropic", model="claude-test", rates={"input": 3, "output": 15})

    page = acme.as_member.get("/api/v1/models?search=claude-&limit=1").json()
    assert [model["id"] for model in page["results"]] == ["anthropic-main/claude-test"]
    assert page["results"][0]["price"]["rates"]["output"] == 15
    second = acme.as_member.get(page["next"]).json()
    assert [(model["model"], model["price"]) for model in second["results"]] == [("claude-unpriced", None)]
    assert second["next"] is None
    assert acme.as_member.get("/api/v1/models/anthropic-main/claude-test").json()["context_tokens"] == 200_000
    assert acme.as_member.get("/api/v1/models/anthropic-main/not-served").status_code == 404


def test_every_change_is_one_audit_entry_by_the_token(acme: Tenant) -> None:
    before = Change.objects.filter(organization_id=acme.organization.id).count()
    post(acme, "teams", {"name": "Data"})

    (newest,) = acme.as_admin.get("/api/v1/audit?limit=1").json()["results"]
    assert Change.objects.filter(organization_id=acme.organization.id).count() == before + 1
    assert (newest["action"], newest["actor_kind"], newest["after"]["name"]) == ("team.created", "token", "Data")
    assert newest["actor_name"] == "admin@acme.example (token t)"
    assert acme.as_admin.get("/api/v1/audit/verify").json()["is_intact"] is True


def test_pages_follow_one_another_to_the_end(acme: Tenant) -> None:
    for number in range(7):
        team_create(organization=acme.organization, name=f"Team {number}", actor=ACTOR)
    names: list[str] = []
    address: str | None = "/api/v1/teams?limit=4"
    while address:
        page = acme.as_admin.get(address).json()
        assert len(page["results"]) <= 4
        names += [team["name"] for team in page["results"]]
        address = page["next"]

    assert names == sorted(names)
    assert len(names) == len(set(names)) == 9
    assert len(acme.as_admin.get("/api/v1/teams?limit=5000").json()["results"]) == 9


def test_a_slash_at_the_end_makes_no_difference(acme: Tenant) -> None:
    assert acme.as_admin.get("/api/v1/keys/").json() == acme.as_admin.get("/api/v1/keys").json()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Bearer nonsense", 401),
        ("Bearer syapi_" + "0" * 50, 401),
        ("Basic YTpi", 401),
    ],
)
def test_what_does_not_authenticate_is_a_problem(header: str, status: int, acme: Tenant) -> None:
    response = APIClient().get("/api/v1/keys", headers={"Authorization": header} if header else {})

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_virtual_key_is_no_admin_token(acme: Tenant) -> None:
    key = acme.as_admin.post("/api/v1/keys", {"name": "x"}, format="json").json()["key"]

    assert client(key).get("/api/v1/keys").status_code == 401


def test_a_database_that_is_away_is_a_503_and_never_a_401(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(text: str) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("control_plane.project.api.authentication.admin_token_authenticate", away)
    response = acme.as_admin.get("/api/v1/keys")

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json()["title"] == "Out of reach for the moment"


def test_the_console_session_needs_its_csrf_token(acme: Tenant) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert browser.login(username=acme.admin.email, password=PASSWORD)

    assert browser.get("/api/v1/teams").status_code == 200
    refused = browser.post("/api/v1/teams", {"name": "X"}, content_type="application/json")
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    token = "a" * 32
    browser.cookies["switchyard-csrf"] = token
    made = browser.post("/api/v1/teams", {"name": "X"}, content_type="application/json", headers={"X-CSRFToken": token})
    assert made.status_code == 201


def test_an_address_that_does_not_exist_is_a_problem() -> None:
    response = APIClient().get("/api/v1/nothing/here")

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_a_body_that_is_no_json_is_a_problem(acme: Tenant) -> None:
    response = acme.as_admin.post("/api/v1/teams", "{", content_type="application/json")

    assert (response.status_code, response.json()["status"]) == (400, 400)


def test_longer_lists_need_no_more_queries(acme: Tenant, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(12):
        post(acme, "teams", {"name": f"T{number}", "lead": acme.admin.email})
        post(acme, "users", {"email": f"u{number}@acme.example"})
        post(acme, "service-accounts", {"name": f"s{number}", "team": f"T{number}"})
        post(acme, "keys", {"name": f"k{number}", "owner": {"service_account": f"s{number}"}})
        post(acme, "virtual-models", {"name": f"m{number}", "targets": [{"model": f"anthropic-main/claude-{number}"}]})
    post(acme, f"keys/{acme.member_key.key_id}/rotate", {})

    for resource in ("teams", "users", "memberships", "service-accounts", "keys", "virtual-models", "audit"):
        # The token, its person's membership twice (is it good, which role), the list itself; last uses of keys.
        with django_assert_num_queries(5 if resource == "keys" else 4):
            assert len(acme.as_admin.get(f"/api/v1/{resource}?limit=200").json()["results"]) >= 12


def test_the_schema_is_openapi_31_without_a_warning() -> None:
    written = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=written)
    schema = json.loads(written.getvalue())

    assert schema["openapi"].startswith("3.1")
    assert "/api/v1/keys/{id}/revoke" in schema["paths"]
    open_to_all = {path for path, operations in schema["paths"].items() if "adminToken" not in json.dumps(operations)}
    assert {path.split("/")[3] for path in open_to_all} <= {"device", "schema", "workload-keys"}


@pytest.mark.django_db
def test_schema_and_docs_are_served_from_here() -> None:
    assert APIClient().get("/api/v1/schema/").status_code == 200
    page = Client().get("/api/v1/docs/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "swagger-ui" in text
    assert "https://" not in text
    assert "unsafe-inline" not in page["Content-Security-Policy"].split("script-src")[1].split(";")[0]
