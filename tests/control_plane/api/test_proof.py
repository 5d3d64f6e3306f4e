"""What hands out power, over REST: a console session must have proved lately who it is; a token is its own proof."""

import pytest
from django.test import Client
from django.urls import get_resolver

from control_plane.identity.proofs import FRESH_S, PROOFS
from control_plane.keys.models import AdminToken, VirtualKey
from control_plane.project import api_urls
from control_plane.rest.permissions import rights_declared
from tests.control_plane.api.world import PASSWORD, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def stale(acme: Tenant) -> Client:
    """An admin's console session, half an hour after its sign-in."""
    client = Client()
    client.post("/sign-in", {"email": acme.admin.email, "password": PASSWORD})
    assert client.get("/api/v1/keys").status_code == 200
    session = client.session
    session[PROOFS] = {way: at_s - FRESH_S for way, at_s in session[PROOFS].items()}
    session.save()
    return client


def test_a_stale_session_is_told_what_to_do_and_nothing_happens(acme: Tenant, stale: Client) -> None:
    before = (AdminToken.objects.count(), VirtualKey.objects.count())
    for where, body in (
        ("/api/v1/admin-tokens", {"name": "ci"}),
        ("/api/v1/scim-tokens", {"name": "okta"}),
        ("/api/v1/providers", {"name": "p"}),
        ("/api/v1/identity-connections", {"name": "Okta"}),
        ("/api/v1/memberships", {}),
        ("/api/v1/keys", {"name": "for another", "owner": {"user": acme.member.email}}),
    ):
        answer = stale.post(where, body, content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json"), where
        said = answer.json()
        assert (said["code"], said["confirm_at"]) == ("reauthentication_required", "/confirm"), where
    assert (AdminToken.objects.count(), VirtualKey.objects.count()) == before


def test_after_confirming_it_is_done_and_reading_never_asks(acme: Tenant, stale: Client) -> None:
    for where in ("/api/v1/providers", "/api/v1/memberships", "/api/v1/admin-tokens"):
        assert stale.get(where).status_code == 200
    own = stale.post("/api/v1/keys", {"name": "my own"}, content_type="application/json")
    assert own.status_code == 201, own.content
    assert stale.post("/confirm", {"password": PASSWORD}).status_code == 302
    answer = stale.post("/api/v1/admin-tokens", {"name": "ci"}, content_type="application/json")
    assert answer.status_code == 201, answer.content


def test_a_token_is_not_asked(acme: Tenant) -> None:
    assert acme.as_admin.post("/api/v1/admin-tokens", {"name": "ci"}, format="json").status_code == 201


def test_every_action_that_asks_is_one_that_there_is() -> None:
    views = {
        getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        for pattern in get_resolver(api_urls).url_patterns
        if hasattr(pattern, "callback")
    }
    asking = [view for view in views if getattr(view, "asks_proof", ())]
    for view in asking:
        assert set(view.asks_proof) <= set(rights_declared(view)), view
    assert all(hasattr(view, "rights") for view in asking)
