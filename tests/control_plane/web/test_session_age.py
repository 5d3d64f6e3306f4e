"""A console session ends when it is left alone, and after a working day at the latest."""

import pytest
from django.conf import settings
from django.test import Client

from control_plane.project.celery import app
from control_plane.web.session_age import BEGAN, IDLE_S, SEEN


def age(client: Client, *, began_s: int = 0, seen_s: int = 0) -> None:
    """Make the session older."""
    session = client.session
    session[BEGAN] -= began_s
    session[SEEN] -= seen_s
    session.save()


@pytest.mark.parametrize(
    ("began_s", "seen_s", "status"),
    [(3600, IDLE_S - 60, 200), (3600, IDLE_S, 302), (settings.SESSION_COOKIE_AGE, 61, 302)],
)
def test_a_session_ends_by_idleness_and_by_age(admin_client: Client, began_s: int, seen_s: int, status: int) -> None:
    assert admin_client.get("/members").status_code == 200
    age(admin_client, began_s=began_s, seen_s=seen_s)

    assert admin_client.get("/members").status_code == status
    assert admin_client.get("/members").status_code == status


def test_using_the_console_keeps_a_session_and_a_page_that_refreshes_itself_does_not(admin_client: Client) -> None:
    admin_client.get("/members")
    age(admin_client, seen_s=600)
    before = admin_client.session[SEEN]
    admin_client.get("/members", headers={"HX-Request": "true"})
    assert admin_client.session[SEEN] == before

    admin_client.get("/members")
    assert admin_client.session[SEEN] > before


def test_the_clock_names_only_tasks_that_there_are() -> None:
    app.loader.import_default_modules()
    assert {str(job["task"]) for job in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)
    assert {"fleet: forget", "accounts: sessions"} <= set(settings.CELERY_BEAT_SCHEDULE)
