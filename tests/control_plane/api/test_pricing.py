"""Discounts, models without a price, list prices and repricings over REST."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.catalog.price_row import PriceDraft, PriceList
from control_plane.catalog.services import list_prices_load
from control_plane.snapshots.selectors import policy_rows
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.repricing import repricing_work, unfinished_repricings
from tests.control_plane.api.world import Tenant
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, an_event

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system("test")
LISTED = PriceDraft(
    "anthropic", "claude-x", {"input": 3_000_000_000, "output": 15_000_000_000}, source="a page", checked_on=None
)


def test_a_discount_is_set_told_to_pods_and_ended(acme: Tenant) -> None:
    owner = acme.as_owner
    made = owner.post("/api/v1/discounts", {"vendor": "anthropic", "per_mille": 850}, format="json")

    assert made.status_code == 201
    assert made.json()["per_mille"] == 850
    (told,) = policy_rows(acme.organization, timezone.now()).discounts
    assert told.version == made.json()["version"]
    assert Change.objects.filter(organization_id=acme.organization.id, action="discount.set").count() == 1
    assert owner.delete(f"/api/v1/discounts/{made.json()['id']}").status_code == 204
    assert owner.get("/api/v1/discounts").json()["results"] == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"per_mille": -1}, "per_mille"), ({"per_mille": 900, "model_glob": "a[b]"}, "model_glob"), ({}, "per_mille")],
)
def test_a_wrong_discount_is_refused_with_its_field(acme: Tenant, wrong: dict[str, Any], field: str) -> None:
    refused = acme.as_owner.post("/api/v1/discounts", wrong, format="json")

    assert refused.status_code == 400
    assert field in {each["field"] for each in refused.json()["errors"]}


def test_what_happens_without_a_price_is_chosen(acme: Tenant) -> None:
    assert acme.as_member.get("/api/v1/pricing-policy").json() == {"unknown_models": "dearest"}
    changed = acme.as_owner.put("/api/v1/pricing-policy", {"unknown_models": "refuse"}, format="json")

    assert changed.json() == {"unknown_models": "refuse"}
    assert policy_rows(acme.organization, timezone.now()).unknown_models == "refuse"
    assert acme.as_member.put("/api/v1/pricing-policy", {"unknown_models": "dearest"}, format="json").status_code == 403
    assert acme.as_owner.put("/api/v1/pricing-policy", {"unknown_models": "zero"}, format="json").status_code == 400


def test_list_prices_say_where_they_are_from_and_what_took_their_place(acme: Tenant) -> None:
    list_prices_load(actor=SYSTEM, book=PriceList((LISTED,), ()))
    dearer = PriceDraft("anthropic", "claude-x", {"input": 4_000_000_000, "output": 15_000_000_000}, source="a page")
    list_prices_load(actor=SYSTEM, book=PriceList((dearer,), ()))

    rows = acme.as_member.get("/api/v1/list-prices?model=claude-x").json()["results"]
    (load, first) = acme.as_member.get("/api/v1/price-loads").json()

    assert {row["version"]: row["superseded_at"] is None for row in rows} == {
        LISTED.version(): False,
        dearer.version(): True,
    }
    assert {(row["source"], row["set_by"]) for row in rows} == {("a page", "test")}
    assert (load["added"], load["superseded"]) == ([dearer.version()], [LISTED.version()])
    assert first["added"] == [LISTED.version()]


def test_a_window_is_repriced(acme: Tenant) -> None:
    list_prices_load(actor=SYSTEM, book=PriceList((LISTED,), ()))
    now = timezone.now()
    event = an_event(
        at=now - timedelta(hours=1),
        organization_id=acme.organization.id.hex,
        team_id=acme.team.id.hex,
        model="claude-x",
        price_note="dearest",
    )
    put(a_batch([event]))
    book_waiting(now=now, ledger_days=396)
    window = {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat(), "reason": "It has a price now."}
    owner = acme.as_owner
    assert [row["model"] for row in owner.get("/api/v1/unpriced-models").json()] == ["claude-x"]

    begun = owner.post("/api/v1/repricings", {**window, "teams": ["Platform"]}, format="json")
    assert (begun.status_code, begun.json()["state"]) == (202, "computing")
    (run_id,) = unfinished_repricings()
    repricing_work(run_id)
    address = f"/api/v1/repricings/{begun.json()['id']}"
    told = owner.get(address).json()
    # 1,100 * 3000 + 50 * 15000
    assert (told["state"], told["rows_changed"], told["new_nano_usd"]) == ("ready", 1, 4_050_000)
    assert told["by_team"] == [
        {"name": acme.team.id.hex, "rows": 1, "old_nano_usd": 3_000_000, "new_nano_usd": 4_050_000}
    ]

    assert owner.post(f"{address}/apply").json()["state"] == "applying"
    repricing_work(run_id)

    assert owner.get(address).json()["state"] == "done"
    exchange = owner.get(f"/api/v1/exchanges/{event.exchange_id}/explain").json()
    (cost,) = exchange["costs"]
    assert (cost["computed_nano_usd"], cost["agrees"], cost["note"]) == (4_050_000, True, "")
    assert owner.get("/api/v1/unpriced-models").json() == []


def test_repricing_is_for_those_who_see_to_prices_of_their_own_organization(acme: Tenant, globex: Tenant) -> None:
    now = timezone.now()
    window = {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat(), "reason": "Why."}
    assert acme.as_member.post("/api/v1/repricings", window, format="json").status_code == 403
    made = acme.as_owner.post("/api/v1/repricings", window, format="json").json()
    assert globex.as_owner.get(f"/api/v1/repricings/{made['id']}").status_code == 404
    assert globex.as_owner.post(f"/api/v1/repricings/{made['id']}/apply").status_code == 404
    assert acme.as_owner.post(f"/api/v1/repricings/{made['id']}/apply").status_code == 400
    assert acme.as_owner.post(f"/api/v1/repricings/{made['id']}/drop").json()["state"] == "dropped"
    foreign = {**window, "teams": [globex.team.id.hex]}
    assert acme.as_owner.post("/api/v1/repricings", foreign, format="json").status_code == 400
