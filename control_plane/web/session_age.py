"""Ends a console session that was left alone, or that has lasted for a working day."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from control_plane.identity.proofs import note_beginning
from control_plane.web.request import is_fragment

IDLE_S: Final = 30 * 60
BEGAN = "session began"
SEEN = "session seen"
USE_IS_NOTED_EVERY_S: Final = 60

Answer = Callable[[HttpRequest], HttpResponse]


def session_age(get_response: Answer) -> Answer:
    """Sign a person out who did nothing for 30 minutes, or signed in 12 hours ago.

    Parts of a page that refresh themselves are no use of the session: a forgotten tab would keep it open for ever.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        # Callers with a token have no cookie, and need no look at the session.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            _judge(request)
        return get_response(request)

    return middleware


def _judge(request: HttpRequest) -> None:
    now_s = int(timezone.now().timestamp())
    began_s, seen_s = request.session.get(BEGAN), request.session.get(SEEN)
    if began_s is None or seen_s is None:
        request.session[BEGAN] = request.session[SEEN] = now_s
        note_beginning(request.session, at_s=now_s)
    elif now_s - began_s >= settings.SESSION_COOKIE_AGE or now_s - seen_s >= IDLE_S:
        logout(request)
    elif now_s - seen_s >= USE_IS_NOTED_EVERY_S and not (request.method == "GET" and is_fragment(request)):
        request.session[SEEN] = now_s
