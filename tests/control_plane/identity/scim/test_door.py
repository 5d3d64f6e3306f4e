"""Who may speak to the endpoint, and what a refusal looks like."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from control_plane.identity.scim.door import MAX_BODY_BYTES, ScimThrottle
from control_plane.identity.scim.models import ScimToken
from control_plane.identity.scim.services import scim_token_revoke
from control_plane.keys.services import admin_token_mint, pod_token_mint
from tests.builders.tenants import SYSTEM, a_key
from tests.control_plane.identity.scim.provider import CORE, Provider, a_provider

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def status_with(token: str, path: str = "/scim/v2/Users") -> int:
    return Client().get(path, headers={"authorization": f"Bearer {token}"}).status_code


def test_a_kind_of_token_is_refused_where_another_is_expected(provider: Provider) -> None:
    tenant = provider.tenant
    admin = admin_token_mint(organization=tenant.organization, user=tenant.admin, name="t", actor=SYSTEM).token
    others = [admin, a_key(tenant).token, pod_token_mint(name="p", actor=SYSTEM).token, "", "syscim_nonsense"]
    assert [status_with(token) for token in others] == [401] * len(others)
    assert status_with(provider.token) == 200
    assert status_with(provider.token, "/api/v1/users") == 401
    assert status_with(admin, "/api/v1/users") == 200


def test_a_token_that_is_over_is_refused_at_once(provider: Provider) -> None:
    ScimToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert status_with(provider.token) == 401
    ScimToken.objects.update(expires_at=None)
    assert status_with(provider.token) == 200
    scim_token_revoke(token=provider.record, actor=SYSTEM)
    response = provider.send("GET", "/Users")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="scim"')
    assert json.loads(response.content)["schemas"] == [ERROR]


def test_two_tokens_overlap_in_a_rotation(provider: Provider) -> None:
    second = a_provider(provider.tenant, "Entra, new")
    made = provider.add_user("ada@acme.example.com")
    scim_token_revoke(token=provider.record, actor=SYSTEM)
    assert second.call("GET", f"/Users/{made['id']}")["id"] == made["id"]


def test_a_console_session_opens_nothing_here(provider: Provider) -> None:
    browser = Client()
    browser.force_login(provider.tenant.admin)
    assert browser.get("/scim/v2/Users").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "text", "status", "scim_type"),
    [
        ("POST", "/Users", "{", 400, "invalidSyntax"),
        ("POST", "/Users", "[]", 400, "invalidSyntax"),
        ("POST", "/Users", '{"userName": NaN}', 400, "invalidSyntax"),
        ("POST", "/Users", '{"userName": "a\\u0000@acme.example.com"}', 400, "invalidValue"),
        ("POST", "/Users", "[" * 100_000, 400, "invalidSyntax"),
        ("POST", "/Groups", '{"displayName": ""}', 400, "invalidValue"),
        ("POST", "/Groups", '{"displayName": "x", "members": [{"value": 7}]}', 400, "invalidValue"),
        ("GET", "/Users?startIndex=x", "", 400, "invalidValue"),
        ("GET", "/Users?sortBy=shoeSize", "", 400, "invalidPath"),
        ("GET", "/Users?filter=" + quote('shoeSize eq "x"'), "", 400, "invalidFilter"),
        ("GET", "/Users?filter=" + quote('urn:x:y:userName eq "x"'), "", 400, "invalidFilter"),
        ("GET", "/Users?filter=" + quote("userName eq true"), "", 400, "invalidFilter"),
        ("GET", "/Users?filter=" + quote('meta.created gt "yesterday"'), "", 400, "invalidFilter"),
        ("GET", "/Users?filter=" + quote('active gt "x"'), "", 400, "invalidFilter"),
        ("GET", "/Users?filter=" + quote('phoneNumbers.value eq "x"'), "", 400, "invalidFilter"),
        ("GET", "/Groups?filter=" + quote('userName eq "x"'), "", 400, "invalidFilter"),
        ("GET", "/Users/no-id", "", 404, None),
        ("DELETE", "/Users", "", 405, None),
        ("POST", "/Bulk", "{}", 404, None),
        ("GET", "/Me", "", 404, None),
        ("GET", "/Schemas?filter=x", "", 403, None),
    ],
)
def test_a_refusal_is_in_the_schema_of_errors(
    provider: Provider, method: str, path: str, text: str, status: int, scim_type: str | None
) -> None:
    response = provider.send(method, path, text=text)
    body = json.loads(response.content)
    assert (response.status_code, body["status"], body.get("scimType")) == (status, str(status), scim_type), body
    assert body["schemas"] == [ERROR]
    assert body["detail"]
    assert response.headers["Content-Type"].startswith("application/scim+json")


def test_a_body_beyond_a_megabyte_is_refused(provider: Provider) -> None:
    response = provider.send("POST", "/Users", text=json.dumps({"userName": "x" * MAX_BODY_BYTES}))
    assert (response.status_code, json.loads(response.content)["status"]) == (413, "413")


def test_another_media_type_is_refused(provider: Provider) -> None:
    response = Client().post(
        "/scim/v2/Users",
        "a=b",
        "application/x-www-form-urlencoded",
        headers={"authorization": f"Bearer {provider.token}"},
    )
    assert (response.status_code, json.loads(response.content)["schemas"]) == (415, [ERROR])


def test_too_many_requests_are_told_when_to_come_back(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScimThrottle, "rate", "3/min")
    statuses = [provider.send("GET", "/Users?count=0").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert int(provider.send("GET", "/Users").headers["Retry-After"]) > 0


def test_a_version_that_was_overtaken_is_refused(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com")
    path, version = f"/Users/{made['id']}", made["meta"]["version"]
    title = {"Operations": [{"op": "add", "path": "title", "value": "Countess"}]}
    first = provider.send("PATCH", path, title, headers={"if-match": version})
    assert (first.status_code, first.headers["ETag"] != version) == (200, True)
    second = provider.send("PATCH", path, title, headers={"if-match": version})
    assert (second.status_code, json.loads(second.content)["status"]) == (412, "412")
    assert provider.send("DELETE", path, headers={"if-match": version}).status_code == 412
    fresh = first.headers["ETag"]
    strong = fresh.removeprefix("W/")
    assert provider.send("PATCH", path, title, headers={"if-match": f'"0", {strong}'}).status_code == 200
    assert provider.send("GET", path, headers={"if-none-match": fresh}).status_code == 304
    assert provider.send("GET", path, headers={"if-none-match": version}).status_code == 200


def test_attributes_are_narrowed_on_demand(provider: Provider) -> None:
    made = provider.add_user("ada@acme.example.com", name={"givenName": "Ada", "familyName": "L"}, title="Countess")
    path = f"/Users/{made['id']}"
    assert provider.call("GET", f"{path}?attributes=USERNAME,name.givenName") == {
        "schemas": [CORE], "id": made["id"], "userName": "ada@acme.example.com", "name": {"givenName": "Ada"},
    }  # fmt: skip
    without = provider.call("GET", f"{path}?excludedAttributes=name,{CORE}:title,id")
    assert {"id", "userName", "meta"} <= set(without)
    assert not {"name", "title"} & set(without)


def test_what_the_endpoint_can_do_is_what_it_says(provider: Provider) -> None:
    config = provider.call("GET", "/ServiceProviderConfig")
    able = {name: config[name]["supported"] for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")}
    assert able == {"patch": True, "bulk": False, "filter": True, "changePassword": False, "sort": True, "etag": True}
    kinds = provider.call("GET", "/ResourceTypes")["Resources"]
    assert [kind["endpoint"] for kind in kinds] == ["/Users", "/Groups"]
    assert provider.call("GET", "/ResourceTypes/User")["schema"] == CORE
    names = {each["id"] for each in provider.call("GET", "/Schemas")["Resources"]}
    assert CORE in names
    user = provider.call("GET", f"/Schemas/{CORE}")
    assert "password" not in {each["name"] for each in user["attributes"]}


def test_the_token_shows_its_newest_request_and_error(provider: Provider) -> None:
    provider.call("GET", "/Users?count=0")
    provider.record.refresh_from_db()
    assert provider.record.last_request == "GET /scim/v2/Users"
    assert provider.record.last_error == ""
    provider.send("POST", "/Users", {"active": True})
    provider.record.refresh_from_db()
    assert provider.record.last_error.startswith("POST /scim/v2/Users: 400 invalidValue userName is required")
