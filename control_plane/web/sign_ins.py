"""Begin and end a person's console session, and note further proofs in it."""

from django.contrib.auth import login
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from control_plane.accounts.models import ConsoleSession, User
from control_plane.accounts.services import SessionOrigin, actor_of, session_begin
from control_plane.identity.entry import SignIn, note_sign_in, sign_ins_of
from control_plane.identity.proofs import note_proof
from control_plane.identity.services import confirmation_record
from control_plane.organizations.models import Organization
from control_plane.web.session_age import BEGAN, SEEN

BACKEND = "django.contrib.auth.backends.ModelBackend"


def source_of(request: HttpRequest) -> str:
    """From where a request comes; behind trusted proxies whom they name (project.source_address)."""
    return str(request.META.get("REMOTE_ADDR", ""))


def begin_session(request: HttpRequest, user: User, sign_in: SignIn, *, words: str) -> None:
    """Sign a person in, or add another proof to the session of the same person. The session gets a new key.

    words: how they proved who they are, for their list of sessions.
    """
    is_same_person = request.user.is_authenticated and request.user.pk == user.pk
    earlier = sign_ins_of(request.session) if is_same_person else ()
    old_key = request.session.session_key
    login(request, user, backend=BACKEND)
    # Django gives a new key to strangers only; a key somebody knew before this proof must not carry it.
    request.session.cycle_key()
    note_sign_in(request.session, sign_in, earlier=earlier)
    note_proof(request.session, sign_in, at_s=int(timezone.now().timestamp()))
    for name in (BEGAN, SEEN):
        request.session.pop(name, None)
    request.session.save()
    if old_key is not None:
        ConsoleSession.objects.filter(session_key=old_key).delete()
    assert request.session.session_key is not None
    session_begin(
        user=user,
        session_key=request.session.session_key,
        method=words,
        origin=SessionOrigin(source_of(request), request.headers.get("user-agent", "")),
    )


def confirm_session(
    request: HttpRequest, user: User, sign_in: SignIn, *, organization: Organization, words: str
) -> None:
    """Note that the person of this session proved once more who they are. The session gets a new key."""
    old_key = request.session.session_key
    request.session.cycle_key()
    note_sign_in(request.session, sign_in, earlier=sign_ins_of(request.session))
    note_proof(request.session, sign_in, at_s=int(timezone.now().timestamp()))
    request.session.save()
    follow_key(request, old_key)
    actor = actor_of(user, source_address=source_of(request))
    confirmation_record(user=user, organization=organization, method=words, actor=actor)


def follow_key(request: HttpRequest, old_key: str | None) -> None:
    """Keep the note of a session whose key was changed."""
    if old_key is not None and request.session.session_key is not None:
        ConsoleSession.objects.filter(session_key=old_key).update(session_key=request.session.session_key)


def safe_target(request: HttpRequest, target: str | None = None) -> str:
    """Where to go next: only within this console."""
    wanted = target if target is not None else request.POST.get("next") or request.GET.get("next") or ""
    if wanted and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("web:overview")
