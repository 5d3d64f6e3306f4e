"""Identifiers where there is no room: both ends stay, the whole is on hover and can be copied."""

from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from control_plane.web.identifiers import MOST, middle_cut
from tests.builders.tenants import Tenant
from tests.control_plane.usage.events import an_event
from tests.control_plane.web.test_traffic import booked


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("short", 24, "short"),
        ("x" * 24, 24, "x" * 24),
        ("0197f3c2-44bd-7a31-9c5e-55f1a22e61fa", 24, "0197f3c2-44b…5f1a22e61fa"),
        ("abcdefghij", 5, "ab…ij"),
        ("abcdefghij", 2, "a…"),
    ],
)
def test_the_middle_is_left_out(text: str, most: int, cut: str) -> None:
    assert middle_cut(text, most) == cut


def test_ids_that_begin_alike_are_told_apart() -> None:
    begins = "session-of-the-nightly-build-2026-11-22-"
    assert middle_cut(f"{begins}0001") != middle_cut(f"{begins}0002")


@pytest.mark.django_db
def test_lists_show_both_ends_of_a_session_and_let_it_be_copied(admin_client: Client, tenant: Tenant) -> None:
    name = f"session-of-the-nightly-build-{uuid4().hex}"
    booked(tenant, an_event(1, at=timezone.now(), session_id=name, principal_id=tenant.admin.id.hex))
    text = admin_client.get("/my/usage").content.decode()
    assert f'title="{name}"' in text
    assert middle_cut(name, MOST) in text
    assert f'data-copy="{name}"' in text
