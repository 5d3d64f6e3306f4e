"""Probes, and the headers every page carries."""

import pytest
from django.db import OperationalError, connection
from django.test import Client


def test_alive_without_a_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_ready_with_a_database_and_not_without(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/readyz").status_code == 200

    def away() -> None:
        raise OperationalError("away")

    monkeypatch.setattr(connection, "cursor", away)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "unreachable")


def test_every_answer_carries_the_security_headers_with_a_nonce_of_its_own(client: Client) -> None:
    one, other = client.get("/healthz"), client.get("/healthz")
    policy = one.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert policy != other.headers["Content-Security-Policy"]
    assert one.headers["X-Content-Type-Options"] == "nosniff"
    assert one.headers["X-Frame-Options"] == "DENY"
