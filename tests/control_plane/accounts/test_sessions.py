"""Where a person is signed in."""

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from control_plane.accounts.models import ConsoleSession, User
from control_plane.accounts.selectors import sessions_of
from control_plane.accounts.services import (
    SessionOrigin,
    session_begin,
    session_end,
    sessions_end,
    sessions_forget_ended,
    user_activity_set,
)
from tests.builders.tenants import SYSTEM, a_user

pytestmark = pytest.mark.django_db


def a_session(user: User, method: str = "password") -> str:
    store = SessionStore()
    store.create()
    assert store.session_key is not None
    session_begin(user=user, session_key=store.session_key, method=method, origin=SessionOrigin("192.0.2.7", "Firefox"))
    return store.session_key


def test_a_person_sees_their_own_sessions_the_present_one_first() -> None:
    user = a_user()
    here, there = a_session(user), a_session(user, "Okta")
    a_session(a_user("other@example.com"))
    rows = sessions_of(user, this_key=here)
    assert [(row.method, row.is_this_one) for row in rows] == [("password", True), ("Okta", False)]
    Session.objects.filter(session_key=there).delete()
    assert [row.is_this_one for row in sessions_of(user, this_key=here)] == [True]


def test_one_session_is_ended_by_its_owner_alone() -> None:
    user, other = a_user(), a_user("other@example.com")
    key = a_session(user)
    (row,) = sessions_of(user, this_key=None)
    assert not session_end(user=other, session_id=row.id, actor=SYSTEM)
    assert session_end(user=user, session_id=row.id, actor=SYSTEM)
    assert not Session.objects.filter(session_key=key).exists()


def test_all_sessions_end_besides_the_present_one() -> None:
    user = a_user()
    here = a_session(user)
    a_session(user)
    a_session(user)
    assert sessions_end(user=user, keeps=here, actor=SYSTEM) == 2
    assert [row.is_this_one for row in sessions_of(user, this_key=here)] == [True]


def test_a_session_of_somebody_shut_out_does_not_come_back_to_life() -> None:
    user = a_user()
    key = a_session(user)
    user_activity_set(user=user, is_active=False, actor=SYSTEM)
    user_activity_set(user=user, is_active=True, actor=SYSTEM)
    assert not Session.objects.filter(session_key=key).exists()


def test_notes_of_ended_sessions_are_forgotten() -> None:
    user = a_user()
    kept, gone = a_session(user), a_session(user)
    Session.objects.filter(session_key=gone).delete()
    assert sessions_forget_ended() == 1
    assert ConsoleSession.objects.get().session_key == kept
