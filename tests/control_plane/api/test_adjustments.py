"""Corrections of money over REST."""

import pytest

from tests.control_plane.api.world import Tenant

ADDRESS = "/api/v1/adjustments"


def test_a_credit_is_booked_once_and_listed(acme: Tenant) -> None:
    body = {"amount_usd": "-12.50", "note": "Credit of the vendor.", "team": "Platform", "user": acme.member.email}
    made = acme.as_admin.post(ADDRESS, body, format="json", headers={"Idempotency-Key": "credit-1"})
    again = acme.as_admin.post(ADDRESS, body, format="json", headers={"Idempotency-Key": "credit-1"})

    assert (made.status_code, again.json()) == (201, made.json())
    assert made.json()["amount_usd"] == "-12.500000000"
    assert made.json()["principal_id"] == acme.member.id.hex
    listed = acme.as_admin.get(ADDRESS).json()["results"]
    assert [row["id"] for row in listed] == [made.json()["id"]]
    assert acme.as_admin.get(f"{ADDRESS}/{made.json()['id']}").json() == made.json()
    assert acme.as_admin.get(f"{ADDRESS}?until=2020-01-01T00:00:00Z").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount_usd": "1_000", "note": "x"}, "amount_usd"),
        ({"amount_usd": "1e3", "note": "x"}, "amount_usd"),
        ({"amount_usd": "0", "note": "x"}, "amount_usd"),
        ({"amount_usd": "5"}, "note"),
        ({"amount_usd": "5", "note": "x", "team": "Nobody"}, "team"),
        ({"amount_usd": "5", "note": "x", "counts_at": "2999-01-01T00:00:00Z"}, "counts_at"),
    ],
)
def test_what_is_wrong_is_told_by_field(acme: Tenant, body: dict[str, str], field: str) -> None:
    refused = acme.as_admin.post(ADDRESS, body, format="json")

    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_a_member_books_none(acme: Tenant) -> None:
    assert acme.as_member.post(ADDRESS, {"amount_usd": "5", "note": "x"}, format="json").status_code == 403
