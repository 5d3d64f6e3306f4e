"""REST: plan, apply, export, drift, revisions and schemas, for those who may."""

import json
from typing import Any

import jsonschema
import pytest
import yaml
from rest_framework.test import APIClient

from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.parsing import MOST_BYTES
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Membership, Role, Team
from control_plane.organizations.roles import Permission
from control_plane.organizations.services import team_create
from tests.builders.tenants import Tenant, a_member, a_provider, a_tenant
from tests.control_plane.declarative.world import Code

TEAM = "kind: Team\nmetadata: {name: core}\nspec: {cost_centre: '7'}\n"
YAML = "application/yaml"


def client_of(tenant: Tenant, role: Role = Role.OWNER, scopes: tuple[Permission, ...] = ()) -> APIClient:
    user = tenant.admin if role is Role.OWNER else a_member(tenant, f"as-{role}@{tenant.organization.slug}.example.com")
    Membership.objects.filter(organization=tenant.organization, user=user).update(role=role)
    given: dict[str, Any] = {"scopes": scopes} if scopes else {}
    token = admin_token_mint(organization=tenant.organization, user=user, name="t", actor=tenant.actor, **given).token
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def client(tenant: Tenant) -> APIClient:
    return client_of(tenant)


def post(client: APIClient, path: str, text: str, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", data=text.encode(), content_type=YAML, **headers)


def test_a_file_is_planned_applied_and_applied_again(client: APIClient) -> None:
    planned = post(client, "plan", TEAM)
    assert planned.status_code == 200, planned.content
    assert planned.json()["has_changes"]
    assert not Team.objects.filter(name="core").exists()
    applied = post(client, "apply?source=git:1&reason=why", TEAM, HTTP_IF_MATCH=planned["ETag"])
    assert applied.json()["changes"] == planned.json()["changes"]
    assert applied.json()["summary"] == "1 to create; 0 as they are"
    assert post(client, "apply", TEAM).json()["has_changes"] is False


def test_every_error_comes_with_its_place(client: APIClient) -> None:
    answer = post(client, "apply", "kind: Team\nmetadata: {name: core}\nspec: {cost_center: 7}\n")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"] == [
        {
            "field": "spec.cost_center",
            "message": "There is no field 'cost_center' here.",
            "expected": "fields cost_centre, lead, tags",
            "suggestion": "cost_centre",
            "document": 1,
            "line": 3,
            "column": 8,
            "kind": "Team",
            "name": "core",
        }
    ]


def test_a_base_that_moved_is_412_and_no_tag_of_ours_is_400(client: APIClient, tenant: Tenant) -> None:
    tag = client.get("/api/v1/export")["ETag"]
    team_create(organization=tenant.organization, name="meanwhile", actor=tenant.actor)
    for path in ("plan", "apply"):
        assert post(client, path, TEAM, HTTP_IF_MATCH=tag).status_code == 412
        assert post(client, path, TEAM, HTTP_IF_MATCH='"x"').status_code == 400
    tag = client.get("/api/v1/export")["ETag"]
    applied = post(client, "apply", TEAM, HTTP_IF_MATCH=tag)
    assert applied.status_code == 200
    assert applied["ETag"] == client.get("/api/v1/export")["ETag"] != tag


def test_an_export_is_yaml_or_json_and_both_can_be_applied(client: APIClient, furnished: Code) -> None:
    text = client.get("/api/v1/export")
    assert (text["Content-Type"], text.content.decode()) == ("application/yaml; charset=utf-8", furnished.export())
    as_json = client.post("/api/v1/export", HTTP_ACCEPT="application/json").json()
    assert len(as_json["objects"]) == len(list(yaml.safe_load_all(text.content)))
    planned = client.post("/api/v1/plan", {"objects": as_json["objects"], "prune": True}, format="json")
    assert planned.json()["has_changes"] is False


def test_what_is_exported_fits_the_published_schema(client: APIClient, furnished: Code) -> None:
    whole = APIClient().get("/api/v1/schema/policy.json").json()
    jsonschema.Draft202012Validator.check_schema(whole)
    check = jsonschema.Draft202012Validator(whole)
    for document in yaml.safe_load_all(furnished.export()):
        check.validate(document)
        one = APIClient().get(f"/api/v1/schema/policy/{document['kind']}.json").json()
        jsonschema.validate(document, one, jsonschema.Draft202012Validator)
    wrong = {"kind": "Team", "metadata": {"name": "x"}, "spec": {"cost_center": "1"}}
    assert not check.is_valid(wrong)
    assert check.is_valid({"kind": "Guardrail", "metadata": {"name": "x"}, "spec": {"anything": "1"}})
    assert APIClient().get("/api/v1/schema/policy/Nothing.json").status_code == 404


@pytest.mark.parametrize("kind", kinds())
def test_the_example_of_each_kind_fits_its_schema(kind: str) -> None:
    schema = APIClient().get(f"/api/v1/schema/policy/{kind}.json").json()
    for document in yaml.safe_load_all(kinds()[kind].example):
        jsonschema.validate(document, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("query", "field"),
    [("prune=Teams", "prune"), ("confirm=yes", "confirm"), ("reason=a%0Ab", "reason"), ("prunes=true", "prunes")],
)
def test_options_that_are_none_are_refused(client: APIClient, query: str, field: str) -> None:
    answer = post(client, f"plan?{query}", TEAM)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_large_files_and_other_media_types_are_refused(client: APIClient) -> None:
    assert post(client, "plan", "#" * (MOST_BYTES + 1)).status_code == 413
    answer = client.post("/api/v1/plan", data=b"<a/>", content_type="text/xml")
    assert answer.status_code == 415
    for body in (b"[", b'{"objects": 3}', b'{"objects": [], "x": 1}', b'{"a": 1, "a": 2}'):
        assert client.post("/api/v1/plan", data=body, content_type="application/json").status_code == 400, body


def test_an_empty_file_changes_nothing(client: APIClient) -> None:
    assert post(client, "apply", "# nothing\n---\n---\n").json()["has_changes"] is False


@pytest.mark.parametrize(
    ("role", "plan", "apply"),
    [
        (Role.OWNER, 200, 200),
        (Role.ADMIN, 200, 200),
        (Role.AUDITOR, 403, 403),
        (Role.FINANCE, 403, 403),
        (Role.TEAM_LEAD, 403, 403),
        (Role.MEMBER, 403, 403),
    ],
)
def test_who_may_apply(tenant: Tenant, role: Role, plan: int, apply: int) -> None:
    client = client_of(tenant, role)
    assert post(client, "apply", TEAM).status_code == apply
    # Whoever may see but not change gets a plan only of what changes nothing: the rights are part of the plan.
    assert post(client, "plan", TEAM.replace("core", "other")).status_code == plan
    reads = 200 if role in (Role.OWNER, Role.ADMIN, Role.AUDITOR) else 403
    for path in ("export", "policy-drift", "policy-revisions"):
        assert client.get(f"/api/v1/{path}").status_code == reads, path


def test_a_token_gives_no_right_beyond_its_scopes(tenant: Tenant) -> None:
    reading = (Permission.POLICY_READ, *{kind.read_right for kind in kinds().values()})
    scoped = client_of(tenant, scopes=(*reading, Permission.POLICY_MANAGE))
    answer = post(scoped, "apply", TEAM)
    assert answer.status_code == 403
    assert "teams.manage" in answer.json()["detail"]
    blind = client_of(tenant, scopes=(Permission.POLICY_READ,))
    assert blind.get("/api/v1/export").status_code == 403


def test_an_apply_that_is_repeated_is_done_once(client: APIClient, tenant: Tenant) -> None:
    first = post(client, "apply", TEAM, HTTP_IDEMPOTENCY_KEY="once")
    again = post(client, "apply", TEAM, HTTP_IDEMPOTENCY_KEY="once")
    assert (first.status_code, again.json()["revision"]) == (200, first.json()["revision"])
    assert again["Idempotency-Replayed"] == "true"
    assert post(client, "apply", f"# \n{TEAM}", HTTP_IDEMPOTENCY_KEY="once").status_code == 409


def test_revisions_are_listed_compared_and_restored(client: APIClient, tenant: Tenant) -> None:
    post(client, "apply?reason=first", TEAM)
    post(client, "apply", TEAM.replace("'7'", "'8'"))
    (newest, first, _) = client.get("/api/v1/policy-revisions").json()["results"]
    assert (first["reason"], first["source"], newest["number"]) == ("first", "apply", first["number"] + 1)
    address = f"/api/v1/policy-revisions/{first['number']}"
    assert 'cost_centre: "7"' in client.get(address).json()["yaml"]
    compared = client.get(f"{address}/compare").json()
    assert [each["name"] for each in compared["changes"]] == ["core"]
    assert '+  cost_centre: "8"' in compared["unified"]
    planned = client.post(f"{address}/restore", {"dry_run": True}, format="json")
    assert planned.json()["is_applied"] is False
    restored = client.post(f"{address}/restore", {"reason": "back"}, format="json")
    assert restored.json()["revision"] == newest["number"] + 1
    assert Team.objects.get(name="core").cost_centre == "7"


def test_another_organizations_revisions_are_not_there(client: APIClient, tenant: Tenant) -> None:
    post(client, "apply", TEAM)
    for number in range(3):
        team_create(organization=tenant.organization, name=f"t{number}", actor=tenant.actor)
        post(client, "apply", TEAM.replace("'7'", f"'{number}'"))
    last = client.get("/api/v1/policy-revisions").json()["results"][0]["number"]
    theirs = client_of(a_tenant("globex"))
    for path in (f"{last}", f"{last}/compare", f"1/compare?to={last}"):
        assert theirs.get(f"/api/v1/policy-revisions/{path}").status_code == 404
    assert theirs.post(f"/api/v1/policy-revisions/{last}/restore", {}, format="json").status_code == 404
    assert "core" not in theirs.get("/api/v1/export").content.decode()


def test_drift_is_told(client: APIClient, tenant: Tenant) -> None:
    assert client.get("/api/v1/policy-drift").json()["is_managed"] is False
    a_provider(tenant)
    post(client, "apply?source=git:7", TEAM)
    Team.objects.filter(name="core").update(cost_centre="9")
    drift = client.get("/api/v1/policy-drift").json()
    assert (drift["source"], drift["is_managed"]) == ("git:7", True)
    assert [each["fields"][0]["after"] for each in drift["changes"]] == ["9"]
    assert json.dumps(drift).count("sk-test") == 0
