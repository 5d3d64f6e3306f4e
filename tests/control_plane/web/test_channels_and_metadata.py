"""Alert channels and keys of metadata: added, changed, refused by field, and each organization's own."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.accounts.services import actor_of
from control_plane.alerts.findings import missing_note
from control_plane.alerts.models import AlertChannel, Delivery
from control_plane.alerts.services import ChannelFacts, channel_create, findings_dispatch
from control_plane.organizations.roles import Role
from control_plane.rules.metadata_keys import metadata_key_create
from control_plane.rules.models import MetadataKey
from control_plane.usage.models import MissingEvents
from tests.builders.tenants import Tenant, a_person_of_role
from tests.control_plane.rules.bad_rules import BAD_RULES, Bad
from tests.control_plane.web.conftest import SignIn

BAD_KEYS = [bad for bad in BAD_RULES if bad.kind == "MetadataKey" and bad.field == "pattern"]


def a_channel(tenant: Tenant, name: str = "finance") -> AlertChannel:
    facts = ChannelFacts(name=name, addresses=("ai-spend@example.com",))
    return channel_create(
        organization=tenant.organization, type="email", facts=facts, actor=actor_of(tenant.admin)
    ).channel


def a_metadata_key(tenant: Tenant, name: str = "project") -> MetadataKey:
    spec = {"values": ["checkout"], "unknown": "other"}
    return metadata_key_create(organization=tenant.organization, name=name, spec=spec, actor=actor_of(tenant.admin))


def test_a_webhooks_secret_is_shown_once(admin_client: Client) -> None:
    # An address, so that no name server is asked.
    data = {"type": "webhook", "name": "pager", "url": "https://93.184.215.14/hook"}
    answer = admin_client.post(reverse("web:alert-channel-add"), data)
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    made = AlertChannel.objects.get(name="pager")
    assert secret not in admin_client.get(reverse("web:alert-channel", args=[made.id])).content.decode()


def test_a_channel_is_changed_tried_and_deleted(admin_client: Client, tenant: Tenant) -> None:
    channel = a_channel(tenant)
    where = reverse("web:alert-channel", args=[channel.id])
    data = {"name": "finance", "addresses": "cfo@example.com\nai-spend@example.com", "is_active": "on"}
    assert admin_client.post(where, data).status_code == 302
    channel.refresh_from_db()
    assert channel.addresses == ["cfo@example.com", "ai-spend@example.com"]
    admin_client.post(reverse("web:alert-channel-test", args=[channel.id]))
    assert Delivery.objects.filter(channel=channel).count() == 1
    assert "a test" in admin_client.get(where).content.decode()
    gone = reverse("web:alert-channel-delete", args=[channel.id])
    assert admin_client.post(gone, {"confirm": "no", "reason": "x"}).status_code == 422
    assert admin_client.post(gone, {"confirm": "finance", "reason": "x"}).status_code == 302
    assert not AlertChannel.objects.exists()


def test_a_channel_hears_of_more_than_budgets_and_says_what_it_was_told(admin_client: Client, tenant: Tenant) -> None:
    channel = a_channel(tenant)
    where = reverse("web:alert-channel", args=[channel.id])
    data = {"name": "finance", "addresses": "cfo@example.com", "is_active": "on", "hears": ["missing_usage"]}
    assert admin_client.post(where, data).status_code == 302
    channel.refresh_from_db()
    assert channel.hears == ["missing_usage"]
    now = timezone.now()
    MissingEvents.objects.create(pod_id="pod-3", boot_id=b"b", first=1, last=2, opened_at=now - timedelta(hours=1))
    missing_note(now=now)
    findings_dispatch(now=now)
    assert "Missing usage of pod-3" in admin_client.get(where).content.decode()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"type": "webhook", "name": "pager", "url": ""}, "url"),
        ({"type": "email", "name": "team_lead", "addresses": "a@example.com"}, "name"),
        ({"type": "email", "name": "Not Plain", "addresses": "a@example.com"}, "name"),
        ({"type": "email", "name": "nobody", "addresses": ""}, "addresses"),
    ],
)
def test_a_bad_channel_is_refused_by_field(data: dict[str, str], field: str, admin_client: Client) -> None:
    answer = admin_client.post(reverse("web:alert-channel-add"), data)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors


def test_a_key_of_metadata_is_added_changed_and_deleted(admin_client: Client) -> None:
    data = {"name": "project", "values": "checkout\nsearch", "unknown": "refuse", "is_required": "on"}
    assert admin_client.post(reverse("web:metadata-key-add"), data).status_code == 302
    made = MetadataKey.objects.get()
    assert (made.values, made.unknown, made.is_required) == (["checkout", "search"], "refuse", True)
    where = reverse("web:metadata-key", args=[made.id])
    assert admin_client.post(where, {"values": "", "pattern": "[a-z]+", "unknown": "other"}).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.values, made.pattern, made.unknown) == ("project", [], "[a-z]+", "other")
    gone = reverse("web:metadata-key-delete", args=[made.id])
    assert admin_client.post(gone, {"confirm": "project", "reason": "x"}).status_code == 302
    assert not MetadataKey.objects.exists()


@pytest.mark.parametrize("bad", BAD_KEYS, ids=lambda bad: bad.id)
def test_a_bad_pattern_is_refused_beside_its_field(bad: Bad, admin_client: Client) -> None:
    data = {"name": "project", "unknown": "refuse", "pattern": bad.spec["pattern"]}
    answer = admin_client.post(reverse("web:metadata-key-add"), data)
    assert answer.status_code == 422
    assert any(bad.says in text for text in answer.context["form"].errors["pattern"])


def test_another_organizations_are_not_there(admin_client: Client, other: Tenant) -> None:
    channel, key = a_channel(other, "foreign"), a_metadata_key(other, "foreign")
    for name, row_id in (
        ("alert-channel", channel.id),
        ("alert-channel-delete", channel.id),
        ("metadata-key", key.id),
        ("metadata-key-delete", key.id),
    ):
        where = reverse(f"web:{name}", args=[row_id])
        assert admin_client.get(where).status_code == admin_client.post(where, {"name": "x"}).status_code == 404
    assert admin_client.post(reverse("web:alert-channel-test", args=[channel.id])).status_code == 404
    for where in ("/rules/channels", "/rules/metadata-keys"):
        assert "foreign" not in admin_client.get(where).content.decode()


def test_an_auditor_reads_and_changes_nothing(tenant: Tenant, sign_in: SignIn) -> None:
    channel, key = a_channel(tenant), a_metadata_key(tenant)
    client = sign_in(a_person_of_role(tenant, Role.AUDITOR))
    where = reverse("web:alert-channel", args=[channel.id])
    assert client.get(where).status_code == 200
    assert "Save channel" not in client.get(where).content.decode()
    assert client.post(where, {"name": "x"}).status_code == 404
    assert client.get("/rules/metadata-keys").status_code == 200
    assert client.get(reverse("web:metadata-key", args=[key.id])).status_code == 404
