"""Device login (RFC 8628): what the machine is told, what the person sees, and what the token may."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.identity.device import services
from control_plane.identity.device.codes import ALPHABET, shown, typed
from control_plane.identity.device.models import DeviceAuthorization, DeviceState
from control_plane.keys.models import AdminToken
from control_plane.keys.services import membership_remove
from control_plane.organizations.models import Role
from control_plane.organizations.selectors import membership_of
from control_plane.organizations.services import INSTALLATION, membership_add
from tests.builders.tenants import SYSTEM, Tenant

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DAY_S = 24 * 3600


def begin(machine: APIClient, **changes: str) -> dict[str, Any]:
    form = {
        "client_id": "switchyard-cli",
        "scope": "keys.read keys.manage organization.read",
        "machine": "graces-laptop",
        "lifetime_seconds": str(30 * DAY_S),
        **changes,
    }
    answer = machine.post("/api/v1/device/authorize", urlencode(form), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def ask(machine: APIClient, begun: dict[str, Any], **changes: str) -> Any:
    form = {"grant_type": GRANT, "device_code": begun["device_code"], "client_id": "switchyard-cli", **changes}
    return machine.post("/api/v1/device/token", urlencode(form), content_type="application/x-www-form-urlencoded")


def decide(browser: Client, begun: dict[str, Any], tenant: Tenant, decision: str = "approve", **changes: str) -> Any:
    form = {
        "code": begun["user_code"],
        "organization": str(tenant.organization.id),
        "lifetime": str(7 * DAY_S),
        "decision": decision,
        **changes,
    }
    return browser.post("/device", form)


def signed_in(machine: APIClient, browser: Client, tenant: Tenant) -> str:
    begun = begin(machine)
    decide(browser, begun, tenant)
    return str(ask(machine, begun).json()["access_token"])


def as_machine(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_the_codes_are_short_for_people_and_long_for_machines(tenant: Tenant, machine: APIClient) -> None:
    begun = begin(machine)
    first, dash, second = begun["user_code"].partition("-")
    assert (len(first), dash, len(second)) == (4, "-", 4)
    assert set(first + second) <= set(ALPHABET)
    assert len(begun["device_code"]) >= 43
    assert begun["verification_uri"].endswith("/device")
    assert begun["verification_uri_complete"].endswith(f"/device?code={begun['user_code']}")
    assert 590 <= begun["expires_in"] <= 600
    assert begun["interval"] == 5
    stored = DeviceAuthorization.objects.get()
    assert begun["device_code"].encode() not in bytes(stored.device_code_digest)


def test_a_person_approves_and_the_machine_gets_a_token_of_limited_scopes_once(
    tenant: Tenant, member: User, machine: APIClient, browser: Client
) -> None:
    begun = begin(machine, scope="keys.read keys.manage organization.read audit.read")
    assert ask(machine, begun).json()["error"] == "authorization_pending"
    page = browser.get(f"/device?code={begun['user_code']}").content.decode()
    assert "graces-laptop" in page
    assert "127.0.0.1" in page
    assert "not yours to give" in page
    assert f'name="organization" value="{tenant.organization.id}"' in page
    done = decide(browser, begun, tenant)
    assert "graces-laptop is signed in" in done.content.decode()
    with time_machine.travel(timezone.now() + timedelta(seconds=6)):
        answer = ask(machine, begun)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert told["token_type"] == "Bearer"
    assert told["user"] == member.email
    assert told["scope"] == "keys.manage keys.read organization.read"
    assert told["expires_in"] <= 7 * DAY_S
    token = AdminToken.objects.get()
    assert token.name == "graces-laptop (switchyard login)"
    assert token.organization_id == tenant.organization.id
    client = as_machine(told["access_token"])
    assert client.get("/api/v1/keys").status_code == 200
    assert client.get("/api/v1/usage?from=2026-01-01T00:00:00Z").status_code == 403
    assert ask(machine, begun).json()["error"] == "invalid_grant"
    actions = list(Change.objects.filter(organization_id=tenant.organization.id).values_list("action", flat=True))
    assert actions[-2:] == ["device.approved", "admin_token.minted"]


def test_a_denied_machine_is_told(tenant: Tenant, machine: APIClient, browser: Client) -> None:
    begun = begin(machine)
    assert "was sent away" in decide(browser, begun, tenant, "deny").content.decode()
    assert ask(machine, begun).json()["error"] == "access_denied"
    assert not AdminToken.objects.exists()


def test_asking_too_often_is_slowed_down_and_costs_five_seconds_more(tenant: Tenant, machine: APIClient) -> None:
    begun = begin(machine)
    assert ask(machine, begun).json()["error"] == "authorization_pending"
    assert ask(machine, begun).json()["error"] == "slow_down"
    now = timezone.now()
    with time_machine.travel(now + timedelta(seconds=6)):
        assert ask(machine, begun).json()["error"] == "slow_down"
    with time_machine.travel(now + timedelta(seconds=6 + 15)):
        assert ask(machine, begun).json()["error"] == "authorization_pending"


def test_a_code_ends_after_ten_minutes_for_both_sides(tenant: Tenant, machine: APIClient, browser: Client) -> None:
    begun = begin(machine)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert ask(machine, begun).json()["error"] == "expired_token"
        page = browser.get(f"/device?code={begun['user_code']}")
        assert page.status_code == 422
        assert "older than ten minutes" in page.content.decode()


def test_a_code_is_decided_once(tenant: Tenant, machine: APIClient, browser: Client) -> None:
    begun = begin(machine)
    decide(browser, begun, tenant)
    assert decide(browser, begun, tenant, "deny").status_code == 422
    assert DeviceAuthorization.objects.get().state == DeviceState.APPROVED


def test_whoever_left_between_approving_and_asking_gives_nothing(
    tenant: Tenant, member: User, machine: APIClient, browser: Client
) -> None:
    begun = begin(machine)
    decide(browser, begun, tenant)
    membership = membership_of(member, tenant.organization)
    assert membership is not None
    membership_remove(membership=membership, actor=SYSTEM, by=INSTALLATION)
    assert ask(machine, begun).json()["error"] == "access_denied"


def test_the_organization_is_chosen_among_ones_own(
    tenant: Tenant, other: Tenant, member: User, machine: APIClient, browser: Client
) -> None:
    begun = begin(machine)
    assert decide(browser, begun, other).status_code == 422
    membership_add(organization=other.organization, user=member, role=Role.MEMBER, actor=SYSTEM, by=INSTALLATION)
    page = browser.get(f"/device?code={begun['user_code']}").content.decode()
    assert "Globex" in page
    assert "Acme" in page
    assert decide(browser, begun, other).status_code == 200
    assert ask(machine, begun).json()["organization"] == "globex"


def test_a_token_of_one_organization_sees_nothing_of_another(
    tenant: Tenant, other: Tenant, machine: APIClient, browser: Client
) -> None:
    client = as_machine(signed_in(machine, browser, tenant))
    told = client.get("/api/v1/whoami").json()
    assert (told["organization"], told["role"]) == ("acme", "member")
    assert client.get(f"/api/v1/organizations/{other.organization.id.hex}").status_code == 404


def test_a_longer_life_than_was_asked_for_cannot_be_given(tenant: Tenant, machine: APIClient, browser: Client) -> None:
    begun = begin(machine, lifetime_seconds=str(DAY_S))
    assert decide(browser, begun, tenant, lifetime=str(90 * DAY_S)).status_code == 422
    assert decide(browser, begun, tenant, lifetime=str(DAY_S)).status_code == 200


def test_whoami_names_the_token_and_logout_ends_it(
    tenant: Tenant, member: User, machine: APIClient, browser: Client
) -> None:
    client = as_machine(signed_in(machine, browser, tenant))
    told = client.get("/api/v1/whoami").json()
    assert told["user"] == member.email
    assert told["scopes"] == ["keys.manage", "keys.read", "organization.read"]
    assert told["token"]["name"] == "graces-laptop (switchyard login)"
    assert client.post("/api/v1/device/revoke").status_code == 204
    assert client.get("/api/v1/whoami").status_code == 401
    assert client.post("/api/v1/device/revoke").status_code == 401


def test_a_console_session_has_no_token_to_end(tenant: Tenant, member: User) -> None:
    client = APIClient()
    client.force_login(member)
    assert client.get("/api/v1/whoami").json()["token"] is None
    assert client.post("/api/v1/device/revoke").status_code == 404


def test_guessing_of_codes_is_slowed_down(tenant: Tenant, machine: APIClient, browser: Client) -> None:
    begun = begin(machine)
    for _ in range(10):
        assert browser.get("/device?code=BBBB-BBBB").status_code == 422
    answer = browser.get(f"/device?code={begun['user_code']}")
    assert answer.status_code == 429
    assert "graces-laptop" not in answer.content.decode()


def test_one_address_cannot_ask_for_codes_without_end(
    tenant: Tenant, machine: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_PER_ADDRESS", 2)
    begin(machine)
    begin(machine)
    answer = machine.post("/api/v1/device/authorize", {"client_id": "switchyard-cli"}, format="json")
    assert answer.status_code == 429
    assert answer["Retry-After"] == "60"


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        ("authorize", {"client_id": "somebody-else"}, "invalid_client"),
        ("authorize", {"client_id": "switchyard-cli", "scope": "everything"}, "invalid_scope"),
        ("authorize", {"client_id": "switchyard-cli", "machine": "x" * 101}, "invalid_request"),
        (
            "token",
            {"grant_type": "password", "device_code": "x", "client_id": "switchyard-cli"},
            "unsupported_grant_type",
        ),
        ("token", {"grant_type": GRANT, "client_id": "switchyard-cli"}, "invalid_request"),
        ("token", {"grant_type": GRANT, "device_code": "none", "client_id": "switchyard-cli"}, "invalid_grant"),
    ],
)
def test_what_is_wrong_is_said_as_oauth_does(
    tenant: Tenant, machine: APIClient, path: str, form: dict[str, str], error: str
) -> None:
    answer = machine.post(f"/api/v1/device/{path}", form, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"] == error


def test_the_page_is_for_signed_in_people(tenant: Tenant) -> None:
    answer = Client().get("/device?code=BCDF-GHJK")
    assert answer.status_code == 302
    assert "/sign-in?next=%2Fdevice%3Fcode%3DBCDF-GHJK" in answer["Location"]


def test_codes_are_read_however_they_are_typed() -> None:
    assert typed(" wdjb-mjht ") == typed("WDJBMJHT") == "WDJBMJHT"
    assert shown("WDJBMJHT") == "WDJB-MJHT"
    assert typed("WDJB-MJH") == typed("AEIO-UAEI") == typed("") == ""
