"""Channels: what may be one, and what is kept of its secret."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from control_plane.alerts.channels.catalog import InvalidCatalog, all_channels, collect
from control_plane.alerts.channels.webhook import sign
from control_plane.alerts.models import AlertChannel
from control_plane.alerts.sealing import secret_of
from control_plane.alerts.services import ChannelFacts, channel_create, channel_delete, channel_update
from control_plane.audit.models import Change
from switchyard_contract.envelope import EnvelopeFailure
from tests.builders.tenants import Tenant
from tests.control_plane.alerts.world import STAGES, a_budget, a_mail_channel, a_webhook

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/hook"


def create(tenant: Tenant, type: str, **facts: Any) -> AlertChannel:
    return channel_create(
        organization=tenant.organization, type=type, facts=ChannelFacts(**facts), actor=tenant.actor
    ).channel


def test_every_file_of_the_folder_is_a_channel() -> None:
    assert list(all_channels()) == ["email", "webhook"]


def test_a_file_without_a_channel_and_a_type_twice_fail_loudly() -> None:
    with pytest.raises(InvalidCatalog, match=r"channels/pager\.py exports no CHANNEL"):
        collect((("pager", None),))
    with pytest.raises(InvalidCatalog, match="taken by another"):
        collect((("one", all_channels()["email"]), ("two", all_channels()["email"])))


def test_the_signature_is_that_of_the_docs() -> None:
    """The example of docs/how-to/alerts.md."""
    assert sign("sywhk_example", "1790000000", b'{"event":"channel.test"}') == (
        "v1=f642c8d50eac457bde44757f3692186dbc41616b6d99b65d2e5d3727ef347fe7"
    )


@pytest.mark.parametrize(
    ("type", "facts", "field"),
    [
        ("email", {"name": "finance"}, "addresses"),
        ("email", {"name": "finance", "addresses": ("nobody",)}, "addresses"),
        ("email", {"name": "finance", "addresses": ("a@b.example\nBcc: c@d.example",)}, "addresses"),
        ("email", {"name": "finance", "addresses": tuple(f"a{n}@b.example" for n in range(21))}, "addresses"),
        ("email", {"name": "finance", "addresses": ("a@b.example",), "url": URL}, "url"),
        ("email", {"name": "finance", "addresses": ("a@b.example",), "secret": "x" * 20}, "secret"),
        ("email", {"name": "Finance team", "addresses": ("a@b.example",)}, "name"),
        ("email", {"name": "team_lead", "addresses": ("a@b.example",)}, "name"),
        ("email", {"addresses": ("a@b.example",)}, "name"),
        ("webhook", {"name": "hook"}, "url"),
        ("webhook", {"name": "hook", "url": "http://169.254.169.254/latest"}, "url"),
        ("webhook", {"name": "hook", "url": "http://example.com/plain"}, "url"),
        ("webhook", {"name": "hook", "url": "ftp://example.com"}, "url"),
        ("webhook", {"name": "hook", "url": URL, "secret": "short"}, "secret"),
        ("webhook", {"name": "hook", "url": URL, "addresses": ("a@b.example",)}, "addresses"),
        ("pager", {"name": "pager"}, "type"),
    ],
)
def test_what_cannot_be_a_channel_is_refused_by_field(
    acme: Tenant, type: str, facts: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as failure:
        create(acme, type, **facts)

    assert list(failure.value.message_dict) == [field]
    assert AlertChannel.objects.count() == 0


def test_a_name_and_a_cost_centre_belong_to_one_channel(acme: Tenant, globex: Tenant) -> None:
    a_mail_channel(acme, cost_centre="CC-7")
    a_mail_channel(globex, cost_centre="CC-7")

    with pytest.raises(ValidationError) as failure:
        a_mail_channel(acme)
    assert list(failure.value.message_dict) == ["name"]
    with pytest.raises(ValidationError) as failure:
        a_mail_channel(acme, "second", cost_centre="CC-7")
    assert "go to the channel finance" in str(failure.value)


def test_a_webhook_without_a_secret_gets_one_that_is_told_once_and_kept_sealed(acme: Tenant) -> None:
    made = channel_create(
        organization=acme.organization, type="webhook", facts=ChannelFacts(name="hook", url=URL), actor=acme.actor
    )

    row = AlertChannel.objects.get()
    assert made.secret.startswith("sywhk_")
    assert secret_of(row) == made.secret
    assert made.secret.encode() not in bytes(row.sealed_ciphertext)
    assert made.secret not in repr(made)
    assert made.secret not in str(list(Change.objects.values()))


def test_a_new_secret_takes_the_place_of_the_old_one(acme: Tenant) -> None:
    channel = a_webhook(acme, URL)
    before = secret_of(channel)

    made = channel_update(channel=channel, facts=ChannelFacts(secret=""), actor=acme.actor)
    assert made.secret
    assert secret_of(AlertChannel.objects.get()) == made.secret != before
    unchanged = channel_update(channel=channel, facts=ChannelFacts(description="ops"), actor=acme.actor)

    assert unchanged.secret == ""
    assert secret_of(AlertChannel.objects.get()) == made.secret


def test_a_sealed_secret_fits_no_other_channel(acme: Tenant) -> None:
    first, second = a_webhook(acme, URL), a_webhook(acme, URL, "other")
    for name in ("sealed_key_version", "sealed_nonce", "sealed_ciphertext", "secret_version"):
        setattr(second, name, getattr(first, name))

    with pytest.raises(EnvelopeFailure):
        secret_of(second)


def test_a_channel_that_budgets_tell_keeps_its_name_and_its_place(acme: Tenant) -> None:
    channel = a_mail_channel(acme)
    a_budget(acme, stages=STAGES)

    with pytest.raises(ValidationError) as renamed:
        channel_update(channel=channel, facts=ChannelFacts(name="money"), actor=acme.actor)
    with pytest.raises(ValidationError) as deleted:
        channel_delete(channel=channel, actor=acme.actor)

    assert list(renamed.value.message_dict) == ["name"]
    assert "engineer-daily" in str(deleted.value)
    channel_update(channel=channel, facts=ChannelFacts(addresses=("money@acme.example",)), actor=acme.actor)
    assert AlertChannel.objects.get().addresses == ["money@acme.example"]


def test_changes_are_in_the_audit_without_secrets_and_without_what_a_query_carries(acme: Tenant) -> None:
    channel = a_webhook(acme, f"{URL}?token=abc", secret="a-secret-of-somebody")
    channel_update(channel=channel, facts=ChannelFacts(is_active=False), actor=acme.actor)
    channel_delete(channel=channel, actor=acme.actor)

    changes = Change.objects.filter(subject_kind="alert_channel").order_by("sequence")
    assert [change.action for change in changes] == [
        "alert_channel.created",
        "alert_channel.updated",
        "alert_channel.deleted",
    ]
    text = str(list(changes.values("before", "after")))
    assert "a-secret-of-somebody" not in text
    assert "token" not in text
