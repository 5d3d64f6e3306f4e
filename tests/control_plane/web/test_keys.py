"""Keys in the console: shown once, set up, rotated, revoked."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.catalog.services import list_prices_load
from control_plane.keys.models import VirtualKey
from control_plane.organizations.services import organization_update
from control_plane.routing.services import virtual_models_offer
from control_plane.usage.aggregation import book_waiting
from switchyard_contract.v1 import usage_pb2
from switchyard_contract.virtual_key import KEY_PATTERN
from tests.builders.tenants import Tenant, a_key, a_member, a_provider, a_service_account
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, a_refusal, an_event, an_exchange_id


def mint(client: Client, tenant: Tenant, **changes: str) -> str:
    answer = client.post(
        "/my/keys/new",
        {"name": "laptop", "team": str(tenant.team.id), "expires": "90", "models": "", "tags": "", **changes},
    )
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def test_a_minted_key_is_shown_once_with_the_lines_that_use_it(member_client: Client, tenant: Tenant) -> None:
    organization_update(
        organization=tenant.organization, actor=tenant.actor, gateway_public_url="https://ai.example.com"
    )
    page = mint(member_client, tenant, models="claude-*", tags="project=checkout")
    found = KEY_PATTERN.search(page)
    assert found is not None
    key = VirtualKey.objects.get()
    assert (key.name, key.allowed_models, key.tags) == ("laptop", ["claude-*"], {"project": "checkout"})
    assert f"export ANTHROPIC_AUTH_TOKEN={found[0]}" in page
    assert "export ANTHROPIC_BASE_URL=https://ai.example.com" in page
    later = member_client.get(reverse("web:key", args=[key.id])).content.decode()
    assert found[0] not in later
    assert f"{key.prefix}…" in later


def test_the_answer_to_htmx_takes_the_place_of_the_page_and_leaves_an_address_without_the_key(
    member_client: Client, tenant: Tenant
) -> None:
    answer = member_client.post(
        "/my/keys/new",
        {"name": "laptop", "team": str(tenant.team.id), "expires": "never"},
        headers={"HX-Request": "true", "HX-Target": "sheet"},
    )
    key = VirtualKey.objects.get()
    assert answer["HX-Retarget"] == "#main"
    assert answer["HX-Push-Url"] == f"/keys/{key.id}"
    assert key.expires_at is None
    assert KEY_PATTERN.search(answer.content.decode())


def test_what_is_wrong_is_said_where_it_was_typed(member_client: Client, tenant: Tenant) -> None:
    answer = member_client.post(
        "/my/keys/new",
        {"name": "", "team": str(tenant.team.id), "expires": "90", "tags": "nonsense"},
        headers={"HX-Request": "true", "HX-Target": "sheet"},
    )
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'aria-describedby="id_name-error id_name-help"' in page
    assert "“nonsense” is not name=value." in page
    assert "<html" not in page


def test_another_teams_money_cannot_be_chosen(member_client: Client, other: Tenant) -> None:
    answer = member_client.post("/my/keys/new", {"name": "x", "team": str(other.team.id), "expires": "90"})
    assert answer.status_code == 422
    assert not VirtualKey.objects.exists()


def test_the_set_up_names_models_the_key_may_use(member_client: Client, tenant: Tenant) -> None:
    list_prices_load(actor=tenant.actor)
    virtual_models_offer(provider=a_provider(tenant), actor=tenant.actor)
    page = mint(member_client, tenant, models="claude-haiku-*")
    assert re.search(r"export ANTHROPIC_DEFAULT_HAIKU_MODEL=claude-haiku-", page)
    assert "ANTHROPIC_DEFAULT_OPUS_MODEL" not in page


def test_a_rotated_key_has_its_successor_shown_once(member_client: Client, member: User, tenant: Tenant) -> None:
    old = a_key(tenant, user=member).key
    page = member_client.post(reverse("web:key-rotate", args=[old.id]), {"grace_seconds": "3600"}).content.decode()
    assert KEY_PATTERN.search(page)
    old.refresh_from_db()
    assert old.expires_at is not None
    assert old.expires_at <= timezone.now() + timedelta(hours=1)


def test_revoking_needs_the_name_and_a_reason(member_client: Client, member: User, tenant: Tenant) -> None:
    key = a_key(tenant, user=member).key
    where = reverse("web:key-revoke", args=[key.id])
    assert member_client.post(where, {"confirm": "lapto", "reason": "lost"}).status_code == 422
    assert member_client.post(where, {"confirm": "laptop", "reason": ""}).status_code == 422
    key.refresh_from_db()
    assert not key.is_revoked
    answer = member_client.post(where, {"confirm": "laptop", "reason": "lost on a train", "cut_streams": "on"})
    assert answer["Location"] == f"/keys/{key.id}"
    key.refresh_from_db()
    assert key.is_revoked
    assert key.cut_streams
    assert "lost on a train" in member_client.get(f"/keys/{key.id}").content.decode()
    assert Change.objects.filter(action="key.revoked", actor_name=member.email).exists()


def test_check_it_works_waits_and_then_shows_the_first_request(
    member_client: Client, member: User, tenant: Tenant
) -> None:
    key = a_key(tenant, user=member).key
    where = reverse("web:key-check", args=[key.id])
    waiting = member_client.get(where).content.decode()
    assert "Waiting for the first request" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    event = arrived(tenant, member, key, an_event)
    page = member_client.get(where).content.decode()
    assert "It works" in page
    assert event.exchange_id in page
    assert "hx-trigger" not in page


def test_a_first_request_that_was_refused_does_not_count_as_working(
    member_client: Client, member: User, tenant: Tenant
) -> None:
    key = a_key(tenant, user=member).key
    arrived(tenant, member, key, a_refusal)
    page = member_client.get(reverse("web:key-check", args=[key.id])).content.decode()
    assert "It works" not in page
    assert "refused (model_not_allowed)" in page


def arrived(
    tenant: Tenant, member: User, key: VirtualKey, make: Callable[..., usage_pb2.UsageEvent]
) -> usage_pb2.UsageEvent:
    """Book an exchange of a key, a moment after it was minted."""
    now = timezone.now() + timedelta(seconds=1)
    event = make(
        at=now,
        exchange_id=an_exchange_id(at=now),
        organization_id=tenant.organization.id.hex,
        key_id=key.key_id,
        principal_id=member.id.hex,
        team_id=tenant.team.id.hex,
    )
    put(a_batch([event]))
    book_waiting(now=timezone.now(), ledger_days=396)
    return event


def test_a_service_account_gets_a_key_from_an_admin(admin_client: Client, tenant: Tenant) -> None:
    account = a_service_account(tenant)
    answer = admin_client.post(
        "/keys/new", {"service_account": str(account.id), "name": "nightly", "team": "", "expires": "30"}
    )
    assert answer.status_code == 200
    key = VirtualKey.objects.get()
    assert (key.service_account, key.team) == (account, account.team)
    assert KEY_PATTERN.search(answer.content.decode())


def test_the_list_is_searched_filtered_and_exported(admin_client: Client, tenant: Tenant) -> None:
    alive, gone = a_key(tenant).key, a_key(tenant, user=a_member(tenant, "gone@example.com")).key
    admin_client.post(reverse("web:key-revoke", args=[gone.id]), {"confirm": gone.name, "reason": "left"})
    only_alive = admin_client.get("/keys?state=alive").content.decode()
    assert alive.prefix in only_alive
    assert gone.prefix not in only_alive
    found = admin_client.get("/keys?q=gone@").content.decode()
    assert gone.prefix in found
    assert alive.prefix not in found
    exported = admin_client.get("/keys?state=revoked&format=csv").getvalue().decode()
    assert exported.splitlines()[0].startswith("name,prefix,owner")
    assert len(exported.splitlines()) == 2


def test_pages_of_a_list_hold_every_row_once(admin_client: Client, tenant: Tenant) -> None:
    keys = {a_key(tenant).key.prefix for _ in range(57)}
    page = admin_client.get("/keys?sort=name")
    seen = [row.key.prefix for row in page.context["rows"]]
    following = page.context["listing"].next
    assert following
    second = admin_client.get(f"/keys?sort=name&after={following}")
    seen += [row.key.prefix for row in second.context["rows"]]
    assert second.context["listing"].next == ""
    assert len(seen) == 57
    assert set(seen) == keys


def test_a_cursor_that_is_not_ours_opens_the_first_page(admin_client: Client, tenant: Tenant) -> None:
    a_key(tenant)
    assert len(admin_client.get("/keys?after=nonsense").context["rows"]) == 1


@pytest.mark.parametrize("count", [1, 20])
def test_a_list_asks_the_database_as_often_for_many_keys_as_for_one(
    admin_client: Client, tenant: Tenant, count: int, django_assert_max_num_queries: object
) -> None:
    for _ in range(count):
        a_key(tenant)
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        admin_client.get("/keys")
