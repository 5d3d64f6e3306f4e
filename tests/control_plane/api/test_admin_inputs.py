"""The catalogue of bad admin inputs (A01-A20): each a real request, and the status it must get.

Rows on rules that are not built yet join with the issues that build them; sign-in by a provider has tests of its own.
"""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, reverse

from control_plane.accounts.models import User
from control_plane.accounts.services import user_create
from control_plane.credentials import destination
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Membership, Role, Team
from control_plane.organizations.services import INSTALLATION, membership_add
from control_plane.web.provider_test import Reached, try_provider
from control_plane.web.urls import urlpatterns
from tests.architecture.source_tree import ROOT
from tests.control_plane.api.world import ACTOR, PASSWORD, Tenant, client

JOINS_WITH = {"A05": 4, "A06": 4, "A08": 4, "A11": 4}
ELSEWHERE = {
    "A15": "tests/control_plane/identity/test_oidc.py",
    "A20": "tests/control_plane/api/test_committed.py",
}
SCRIPT = "<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://evil.example","x")'
METADATA_ADDRESS = "169.254.169.254"


@dataclass(frozen=True, slots=True)
class Row:
    """One bad input. `role`: who sends it; KEY, PROVIDER, ... in the address stand for the other organization's ids."""

    id: str
    what: str
    method: str
    address: str
    body: Any
    expected: int
    field: str = ""
    role: Role = Role.ADMIN

    @property
    def name(self) -> str:
        return f"{self.id} {self.what}"


def provider(base_url: str, **more: Any) -> dict[str, Any]:
    return {"name": "bad", "vendor": "anthropic", "base_url": base_url, "credential": {"value": "sk-ant-x"}, **more}


def _base_urls() -> Iterator[Row]:
    for what, base_url in (
        ("plain http", "http://api.example.com"),
        ("no scheme", "api.example.com"),
        ("a file", "file:///etc/passwd"),
        ("another protocol", "gopher://api.example.com"),
        ("an address in decimal", "https://167772161"),
        ("an address in hex", "https://0x0a000001"),
        ("an address in octal", "https://012.0.0.1"),
        ("a short address", "https://10.1"),
        ("a private address", "https://10.0.0.1"),
        ("a link-local address", f"https://{METADATA_ADDRESS}/latest"),
        ("an address mapped into IPv6", "https://[::ffff:10.0.0.1]"),
        ("an address mapped into IPv6, in hex", "https://[::ffff:a00:1]"),
        ("an address in NAT64", "https://[64:ff9b::a00:1]"),
        ("a 6to4 address", "https://[2002:a00:1::1]"),
        ("a unique local address", "https://[fd00::1]"),
        ("unspecified", "https://0.0.0.0"),
        ("a user name", "https://user@api.example.com"),
        ("user name and password", "https://api.openai.com:443@10.0.0.1"),
        ("a fragment", "https://api.example.com/#x"),
        ("a query", "https://api.example.com/?x=1"),
        ("port 22", "https://api.example.com:22"),
        ("port 6379", "https://api.example.com:6379"),
        ("port 0", "https://api.example.com:0"),
        ("port 99999", "https://api.example.com:99999"),
        ("a name that does not resolve", "https://nowhere.invalid"),
        ("a name that leads inside", "https://inside.example"),
        ("a name that leads outside and inside", "https://rebinding.example"),
        ("a line break", "https://api.example.com/\nx"),
        ("a back slash", "https://api.example.com\\@10.0.0.1"),
        ("the metadata service by name", "https://metadata.google.internal"),
    ):
        yield Row("A09", what, "post", "providers", provider(base_url), 400, "base_url")


def _credentials() -> Iterator[Row]:
    for what, credential, field in (
        ("a line break", {"value": "sk-ant-SECRETWORD\nx-api-key: y"}, "credential"),
        ("a carriage return", {"value": "sk-ant-SECRETWORD\rx"}, "credential"),
        ("not ASCII", {"value": "sk-ant-SECRETWORD-ü"}, "credential"),
        ("a megabyte", {"value": "SECRETWORD" * 110_000}, "credential.value"),
        ("wrong kind", {"value": {"SECRETWORD": 1}}, "credential.value"),
        ("two kinds at once", {"value": "sk-SECRETWORD", "env": "HOME"}, "credential"),
        ("an unknown kind", {"vault": "SECRETWORD"}, "credential"),
        ("a variable that is not allowed", {"env": "SWITCHYARD_SIGNING_KEY"}, "credential"),
        ("a file outside the folder", {"file": "../../etc/passwd"}, "credential"),
        ("nothing", {"value": ""}, "credential.value"),
    ):
        body = {"name": "bad", "vendor": "anthropic", "credential": credential}
        yield Row("A10", what, "post", "providers", body, 400, field)


TABLE: tuple[Row, ...] = (
    *(
        Row("A01", f"{method} of another organization", method, address, body, 404)
        for method, address, body in (
            ("get", "keys/KEY", None),
            ("patch", "keys/KEY", {"name": "x"}),
            ("post", "keys/KEY/revoke", {"reason": "x"}),
            ("get", "providers/PROVIDER", None),
            ("patch", "providers/PROVIDER", {"credential": {"value": "sk-ant-x"}}),
            ("delete", "providers/PROVIDER", None),
            ("get", "teams/TEAM", None),
            ("patch", "memberships/MEMBERSHIP", {"role": "owner"}),
            ("delete", "memberships/MEMBERSHIP", None),
            ("post", "users/USER/deactivate", {"reason": "x"}),
            ("post", "organizations/ORGANIZATION/disable", {"reason": "x"}),
            ("get", "snapshots/SNAPSHOT", None),
        )
    ),
    Row("A02", "organization of a key", "post", "keys", {"name": "x", "organization_id": "ORGANIZATION"}, 400),
    Row("A02", "digest of a key", "patch", "keys/OWN_KEY", {"digest": "00"}, 400, "digest"),
    Row("A02", "spent of a key", "patch", "keys/OWN_KEY", {"spent": 0}, 400, "spent"),
    Row("A02", "superuser", "post", "users", {"email": "x@acme.example", "is_superuser": True}, 400, "is_superuser"),
    Row("A02", "organization of a team", "post", "teams", {"name": "x", "organization": "globex"}, 400, "organization"),
    Row("A02", "state of an organization", "patch", "organizations/acme", {"state": "disabled"}, 400, "state"),
    Row("A02", "person of a token", "post", "admin-tokens", {"name": "x", "user": "USER"}, 400, "user"),
    Row("A02", "version of a credential", "patch", "providers/anthropic-main", {"credential_version": 9}, 400),
    Row(
        "A03",
        "a token wider than its maker",
        "post",
        "admin-tokens",
        {"name": "x", "scopes": ["audit.read"]},
        403,
        role=Role.MEMBER,
    ),
    Row(
        "A03",
        "every scope by a star",
        "post",
        "admin-tokens",
        {"name": "x", "scopes": ["*"]},
        400,
        "scopes",
        role=Role.MEMBER,
    ),
    Row(
        "A03", "a service key", "post", "keys", {"name": "x", "owner": {"service_account": "ci"}}, 400, role=Role.MEMBER
    ),
    Row("A03", "an owner made by an admin", "patch", "memberships/member@acme.example", {"role": "owner"}, 403),
    Row("A03", "an owner invited by an admin", "post", "users", {"email": "x@acme.example", "role": "owner"}, 403),
    Row(
        "A04",
        "a member makes itself admin",
        "patch",
        "memberships/fuzz-member@acme.example",
        {"role": "admin"},
        403,
        role=Role.MEMBER,
    ),
    Row("A04", "an admin makes itself owner", "patch", "memberships/fuzz-admin@acme.example", {"role": "owner"}, 403),
    Row(
        "A04", "a member switches the organization off", "post", "organizations/acme/disable", {}, 403, role=Role.MEMBER
    ),
    Row("A04", "nobody deletes an organization", "delete", "organizations/acme", None, 405),
    Row("A07", "no such time zone", "get", "usage?timezone=Mars/Phobos", None, 400, "timezone"),
    Row("A07", "a time zone that leads out of its folder", "get", "usage?timezone=../../etc/passwd", None, 400),
    Row("A07", "31 February", "get", "usage?from=2026-02-31", None, 400, "from"),
    *_base_urls(),
    *_credentials(),
    Row(
        "A12",
        "a thousand targets",
        "post",
        "virtual-models",
        {"name": "x", "targets": [{"model": "anthropic-main/claude-sonnet-4-6"}] * 1000},
        400,
        "targets",
    ),
    Row(
        "A12",
        "a route that leads to itself",
        "post",
        "virtual-models",
        {"name": "loop", "targets": [{"model": "loop"}]},
        400,
        "targets",
    ),
    Row("A13", "a GET that would change", "get", "keys/OWN_KEY/revoke", None, 405),
    Row("A13", "a GET that would mint", "get", "keys/revoke", None, 405),
    Row("A17", "limit -1", "get", "keys?limit=-1", None, 400, "limit"),
    Row("A17", "limit 0", "get", "keys?limit=0", None, 400, "limit"),
    Row("A17", "limit abc", "get", "keys?limit=abc", None, 400, "limit"),
    Row("A17", "limit abc of exchanges", "get", "exchanges?limit=abc", None, 400, "limit"),
    Row("A17", "limit 1e9", "get", "audit?limit=1e9", None, 400, "limit"),
    Row("A17", "a limit in other digits", "get", "teams?limit=%C2%B2", None, 400, "limit"),
    Row("A17", "limit 10^9", "get", "keys?limit=1000000000", None, 200),
    Row("A17", "a limit of many digits", "get", f"keys?limit={'9' * 5000}", None, 200),
    Row("A17", "a broken cursor", "get", "keys?cursor=%00%FF", None, 400, "cursor"),
    Row("A17", "a cursor of rubbish", "get", "keys?cursor=bm8gY3Vyc29y", None, 200),
    Row("A17", "a position that is no time", "get", "keys?cursor=cD14", None, 400, "cursor"),
    Row("A17", "a broken cursor of exchanges", "get", "exchanges?cursor=%F0", None, 400, "cursor"),
    Row("A18", "a grouping nobody knows", "get", "usage?group_by=password", None, 400, "group_by"),
    Row("A18", "SQL as a grouping", "get", "usage?group_by=user);DROP TABLE accounts_user;--", None, 400, "group_by"),
    Row("A18", "SQL as a metadata key", "get", "usage?group_by=metadata.x'--", None, 200),
    Row(
        "A18",
        "a thousand groupings",
        "get",
        f"usage?group_by={','.join(f'metadata.k{n}' for n in range(1000))}",
        None,
        400,
        "group_by",
    ),
    Row("A18", "ten years by the hour", "get", "usage?from=2016-01-01&to=2026-01-01&interval=hour", None, 400),
    Row("A18", "SQL as a user", "get", "usage?user=' OR 1=1--", None, 200),
    Row("A18", "NUL as a filter", "get", "keys?name=%00", None, 400, "name"),
    Row("A18", "NUL in an address", "get", "keys/x%00y", None, 404),
    Row("A18", "NUL in a body", "post", "teams", {"name": "x\x00"}, 400),
)


def addresses_of(host: str, _port: int) -> list[str]:
    known = {
        "api.example.com": ["93.184.216.34"],
        "inside.example": ["10.0.0.7"],
        "rebinding.example": ["93.184.216.34", "10.0.0.7"],
        "metadata.google.internal": [METADATA_ADDRESS],
    }
    if host not in known:
        raise OSError(host)
    return known[host]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names resolve as the test says, and no name server is asked."""
    resolve_as_told: Callable[..., Any] = destination.check_destination
    monkeypatch.setattr(
        "control_plane.credentials.services.check_destination",
        lambda base_url, **known: resolve_as_told(base_url, **{**known, "resolver": addresses_of}),
    )


def as_role(acme: Tenant, role: Role) -> Any:
    user = user_create(email=f"fuzz-{role}@acme.example", password=PASSWORD, actor=ACTOR)
    membership_add(organization=acme.organization, user=user, role=role, actor=ACTOR, by=INSTALLATION)
    return client(admin_token_mint(organization=acme.organization, user=user, name="t", actor=ACTOR).token)


def filled(text: str, acme: Tenant, globex: Tenant) -> str:
    for name, value in {
        "OWN_KEY": acme.member_key.key_id,
        "KEY": globex.member_key.key_id,
        "PROVIDER": globex.provider.id.hex,
        "TEAM": globex.team.id.hex,
        "MEMBERSHIP": globex.membership.id.hex,
        "USER": globex.member.id.hex,
        "ORGANIZATION": globex.organization.id.hex,
        "SNAPSHOT": globex.snapshot.id.hex,
    }.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_a_bad_input_gets_its_status(
    row: Row, acme: Tenant, globex: Tenant, resolver: None, caplog: pytest.LogCaptureFixture
) -> None:
    body = row.body
    if row.id == "A02":
        body = json.loads(filled(json.dumps(row.body), acme, globex))

    response = getattr(as_role(acme, row.role), row.method)(
        f"/api/v1/{filled(row.address, acme, globex)}", body, format="json"
    )

    assert response.status_code == row.expected, response.content
    if row.expected >= 400:
        assert response["Content-Type"] == "application/problem+json"
    if row.field:
        fields = [error["field"] for error in response.json()["errors"]]
        assert any(field == row.field or field.startswith((f"{row.field}.", f"{row.field}[")) for field in fields)
    assert "SECRETWORD" not in response.content.decode()
    assert "SECRETWORD" not in caplog.text


def test_every_row_of_the_catalogue_is_somewhere() -> None:
    here = {row.id for row in TABLE} | {"A14", "A16", "A19"}
    assert here | JOINS_WITH.keys() | ELSEWHERE.keys() == {f"A{number:02}" for number in range(1, 21)}
    for path in ELSEWHERE.values():
        assert (ROOT / path).is_file()


def test_a04_the_last_owner_stays(acme: Tenant) -> None:
    owner = as_role(acme, Role.OWNER)
    Membership.objects.filter(organization=acme.organization, role=Role.OWNER).exclude(
        user__email="fuzz-owner@acme.example"
    ).delete()
    address = "/api/v1/memberships/fuzz-owner@acme.example"

    for response in (owner.patch(address, {"role": "admin"}, format="json"), owner.delete(address)):
        assert response.status_code in (400, 403, 409)

    assert Membership.objects.get(user__email="fuzz-owner@acme.example").role == Role.OWNER


def test_a09_redirects_are_not_followed() -> None:
    asked: list[str] = []

    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"/{len(asked)}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        networks = settings.SWITCHYARD.private_networks
        found = try_provider(f"http://127.0.0.1:{server.server_port}", private_networks=networks, is_private=True)
        server.shutdown()
        thread.join()

    assert isinstance(found, Reached)
    assert asked == ["/v1/models"]


@pytest.mark.django_db
def test_a13_a_session_needs_its_token_and_its_own_origin(acme: Tenant) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(acme.admin)
    team = {"name": "Smuggled"}

    bare = browser.post("/api/v1/teams", team, content_type="application/json")
    browser.get(reverse("web:profile"))
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    foreign = browser.post(
        "/api/v1/teams",
        team,
        content_type="application/json",
        headers={"X-CSRFToken": token, "Origin": "https://evil.example"},
    )
    page = browser.post(reverse("web:team-add"), team)

    assert [bare.status_code, foreign.status_code, page.status_code] == [403, 403, 403]
    assert not Team.objects.filter(name="Smuggled").exists()


@pytest.mark.django_db
def test_a14_a_session_is_new_at_sign_in_over_at_sign_out_and_has_the_rights_of_now(acme: Tenant) -> None:
    cache.clear()
    browser = Client()
    browser.get(reverse("web:sign-in"))
    browser.cookies[settings.SESSION_COOKIE_NAME] = "planted-by-somebody-else"
    browser.post(reverse("web:sign-in"), {"email": acme.admin.email, "password": PASSWORD})
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert cookie != "planted-by-somebody-else"
    assert browser.get("/api/v1/providers").status_code == 200

    Membership.objects.filter(user=acme.admin).update(role=Role.MEMBER)
    assert browser.get("/api/v1/providers").status_code == 403
    assert browser.get(reverse("web:providers")).status_code == 404

    browser.post(reverse("web:sign-out"))
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert thief.get("/api/v1/keys").status_code in (401, 403)


@pytest.mark.django_db
def test_a16_what_people_wrote_runs_nowhere(acme: Tenant) -> None:
    admin = acme.as_admin
    for method, address, body in (
        ("patch", "teams/Platform", {"cost_centre": SCRIPT, "tags": {"note": SCRIPT}, "reason": SCRIPT}),
        ("patch", "service-accounts/ci", {"description": SCRIPT}),
        ("patch", f"keys/{acme.member_key.key_id}", {"name": SCRIPT, "metadata": {"x": FORMULA}}),
        ("patch", f"keys/{acme.account_key.key_id}", {"name": FORMULA}),
        ("patch", "organizations/acme", {"name": SCRIPT, "contact": SCRIPT}),
        ("post", "admin-tokens", {"name": SCRIPT}),
        ("post", "users", {"email": "xss@acme.example", "name": SCRIPT}),
        ("post", f"keys/{acme.account_key.key_id}/revoke", {"reason": FORMULA}),
    ):
        answer = getattr(admin, method)(f"/api/v1/{address}", body, format="json")
        assert answer.status_code in (200, 201), (address, answer.content)
    owner = User.objects.get(id=acme.admin.id)
    Membership.objects.filter(user=owner).update(role=Role.OWNER)
    browser = Client()
    browser.force_login(owner)
    opened = 0
    for pattern in urlpatterns:
        for address in _addresses(str(pattern.name), acme):
            answer = browser.get(address)
            if answer.status_code != 200:
                continue
            opened += 1
            text = b"".join(answer.streaming_content) if answer.streaming else answer.content
            if answer["Content-Type"].startswith("text/html"):
                assert SCRIPT.encode() not in text, address
    assert opened > 25
    for address in (f"{reverse('web:keys')}?format=csv", f"{reverse('web:audit-export')}?form=csv"):
        lines = b"".join(browser.get(address).streaming_content).decode()
        assert FORMULA[:10] in lines
        assert not [line for line in lines.splitlines() if f",{FORMULA[:5]}" in line or f',"{FORMULA[:5]}' in line]
    assert "nosniff" in browser.get("/api/v1/keys")["X-Content-Type-Options"]
    assert "script-src 'self'" in browser.get(reverse("web:keys"))["Content-Security-Policy"]


def _addresses(name: str, acme: Tenant) -> Iterator[str]:
    """A page's address, with something real in place of its arguments."""
    arguments: list[list[Any]] = [[], [acme.member_key.id], [acme.account_key.id], [acme.team.id], [acme.account.id]]
    arguments += [[acme.membership.id], [acme.provider.id], [acme.virtual_model.id], [1]]
    for given in arguments:
        try:
            yield reverse(f"web:{name}", args=given)
        except NoReverseMatch:
            continue


def test_a17_a_column_that_is_none_of_the_lists_sorts_nothing(acme: Tenant) -> None:
    plain = acme.as_admin.get("/api/v1/keys").json()
    assert acme.as_admin.get("/api/v1/keys?ordering=digest&sort=-digest").json() == plain
    assert len(acme.as_admin.get("/api/v1/keys?limit=1000000000").json()["results"]) <= 200


@pytest.mark.parametrize(
    ("address", "first", "second"),
    [
        ("teams/Platform", {"cost_centre": "one"}, {"cost_centre": "two"}),
        ("service-accounts/ci", {"description": "one"}, {"description": "two"}),
        ("organizations/acme", {"contact": "one@acme.example"}, {"contact": "two@acme.example"}),
        ("memberships/member@acme.example", {"tags": {"a": "1"}}, {"tags": {"a": "2"}}),
        ("providers/anthropic-main", {"account": "one"}, {"account": "two"}),
        ("keys/OWN_KEY", {"name": "one"}, {"name": "two"}),
        ("key-rules", {"max_personal_keys": 5}, {"max_personal_keys": 6}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a19_an_edit_of_what_has_changed_meanwhile_is_refused(
    acme: Tenant, globex: Tenant, address: str, first: Any, second: Any
) -> None:
    admin, where = acme.as_admin, f"/api/v1/{filled(address, acme, globex)}"
    seen = admin.get(where)["ETag"]

    applied = admin.patch(where, first, format="json", headers={"If-Match": seen})
    stale = admin.patch(where, second, format="json", headers={"If-Match": seen})

    assert (applied.status_code, stale.status_code) == (200, 412)
    name, value = next(iter(first.items()))
    assert admin.get(where).json()[name] == value
    fresh = admin.patch(where, second, format="json", headers={"If-Match": applied["ETag"]})
    assert fresh.status_code == 200
