"""People are told in time that a key ends, once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.utils import timezone

from control_plane.keys.models import KeyNotice, NoticeKind, VirtualKey
from control_plane.keys.services import Rotation, key_mint, key_revoke, key_rotate, key_update
from control_plane.keys.services.notices import notices_mail, notices_write
from tests.builders.tenants import Tenant, a_key, a_member, a_service_account, a_tenant

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def tenant(settings: object) -> Tenant:
    settings.EMAIL_HOST = "mail.example"  # type: ignore[attr-defined]
    return a_tenant()


def a_personal_key(tenant: Tenant, *, life: timedelta, made: datetime | None = None) -> VirtualKey:
    key = a_key(tenant, user=a_member(tenant), expires_at=timezone.now() + life).key
    VirtualKey.objects.filter(id=key.id).update(created_at=made or timezone.now() - timedelta(days=200))
    key.refresh_from_db()
    return key


def a_service_key(tenant: Tenant, *, days: int, age: timedelta) -> VirtualKey:
    key = key_mint(
        organization=tenant.organization,
        name="ci",
        actor=tenant.actor,
        service_account=a_service_account(tenant),
        rotation=Rotation(days, 7 * 86_400),
    ).key
    made = timezone.now() - age
    due = made + timedelta(days=days)
    VirtualKey.objects.filter(id=key.id).update(created_at=made, rotate_by=due, expires_at=due + 7 * DAY)
    key.refresh_from_db()
    return key


@pytest.mark.parametrize(
    ("left", "told"), [(20 * DAY, None), (13 * DAY, 14), (7 * DAY, 7), (3 * DAY, 7), (DAY / 2, 1), (-DAY, None)]
)
def test_the_most_pressing_warning_is_the_one_that_is_given(tenant: Tenant, left: timedelta, told: int | None) -> None:
    key = a_personal_key(tenant, life=DAY)
    VirtualKey.objects.filter(id=key.id).update(expires_at=timezone.now() + left)
    assert notices_write() == (0 if told is None else 1)
    assert [row.days_before for row in KeyNotice.objects.all()] == ([] if told is None else [told])


def test_nobody_is_told_twice_but_a_moved_end_is_told_anew(tenant: Tenant) -> None:
    key = a_personal_key(tenant, life=6 * DAY)
    assert (notices_write(), notices_mail()) == (1, 1)
    assert (notices_write(), notices_mail()) == (0, 0)
    key_update(key=key, actor=tenant.actor, expires_at=timezone.now() + 5 * DAY)
    assert (notices_write(), notices_mail()) == (1, 1)


def test_keys_made_for_an_hour_are_not_worth_a_word(tenant: Tenant) -> None:
    a_personal_key(tenant, life=timedelta(hours=1), made=timezone.now())
    a_personal_key(tenant, life=2 * DAY, made=timezone.now())
    assert notices_write() == 0


def test_dead_and_replaced_keys_end_in_peace(tenant: Tenant) -> None:
    key_revoke(key=a_personal_key(tenant, life=DAY), reason="", actor=tenant.actor)
    key_rotate(key=a_personal_key(tenant, life=DAY), grace_seconds=3600, actor=tenant.actor)
    successors = VirtualKey.objects.filter(rotated_from__isnull=False)
    assert notices_write() == 0
    assert successors.count() == 1


def test_whoever_owns_the_key_gets_the_mail(tenant: Tenant) -> None:
    key = a_personal_key(tenant, life=6 * DAY)
    notices_write()
    notices_mail()
    [message] = mail.outbox
    assert key.user is not None
    assert message.to == [key.user.email]
    assert f"the key {key.name} expires on" in message.subject
    assert f"/keys/{key.id}" in message.body


def test_the_lead_answers_for_service_keys_and_else_whoever_runs_the_organization(tenant: Tenant) -> None:
    key = a_service_key(tenant, days=90, age=85 * DAY)
    notices_write()
    [notice] = KeyNotice.objects.all()
    assert (notice.kind, notice.days_before, notice.recipients) == (NoticeKind.ROTATION_DUE, 7, [tenant.admin.email])
    lead = a_member(tenant)
    tenant.team.lead = lead
    tenant.team.save()
    VirtualKey.objects.filter(id=key.id).update(rotate_by=timezone.now() - DAY / 24)
    notices_write()
    overdue = KeyNotice.objects.order_by("-created_at").first()
    assert overdue is not None
    assert (overdue.days_before, overdue.recipients) == (0, [lead.email])
    notices_mail()
    assert any("overdue since" in message.body for message in mail.outbox)


def test_several_keys_of_one_person_come_in_one_mail(tenant: Tenant) -> None:
    person = a_member(tenant)
    for _ in range(3):
        key = a_key(tenant, user=person, expires_at=timezone.now() + 6 * DAY).key
        VirtualKey.objects.filter(id=key.id).update(created_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert (notices_write(), notices_mail()) == (3, 1)
    assert mail.outbox[0].subject == "Switchyard: 3 keys end soon"


def test_a_mail_that_failed_is_tried_again_and_says_why(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    a_personal_key(tenant, life=6 * DAY)
    notices_write()

    def refuse(*_: object) -> int:
        raise ConnectionRefusedError("nobody there")

    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        assert notices_mail() == 0
    [notice] = KeyNotice.objects.all()
    assert (notice.mailed_at, notice.failure) == (None, "ConnectionRefusedError")
    assert notices_mail() == 1
    notice.refresh_from_db()
    assert notice.failure == ""


def test_without_a_mail_server_notices_wait_in_the_console(tenant: Tenant, settings: object) -> None:
    settings.EMAIL_HOST = ""  # type: ignore[attr-defined]
    a_personal_key(tenant, life=6 * DAY)
    assert (notices_write(), notices_mail()) == (1, 0)
    assert not mail.outbox
