"""Usage and exchanges as CSV that is written as it is read; pages of usage by position; labels, bounds, pseudonyms."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from control_plane.keys.models import VirtualKey
from control_plane.usage import labels
from control_plane.usage.labels import LabelBounds
from control_plane.usage.selectors import series
from control_plane.usage.selectors.tags import tag_bounds
from tests.builders.tenants import Tenant, a_member, a_tenant
from tests.control_plane.usage.books import book, put
from tests.control_plane.usage.events import NOW, a_batch, an_event

pytestmark = pytest.mark.django_db
RANGE = "from=2026-11-20T00:00:00Z&to=2026-11-22T00:00:00Z"


@pytest.fixture
def tenant(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    monkeypatch.setattr("control_plane.usage.aggregation._LABEL_BOUNDS", LabelBounds(keys=2, values=3))
    labels.forget_known()
    made = a_tenant()
    put(
        a_batch(
            [
                an_event(
                    number,
                    organization_id=made.organization.id.hex,
                    model=f"m{number % 7}",
                    cost_nano_usd=1_000_000 * (number % 4),
                    tags={},
                    request_tags={"repository": f"r{number % 5}", "ticket": f"t{number}"} if number % 2 else {},
                )
                for number in range(40)
            ]
        )
    )
    book(NOW)
    yield made
    labels.forget_known()


@pytest.fixture
def client(tenant: Tenant) -> APIClient:
    client = APIClient()
    client.force_login(tenant.admin)
    return client


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_pages_go_on_where_the_last_one_ended(client: APIClient) -> None:
    whole = client.get(f"/api/v1/usage?{RANGE}&group_by=model&interval=day").json()
    found, address = [], f"/api/v1/usage?{RANGE}&group_by=model&interval=day&limit=3"
    while address:
        page = client.get(address).json()
        assert page["total"] == whole["total"]
        found += page["series"]
        address = page["next"]

    assert found == whole["series"]
    assert len(found) == 7


@pytest.mark.parametrize("cursor", ["WzEsMl0=", "e30=", "WyIyMDI2IiwgImEiXQ=="])
def test_a_cursor_that_is_not_ours_is_refused(client: APIClient, cursor: str) -> None:
    assert client.get(f"/api/v1/usage?{RANGE}&group_by=model&cursor={cursor}").status_code == 400


def test_usage_streams_every_point(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "CHUNK", 2)
    answer = client.get(f"/api/v1/usage?{RANGE}&group_by=model&interval=hour", headers={"accept": "text/csv"})

    assert answer.streaming
    rows = rows_of(answer)
    assert sum(int(row["requests"]) for row in rows) == 40
    assert rows[0]["first_token_p50_ms"]


def test_exchanges_stream_every_row(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.usage.api.exchanges.CSV_PAGE", 7)
    rows = rows_of(client.get(f"/api/v1/exchanges?{RANGE}&format=csv"))

    assert len({row["id"] for row in rows}) == 40
    assert rows[0]["cost_usd"].count(".") == 1


def test_a_minute_is_a_point(client: APIClient) -> None:
    told = client.get("/api/v1/usage?from=2026-11-21T12:00:00Z&to=2026-11-21T13:00:00Z&interval=minute").json()

    (point,) = told["series"]
    assert point["start"] == "2026-11-21T12:30:00+00:00"
    assert point["latency"]["inter_token"]["p50_ms"] is not None


def test_tags_beyond_the_bound_are_counted_together_and_that_is_told(client: APIClient, tenant: Tenant) -> None:
    told = client.get(f"/api/v1/usage?{RANGE}&group_by=metadata.ticket&interval=total").json()

    requests = {point["group"]["metadata.ticket"]: point["requests"] for point in told["series"]}
    assert (requests["(other)"], requests[""], sum(requests.values())) == (17, 20, 40)
    assert told["total"]["requests"] == 40
    (bound,) = told["bounds"]
    assert (bound["label"], bound["values"], bound["rows_in_other"]) == ("metadata.ticket", 3, 17)
    assert {each.key for each in tag_bounds(tenant.organization.id)} == {"repository", "ticket"}


def test_the_range_before_is_told_when_asked_for(client: APIClient) -> None:
    told = client.get(
        "/api/v1/usage?from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z&interval=total&compare=previous"
    ).json()

    assert (told["total"]["requests"], told["previous_total"]["requests"]) == (0, 40)


def test_who_has_left_is_renamed_over_rest_and_on_the_page(client: APIClient, tenant: Tenant) -> None:
    person = a_member(tenant)
    VirtualKey.objects.filter(user=person).delete()
    address, given = "/api/v1/pseudonyms", {"user": person.email, "confirm": person.email}
    assert client.post(address, given, format="json").status_code == 400
    put(
        a_batch(
            [
                an_event(
                    99, organization_id=tenant.organization.id.hex, principal_id=person.id.hex, key_id="Gone00000001"
                )
            ],
            first_sequence=900,
        )
    )
    book(NOW)
    person.memberships.all().delete()
    VirtualKey.objects.create(
        organization=tenant.organization,
        user=person,
        team=tenant.team,
        key_id="Gone00000001",
        kind="sypat",
        name="gone",
        prefix="sypat_Gone",
        digest=b"0" * 32,
        pepper_version=1,
        revoked_at=NOW,
    )

    page = client.get("/records")
    assert person.email in page.content.decode()
    wrong = client.post(address, {**given, "confirm": "somebody"}, format="json")
    assert wrong.status_code == 400
    made = client.post(address, given, format="json")

    assert made.status_code == 201, made.content
    assert client.get(f"{address}/{made.json()['id']}").json() == made.json()
    page = client.get("/records").content.decode()
    assert person.email not in page
    assert made.json()["name"] in page
    assert client.get(f"/records/people/{person.id}/rename").status_code == 404
