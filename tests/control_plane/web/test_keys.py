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
from control_plane.keys.services import key_rules_update, rules_of
from control_plane.organizations.services import organization_update
from control_plane.routing.services import virtual_models_offer
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import KeyLastUse
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
    with django_assert_max_num_queries(15):  # type: ignore[operator]
        admin_client.get("/keys")


# Scopes, schedules and rules.


def bind(tenant: Tenant, **rules: object) -> None:
    key_rules_update(organization=tenant.organization, actor=tenant.actor, **rules)  # type: ignore[arg-type]


def test_a_key_is_narrowed_to_tools_and_networks(member_client: Client, tenant: Tenant) -> None:
    mint(member_client, tenant, routes="anthropic_messages", source_networks="10.0.0.0/8\n203.0.113.7")
    key = VirtualKey.objects.get()
    assert key.allowed_routes == ["anthropic_messages"]
    assert key.source_networks == ["10.0.0.0/8", "203.0.113.7/32"]
    page = member_client.get(f"/keys/{key.id}").content.decode()
    assert "Claude (Anthropic Messages)" in page
    assert "Works with Claude, from 10.0.0.0/8 and 203.0.113.7/32, until" in page


def test_a_network_that_is_none_is_said_at_its_field(member_client: Client, tenant: Tenant) -> None:
    answer = member_client.post(
        "/my/keys/new",
        {"name": "x", "team": str(tenant.team.id), "expires": "90", "source_networks": "10.0.0.0/99"},
    )
    assert answer.status_code == 422
    assert answer.context["form"].errors["source_networks"]


def test_an_end_on_a_day_is_the_end_of_that_day(member_client: Client, tenant: Tenant) -> None:
    day = timezone.localdate() + timedelta(days=5)
    mint(member_client, tenant, expires="day", until=day.isoformat())
    ends = VirtualKey.objects.get().expires_at
    assert ends is not None
    assert timezone.localtime(ends).date() == day
    without = member_client.post("/my/keys/new", {"name": "x", "team": str(tenant.team.id), "expires": "day"})
    assert without.context["form"].errors["until"]


def test_the_sentence_says_what_the_key_will_be(member_client: Client, tenant: Tenant) -> None:
    asked = {
        "team": str(tenant.team.id),
        "expires": "never",
        "models": "claude-haiku-*",
        "routes": ["anthropic_messages", "openai_responses"],
        "source_networks": "10.0.0.0/8",
    }
    page = member_client.get("/my/keys/new/sentence", asked).content.decode()
    said = "Works with Claude and Codex, for claude-haiku-*, from 10.0.0.0/8, for ever; charged to platform."
    assert said in page


def test_an_empty_form_says_what_it_proposes(member_client: Client, tenant: Tenant) -> None:
    day = timezone.localtime(timezone.now() + timedelta(days=90))
    said = f"Works with every tool, from anywhere, until {day:%-d %b %Y}; charged to platform."
    assert said in member_client.get("/my/keys/new").content.decode()


def test_the_rules_of_the_organization_are_shown_and_heeded(member_client: Client, tenant: Tenant) -> None:
    bind(tenant, max_personal_days=30, personal_models=["claude-haiku-*"], max_personal_keys=1)
    page = member_client.get("/my/keys/new")
    assert "limits personal keys to 30 days, claude-haiku-* and 1 at a time" in page.content.decode()
    assert [value for value, _ in page.context["form"].fields["expires"].choices] == ["7", "30", "day"]
    asked = {"name": "x", "team": str(tenant.team.id), "expires": "30"}
    wide = member_client.post("/my/keys/new", {**asked, "models": "claude-*"})
    assert "claude-* goes beyond" in wide.content.decode()
    mint(member_client, tenant, expires="30")
    assert VirtualKey.objects.get().allowed_models == ["claude-haiku-*"]
    second = member_client.post("/my/keys/new", asked)
    assert second.status_code == 422
    assert "1 is this organization" in second.content.decode()


def test_where_people_do_not_mint_they_are_told_whom_to_ask(member_client: Client, tenant: Tenant) -> None:
    bind(tenant, members_may_mint=False)
    page = member_client.get("/my/keys/new").content.decode()
    assert "Ask an admin for a key" in page
    assert '<button class="btn btn-primary" type="submit">Mint key' not in page


def test_admins_are_not_bound_by_the_rules(admin_client: Client, tenant: Tenant) -> None:
    bind(tenant, max_personal_days=30)
    mint(admin_client, tenant, expires="365")
    assert VirtualKey.objects.get().expires_at is not None


def a_scheduled_key(client: Client, tenant: Tenant) -> VirtualKey:
    account = a_service_account(tenant)
    answer = client.post(
        "/keys/new",
        {
            "service_account": str(account.id),
            "name": "nightly",
            "team": "",
            "expires": "90",
            "ends": "schedule",
            "every_days": "30",
            "grace_seconds": "86400",
        },
    )
    assert answer.status_code == 200, answer.content.decode()
    return VirtualKey.objects.get()


def test_a_service_key_on_a_schedule_shows_how_far_it_is(admin_client: Client, tenant: Tenant) -> None:
    key = a_scheduled_key(admin_client, tenant)
    assert (key.rotation_days, key.rotation_grace_s) == (30, 86_400)
    page = admin_client.get(f"/keys/{key.id}").content.decode()
    assert "Rotate by" in page
    assert "replaced every 30 days, ending a day after it is due" in page
    VirtualKey.objects.update(rotate_by=timezone.now() - timedelta(hours=1))
    late = admin_client.get(f"/keys/{key.id}").content.decode()
    assert "rotation overdue" in late


def test_rotating_offers_the_grace_of_the_schedule(admin_client: Client, tenant: Tenant) -> None:
    key = a_scheduled_key(admin_client, tenant)
    form = admin_client.get(f"/keys/{key.id}/rotate").context["form"]
    assert form["grace_seconds"].value() == "86400"
    assert form.fields["grace_seconds"].choices[0] == ("86400", "After a day, as its schedule says")


# Changing a key.


def as_it_is(key: VirtualKey) -> dict[str, object]:
    return {
        "name": key.name,
        "models": "\n".join(key.allowed_models),
        "routes": key.allowed_routes,
        "source_networks": "\n".join(key.source_networks),
        "tags": "\n".join(f"{name}={value}" for name, value in key.tags.items()),
        "expires": "keep",
    }


def test_a_change_is_shown_before_it_is_saved(member_client: Client, member: User, tenant: Tenant) -> None:
    key = a_key(tenant, user=member).key
    asked = {**as_it_is(key), "name": "desktop", "routes": ["gemini_content"], "expires": "30"}
    changes = member_client.get(f"/keys/{key.id}/edit/changes", asked).context["changes"]
    assert [(one.label, one.before) for one in changes] == [
        ("Name", "laptop"),
        ("Works with", "every tool"),
        ("Ends", "never"),
    ]
    answer = member_client.post(f"/keys/{key.id}/edit", asked)
    assert answer["Location"] == f"/keys/{key.id}"
    key.refresh_from_db()
    assert (key.name, key.allowed_routes) == ("desktop", ["gemini_content"])
    assert key.expires_at is not None


def test_saving_what_is_there_changes_nothing(member_client: Client, member: User, tenant: Tenant) -> None:
    key = a_key(tenant, user=member, expires_at=timezone.now() + timedelta(days=9)).key
    before = Change.objects.count()
    answer = member_client.post(f"/keys/{key.id}/edit", as_it_is(key), follow=True)
    assert "Nothing was changed." in answer.content.decode()
    assert Change.objects.count() == before


def test_a_new_name_can_be_taken_back_from_its_toast(member_client: Client, member: User, tenant: Tenant) -> None:
    key = a_key(tenant, user=member).key
    page = member_client.post(f"/keys/{key.id}/edit", {**as_it_is(key), "name": "desktop"}, follow=True)
    found = re.search(r"&quot;token&quot;: &quot;([^&]+)&quot;|\"token\": \"([^\"]+)\"", page.content.decode())
    assert found is not None
    token = found[1] or found[2]
    other_key = a_key(tenant, user=member).key
    member_client.post(f"/keys/{other_key.id}/undo", {"token": token})
    other_key.refresh_from_db()
    assert other_key.name == "laptop"
    member_client.post(f"/keys/{key.id}/undo", {"token": token})
    key.refresh_from_db()
    assert key.name == "laptop"
    # Taken back already: the same toast does nothing more.
    again = member_client.post(f"/keys/{key.id}/undo", {"token": token}, follow=True)
    assert "changed since" in again.content.decode()


def test_a_narrower_key_is_no_light_change(member_client: Client, member: User, tenant: Tenant) -> None:
    key = a_key(tenant, user=member).key
    page = member_client.post(f"/keys/{key.id}/edit", {**as_it_is(key), "models": "claude-*"}, follow=True)
    assert "goes by it within a second" in page.content.decode()
    assert ">Undo<" not in page.content.decode()


def test_a_key_leaves_its_schedule_for_an_end(admin_client: Client, tenant: Tenant) -> None:
    key = a_scheduled_key(admin_client, tenant)
    admin_client.post(f"/keys/{key.id}/edit", {**as_it_is(key), "ends": "expiry", "expires": "7"})
    key.refresh_from_db()
    assert key.rotation_days is None
    assert key.expires_at is not None
    assert key.expires_at < timezone.now() + timedelta(days=8)


def test_nobody_edits_what_is_another_organizations(admin_client: Client, other: Tenant) -> None:
    key = a_key(other).key
    assert admin_client.post(f"/keys/{key.id}/undo", {"token": "x"}).status_code == 404
    assert admin_client.post(f"/keys/{key.id}/edit", as_it_is(key)).status_code == 404


# Finding and ending many.


def test_the_list_finds_keys_that_nobody_uses(admin_client: Client, tenant: Tenant, member: User) -> None:
    used, idle, old = a_key(tenant).key, a_key(tenant, user=member).key, a_key(tenant).key
    arrived(tenant, tenant.admin, used, an_event)
    long_ago = timezone.now() - timedelta(days=200)
    VirtualKey.objects.filter(id=old.id).update(created_at=long_ago)
    KeyLastUse.objects.create(
        key_id=old.key_id, organization_id=tenant.organization.id, used_at=long_ago, exchange_id="x", client="codex"
    )
    assert prefixes(admin_client, "/keys?state=never-used") == {idle.prefix}
    assert prefixes(admin_client, "/keys?state=unused") == {old.prefix}


def test_the_list_finds_keys_that_end_soon_and_sorts_by_end_and_use(admin_client: Client, tenant: Tenant) -> None:
    soon = a_key(tenant, expires_at=timezone.now() + timedelta(days=3)).key
    later = a_key(tenant, expires_at=timezone.now() + timedelta(days=60)).key
    never = a_key(tenant).key
    assert prefixes(admin_client, "/keys?state=ending") == {soon.prefix}
    rows = admin_client.get("/keys?sort=ends").context["rows"]
    assert [row.key for row in rows] == [soon, later, never]
    arrived(tenant, tenant.admin, later, an_event)
    assert admin_client.get("/keys?sort=-used").context["rows"][0].key == later


def test_pages_by_end_hold_every_row_once(admin_client: Client, tenant: Tenant) -> None:
    keys = {a_key(tenant).key.prefix for _ in range(52)}
    for sort in ("ends", "-used"):
        page = admin_client.get(f"/keys?sort={sort}")
        second = admin_client.get(f"/keys?sort={sort}&after={page.context['listing'].next}")
        seen = [row.key.prefix for answer in (page, second) for row in answer.context["rows"]]
        assert len(seen) == 52
        assert set(seen) == keys


def test_an_owner_is_a_filter_and_a_foreign_one_is_none(
    admin_client: Client, tenant: Tenant, member: User, other: Tenant
) -> None:
    mine, theirs = a_key(tenant).key, a_key(tenant, user=member).key
    assert prefixes(admin_client, f"/keys?owner=user:{member.id.hex}") == {theirs.prefix}
    page = admin_client.get(f"/keys?owner=user:{other.admin.id.hex}")
    assert other.admin.email not in page.content.decode()
    assert {row.key.prefix for row in page.context["rows"]} == {mine.prefix, theirs.prefix}


def prefixes(client: Client, address: str) -> set[str]:
    return {row.key.prefix for row in client.get(address).context["rows"]}


def test_several_keys_end_at_once_after_their_number_is_typed(
    admin_client: Client, tenant: Tenant, member: User
) -> None:
    used, idle, dead = a_key(tenant).key, a_key(tenant, user=member).key, a_key(tenant).key
    arrived(tenant, tenant.admin, used, an_event)
    admin_client.post(reverse("web:key-revoke", args=[dead.id]), {"confirm": dead.name, "reason": "x"})
    ids = [str(key.id) for key in (used, idle, dead)]
    page = admin_client.get("/keys/bulk", {"do": "revoke", "id": ids})
    said = page.content.decode()
    assert "of 2 people and 0 service accounts, charged to 1 team" in said
    assert "1 of them was used within the last 24 hours" in said
    assert "1 more of what you chose" in said
    asked = {"do": "revoke", "ids": ",".join(ids), "reason": "clean-up"}
    assert admin_client.post("/keys/bulk", {**asked, "confirm": "3"}).status_code == 422
    assert admin_client.post("/keys/bulk", {**asked, "confirm": "2", "reason": ""}).status_code == 422
    assert admin_client.post("/keys/bulk", {**asked, "confirm": "2"})["Location"] == "/keys"
    assert not VirtualKey.objects.filter(revoked_at__isnull=True).exists()


def test_all_that_match_are_meant_and_no_others(admin_client: Client, tenant: Tenant, member: User) -> None:
    kept = a_key(tenant).key
    for _ in range(55):
        a_key(tenant, user=member)
    where = f"owner=user:{member.id.hex}"
    listed = admin_client.get(f"/keys?{where}")
    assert listed.context["matching"] == 55
    assert 'name="do" value="revoke"' in listed.content.decode()
    page = admin_client.get("/keys/bulk", {"do": "revoke", "matching": where, "id": str(kept.id)})
    assert len(page.context["scope"].keys) == 55
    answer = admin_client.post(
        "/keys/bulk", {"do": "revoke", "ids": page.context["ids"], "reason": "left", "confirm": "55"}
    )
    assert answer["Location"] == "/keys"
    assert list(VirtualKey.objects.filter(revoked_at__isnull=True)) == [kept]


def test_foreign_keys_cannot_be_ended_together_with_own_ones(
    admin_client: Client, tenant: Tenant, other: Tenant
) -> None:
    ids = [str(a_key(tenant).key.id), str(a_key(other).key.id)]
    assert admin_client.get("/keys/bulk", {"do": "revoke", "id": ids}).status_code == 404
    answer = admin_client.post("/keys/bulk", {"do": "revoke", "ids": ",".join(ids), "reason": "x", "confirm": "2"})
    assert answer.status_code == 404
    assert not VirtualKey.objects.filter(revoked_at__isnull=False).exists()


def test_nothing_chosen_is_said(admin_client: Client) -> None:
    answer = admin_client.get("/keys/bulk", {"do": "revoke"}, follow=True)
    assert "Choose keys first" in answer.content.decode()


# The rules for personal keys.


def test_the_rules_show_whom_they_touch_before_they_are_saved(
    admin_client: Client, tenant: Tenant, member: User
) -> None:
    a_key(tenant, user=member)
    a_key(tenant, user=member, expires_at=timezone.now() + timedelta(days=5))
    asked = {
        "members_may_mint": "on",
        "max_personal_keys": "1",
        "max_personal_days": "30",
        "personal_models": "claude-haiku-*",
    }
    page = admin_client.get("/keys/rules/effect", asked)
    effect = page.context["effect"]
    assert (effect.personal_keys, effect.narrowed, effect.crowded, effect.lasting) == (2, 2, 1, 1)
    assert "at most 1 each, living at most 30 days and for claude-haiku-* only" in page.content.decode()
    assert admin_client.post("/keys/rules", asked)["Location"] == "/keys/rules"
    assert rules_of(tenant.organization).max_personal_days == 30
    assert "key_rules.updated" in admin_client.get("/keys/rules").content.decode()


def test_rules_out_of_bounds_are_refused_at_their_field(admin_client: Client) -> None:
    answer = admin_client.post("/keys/rules", {"members_may_mint": "on", "max_personal_days": "0"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["max_personal_days"]
