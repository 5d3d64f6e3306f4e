"""Usage, exchanges and sessions over REST."""

import csv
from datetime import datetime
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from control_plane.catalog.models import ListPrice
from tests.control_plane.api.world import Tenant, book_usage
from tests.control_plane.usage.books import put_and_book
from tests.control_plane.usage.events import a_batch, an_event

FIELDS = {
    *("id", "started_at", "status", "client", "protocol", "requested_model", "provider", "model", "session", "user"),
    *("team", "key", "metadata", "tokens", "cost_nano_usd", "cost_usd", "price_version", "kind", "attempts"),
    *("first_token_ms", "duration_ms", "gateway_ms", "reason"),
}
TOKENS = [
    *("input_fresh", "input_tool", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_30m"),
    *("cache_write_12h", "cache_write_other", "output", "reasoning"),
]


def get(tenant: Tenant, address: str, **headers: str) -> Any:
    return tenant.as_admin.get(f"/api/v1/{address}", headers=headers)


def test_a_row_of_exchanges_has_the_promised_fields(acme: Tenant) -> None:
    ids = book_usage(acme)

    rows = {row["id"]: row for row in get(acme, "exchanges").json()["results"]}

    row = rows[ids["newest own"]]
    assert row.keys() >= FIELDS
    assert list(row["tokens"]) == TOKENS
    assert (row["user"], row["team"], row["key"]) == (acme.member.email, "Platform", acme.member_key.key_id)
    assert (row["cost_nano_usd"], row["cost_usd"]) == (3_000_000, "0.003000000")
    assert (row["status"], row["kind"], row["attempts"], row["reason"]) == (200, "final", 1, "")
    assert row["metadata"] == {"environment": "dev", "repository": "switchyard"}
    assert (row["first_token_ms"], row["duration_ms"], row["gateway_ms"]) == (400.0, 2000.0, 0.9)
    refused = rows[ids["refused"]]
    assert (refused["status"], refused["attempts"], refused["reason"]) == (403, 0, "model_not_allowed")
    assert refused["first_token_ms"] is None
    account = rows[ids["account"]]
    assert (account["user"], account["service_account"]) == (None, "ci")


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("", 5),
        ("status=403", 1),
        ("status=2xx", 4),
        ("outcome=refused", 1),
        ("provider=(none)", 1),
        ("team=(none)", 0),
        ("reason=model_not_allowed", 1),
        ("user=member@acme.example", 4),
        ("user=ci", 1),
        ("team=Platform", 5),
        ("team=Research", 0),
        ("provider=anthropic-main", 4),
        ("session=ci-run", 1),
        ("model=sonnet", 5),
        ("model=claude-sonnet-4-6&client=curl", 1),
        ("kind=estimated", 0),
        ("to=2020-01-01", 0),
        ("from=2020-01-01&to=2020-02-01", 0),
    ],
)
def test_exchanges_are_found_by_what_is_asked(question: str, count: int, acme: Tenant) -> None:
    book_usage(acme)

    assert len(get(acme, f"exchanges?{question}").json()["results"]) == count


@pytest.mark.parametrize("question", ["status=abc", "from=yesterday", "cursor=%F0", "limit=x", "timezone=Mars"])
def test_what_cannot_be_asked_is_named(question: str, acme: Tenant) -> None:
    response = get(acme, f"exchanges?{question}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == question.split("=")[0]


def test_exchanges_are_paged_newest_first(acme: Tenant) -> None:
    book_usage(acme)
    ids: list[str] = []
    address: str | None = "/api/v1/exchanges?limit=2"
    while address:
        page = acme.as_admin.get(address).json()
        ids += [row["id"] for row in page["results"]]
        address = page["next"]

    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(set(ids)) == 5


def test_an_exchange_shows_its_attempts_and_the_sum_behind_its_cost(acme: Tenant) -> None:
    price = ListPrice.objects.create(
        version="list:v1",
        vendor="anthropic",
        model="claude-sonnet-4-6",
        rates={"input": 3_000_000_000, "cache_read": 300_000_000, "output": 15_000_000_000},
        source="https://example.org/prices",
    )
    # 100 * 3 + 1,000 * 0.30 + 50 * 15 dollars per million = 0.001350000 dollars.
    event = an_event(
        1,
        organization_id=acme.organization.id.hex,
        key_id=acme.member_key.key_id,
        principal_id=acme.member.id.hex,
        price_version=price.version,
        cost_nano_usd=1_350_000,
        error_text="overloaded",
    )
    put_and_book(a_batch([event]))

    shown = get(acme, f"exchanges/{event.exchange_id}").json()

    (attempt,) = shown["attempt_list"]
    assert shown["policy_version"] == "1.3"
    assert (attempt["upstream_status"], attempt["error_text"]) == (200, "overloaded")
    assert attempt["cost"]["lines"] == [
        {
            "kind": "input_fresh",
            "tokens": 100,
            "rate_nano_usd_per_million": 3_000_000_000,
            "exact_nano_usd": "300000",
        },
        {
            "kind": "cache_read",
            "tokens": 1000,
            "rate_nano_usd_per_million": 300_000_000,
            "exact_nano_usd": "300000",
        },
        {"kind": "output", "tokens": 50, "rate_nano_usd_per_million": 15_000_000_000, "exact_nano_usd": "750000"},
    ]
    assert (attempt["cost"]["computed_nano_usd"], attempt["cost"]["agrees"]) == (1_350_000, True)


def test_a_key_shows_when_it_was_last_used(acme: Tenant) -> None:
    before = {key["id"]: key["last_used_at"] for key in get(acme, "keys").json()["results"]}
    ids = book_usage(acme)
    after = {key["id"]: key["last_used_at"] for key in get(acme, "keys").json()["results"]}

    assert set(before.values()) == {None}
    account = get(acme, f"exchanges/{ids['account']}").json()
    used_at = datetime.fromisoformat(after[acme.account_key.key_id])
    assert used_at == datetime.fromisoformat(account["started_at"])
    shown = get(acme, f"keys/{acme.account_key.key_id}").json()
    assert shown["last_used_at"] == after[acme.account_key.key_id]


def test_usage_sums_what_the_exchanges_say(acme: Tenant) -> None:
    book_usage(acme)

    usage = get(acme, "usage?group_by=user,model&interval=total").json()

    assert usage["total"]["requests"] == 5
    assert usage["total"]["cost_usd"] == "0.012000000"
    assert (usage["total"]["refusals"], usage["total"]["errors"]) == (1, 0)
    assert usage["total"]["cache_read_share"] == round(4000 / 4400, 6)
    by_user = {point["group"]["user"]: point for point in usage["series"]}
    assert by_user["ci"]["cost_nano_usd"] == 3_000_000
    assert by_user[acme.member.email]["group"]["model"] == "claude-sonnet-4-6"
    duration = usage["total"]["latency"]["duration"]
    assert 1000 <= duration["p50_ms"] <= 4000
    # Of four answers the 99 % are nothing but the slowest one.
    assert (duration["observations"], duration["p90_ms"], duration["p99_ms"]) == (4, None, None)
    nowhere = get(acme, "usage?provider=(none)&group_by=requested_model&interval=total").json()
    assert [point["group"] for point in nowhere["series"]] == [{"requested_model": "sonnet"}]
    assert (nowhere["total"]["requests"], nowhere["total"]["refusals"]) == (1, 1)


@pytest.mark.parametrize(
    "grouping",
    [
        *("user", "team", "key", "provider", "model", "requested_model", "client", "protocol", "outcome", "status"),
        *("session", "metadata.environment", "metadata.repository", "session,model"),
    ],
)
def test_each_grouping_sums_to_the_whole(grouping: str, acme: Tenant) -> None:
    book_usage(acme)

    usage = get(acme, f"usage?group_by={grouping}").json()

    assert sum(point["requests"] for point in usage["series"]) == 5
    assert sum(point["cost_nano_usd"] for point in usage["series"]) == 12_000_000
    assert all(set(grouping.split(",")) <= point["group"].keys() for point in usage["series"])


@pytest.mark.parametrize(
    "question", ["group_by=planet", "interval=century", "from=2026-01-02&to=2026-01-01", "group_by=user,user"]
)
def test_a_question_that_makes_no_sense_is_refused(question: str, acme: Tenant) -> None:
    assert get(acme, f"usage?{question}").status_code == 400


def test_sessions_cannot_be_asked_for_over_years(acme: Tenant) -> None:
    response = get(acme, "usage?group_by=session&from=2020-01-01")

    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "group_by")


def test_usage_as_csv_is_streamed(acme: Tenant) -> None:
    book_usage(acme)
    put_and_book(
        a_batch(
            [an_event(77, organization_id=acme.organization.id.hex, client="=HYPERLINK(1)", key_id="x")],
            first_sequence=99,
        )
    )

    response = get(acme, "usage?group_by=client&interval=total&from=2026-11-01&to=2036-01-01", Accept="text/csv")

    assert response.streaming
    assert response["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))
    assert {row["client"]: row["cost_usd"] for row in rows} == {
        "claude-code": "0.009000000",
        "curl": "0.003000000",
        "'=HYPERLINK(1)": "0.003000000",
    }
    as_json = get(acme, "usage?interval=century", Accept="text/csv")
    assert (as_json.status_code, as_json["Content-Type"]) == (400, "application/problem+json")


def test_sessions_are_listed_and_shown_with_their_curve(acme: Tenant) -> None:
    book_usage(acme)
    parent: dict[str, Any] = {"organization_id": acme.organization.id.hex, "key_id": acme.member_key.key_id}
    put_and_book(
        a_batch(
            [an_event(50, session_id="sub", parent_session_id="session-1", **parent)],
            first_sequence=99,
        )
    )

    page = get(acme, "sessions?limit=1").json()
    names = [row["session"] for row in page["results"]]
    while page["next"]:
        page = acme.as_admin.get(page["next"]).json()
        names += [row["session"] for row in page["results"]]
    assert sorted(names) == ["ci-run", "session-1", "sub"]
    (session,) = get(acme, "sessions?session=session-1").json()["results"]
    shown = get(acme, f"sessions/{session['id']}").json()
    assert (shown["user"], shown["requests"], shown["cost_usd"]) == (acme.member.email, 4, "0.009000000")
    assert [child["session"] for child in shown["children"]] == ["sub"]
    assert [point["cost_nano_usd"] for point in shown["curve"]] == [3_000_000, 3_000_000, 3_000_000, 0]


def test_lists_of_usage_need_a_fixed_number_of_queries(
    acme: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    book_usage(acme)
    for number in range(30):
        put_and_book(
            a_batch(
                [an_event(500 + number, organization_id=acme.organization.id.hex, session_id=f"s{number}")],
                first_sequence=1000 + number,
            )
        )

    # Token and membership, then ids, rows, and names of users, accounts, departed and renamed people, teams and keys.
    with django_assert_max_num_queries(12):
        assert len(get(acme, "exchanges?limit=200").json()["results"]) > 5
    with django_assert_max_num_queries(10):
        assert len(get(acme, "sessions?limit=200").json()["results"]) > 5
