"""People."""

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from control_plane.accounts.models import Theme, User
from control_plane.accounts.selectors import user_by_email
from control_plane.accounts.services import user_create, user_password_set, user_preferences_set
from control_plane.audit.selectors import changes_of
from tests.builders.tenants import PASSWORD, SYSTEM, a_user

pytestmark = pytest.mark.django_db


def test_an_e_mail_is_the_same_person_in_any_case() -> None:
    user = a_user("Ada@Example.com")
    assert user_by_email("ADA@example.COM") == user
    assert authenticate(username="aDa@example.com", password=PASSWORD) == user
    with pytest.raises(ValidationError):
        a_user("ada@example.com")


def test_the_database_holds_e_mails_in_lower_case_only() -> None:
    user = a_user()
    with pytest.raises(DatabaseError), transaction.atomic():
        User.objects.filter(id=user.id).update(email="UPPER@example.com")


def test_a_weak_password_is_refused() -> None:
    with pytest.raises(ValidationError) as failure:
        user_create(email="ada@example.com", password="short", actor=SYSTEM)
    assert "password" in failure.value.message_dict


def test_the_audit_holds_no_password() -> None:
    user = a_user("ada@example.com")
    user_password_set(user=user, password="another correct horse", actor=SYSTEM)
    rows = [(row.action, str(row.before) + str(row.after)) for row in changes_of(None)]
    assert [action for action, _ in rows] == ["user.password_changed", "user.created"]
    assert not any("horse" in text or user.password in text for _, text in rows)


def test_preferences_change_only_what_is_named() -> None:
    user = a_user("ada@example.com", name="Ada")
    user_preferences_set(user=user, theme=Theme.DARK, actor=SYSTEM)
    fresh = User.objects.get(id=user.id)
    assert (fresh.name, fresh.theme, fresh.time_zone) == ("Ada", Theme.DARK, "UTC")
    with pytest.raises(ValidationError):
        user_preferences_set(user=user, time_zone="Mars/Olympus", actor=SYSTEM)
