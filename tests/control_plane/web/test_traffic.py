"""Pages of what goes through: live, errors, latency."""

from datetime import datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.usage.aggregation import book_waiting
from control_plane.web.names import Names
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant, a_provider
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.events import a_batch, a_refusal, an_event


def booked(tenant: Tenant, *events: usage_pb2.UsageEvent) -> None:
    for event in events:
        event.organization_id = tenant.organization.id.hex
    put(a_batch(events))
    assert book_waiting(now=timezone.now(), ledger_days=LEDGER_DAYS).quarantined == 0


def failed(number: int, at: datetime, **changes: Any) -> usage_pb2.UsageEvent:
    return an_event(
        number,
        at=at,
        outcome=usage_pb2.OUTCOME_FAILED,
        client_status=529,
        upstream_status=529,
        error_type="overloaded_error",
        error_text="Overloaded",
        **changes,
    )


def test_live_shows_the_newest_of_the_last_hour_with_what_the_last_minute_came_to(
    admin_client: Client, tenant: Tenant
) -> None:
    now = timezone.now()
    booked(
        tenant,
        an_event(1, at=now - timedelta(seconds=20)),
        failed(2, now - timedelta(seconds=10)),
        an_event(3, at=now - timedelta(minutes=30)),
        an_event(4, at=now - timedelta(hours=2)),
    )
    page = admin_client.get("/live")
    assert [one.first.outcome for one, _, _ in page.context["rows"]] == ["failed", "served", "served"]
    pulse = page.context["pulse"]
    assert (pulse.requests, pulse.troubled, pulse.refused, pulse.is_cut) == (2, 1, 0, False)
    assert pulse.cost_nano_usd == 6_000_000
    text = page.content.decode()
    assert 'hx-trigger="every 2s"' in text
    assert page.context["rows"][0][0].id in text


def test_live_is_narrowed_like_the_list_and_says_when_nothing_is_there(admin_client: Client, tenant: Tenant) -> None:
    assert "Nothing in the last hour" in admin_client.get("/live").content.decode()
    now = timezone.now()
    booked(tenant, an_event(1, at=now), failed(2, now))
    shown = admin_client.get("/live?outcome=failed").context["rows"]
    assert [one.first.outcome for one, _, _ in shown] == ["failed"]


def test_live_shows_members_their_own_and_nobody_another_tenants(
    member_client: Client, member: User, tenant: Tenant, other: Tenant
) -> None:
    now = timezone.now()
    booked(other, an_event(3, at=now, principal_id=member.id.hex))
    booked(tenant, an_event(1, at=now, principal_id=member.id.hex), an_event(2, at=now))
    shown = member_client.get("/live").context["rows"]
    assert [one.first.principal_id for one, _, _ in shown] == [member.id]
    assert "in_flight" not in member_client.get("/live").context


def test_latency_shows_each_part_over_time_and_by_model(admin_client: Client, tenant: Tenant) -> None:
    now = timezone.now()
    booked(
        tenant,
        *(an_event(number, at=now - timedelta(minutes=number), first_token_us=400_000) for number in range(1, 6)),
        an_event(9, at=now - timedelta(minutes=9), model="claude-opus-4-6", first_token_us=1_600_000),
    )
    page = admin_client.get("/latency?range=1h")
    assert [row.name for row in page.context["rows"]] == ["claude-sonnet-4-6", "claude-opus-4-6"]
    sonnet, opus = (row.parts[0][0] for row in page.context["rows"])
    assert sonnet is not None
    assert opus is not None
    assert 200_000 < sonnet < 600_000 < opus < 2_400_000
    first_token = page.context["charts"][0].chart
    assert first_token.step_s == 60
    assert sum(value is not None for value in first_token.lines[0].values) == 6
    lines = b"".join(admin_client.get("/latency?range=1h&format=csv").streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert lines[0].startswith("model,answers,first_token_counts_p50_us")
    assert len(lines) == 3


def test_latency_stands_beside_the_range_before(admin_client: Client, tenant: Tenant) -> None:
    now = timezone.now()
    booked(
        tenant,
        *(an_event(number, at=now - timedelta(minutes=number), first_token_us=800_000) for number in range(1, 4)),
        an_event(5, at=now - timedelta(minutes=5), model="claude-opus-4-6", first_token_us=400_000),
        *(an_event(number, at=now - timedelta(minutes=number), first_token_us=400_000) for number in range(61, 65)),
    )
    page = admin_client.get("/latency?range=1h")
    first_token = page.context["tiles"][0]
    assert first_token.p50 > 1.2 * first_token.p50_before
    assert first_token.change in page.content.decode()
    assert len(page.context["charts"][0].chart.lines) == 3

    page = admin_client.get("/latency?range=1h&compare=1")
    lines = page.context["charts"][0].chart.lines
    assert [line.is_dashed for line in lines] == [False, False, False, True, True]
    assert sum(value is not None for value in lines[3].values) == 4
    sonnet, opus = page.context["rows"]
    assert (sonnet.answers, sonnet.answers_before) == (3, 4)
    assert sonnet.titled[0][3].startswith("+")
    assert (opus.answers_before, opus.titled[0][3]) == (0, "–")
    csv = b"".join(admin_client.get("/latency?range=1h&compare=1&format=csv").streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert csv[0].endswith("gateway_counts_p50_us_before,gateway_counts_p95_us_before")
    assert {line.count(",") for line in csv} == {18}


def test_latency_says_when_there_was_no_answer(admin_client: Client) -> None:
    assert "No answer in this range" in admin_client.get("/latency").content.decode()


def test_errors_are_counted_by_cause_and_provider_and_refusals_by_reason(
    admin_client: Client, tenant: Tenant, other: Tenant
) -> None:
    now = timezone.now()
    provider = a_provider(tenant).id.hex
    booked(other, failed(90, now))
    booked(
        tenant,
        *(an_event(number, at=now, provider_id=provider) for number in range(1, 4)),
        failed(5, now, provider_id=provider),
        failed(6, now - timedelta(days=8), provider_id=provider),
        a_refusal(7, at=now, reason="model_not_allowed"),
    )
    page = admin_client.get("/errors")
    (row,) = page.context["failures"]
    assert (row.failure, row.provider_name, row.count, row.before, row.attempts) == (
        "overloaded",
        "anthropic-main",
        1,
        1,
        4,
    )
    assert row.share_per_mille == 250
    (refusal,) = page.context["refusals"]
    assert (refusal.reason, refusal.count) == ("model_not_allowed", 1)
    assert page.context["failed"].total == 1
    assert [series.label for series in page.context["refused"].series] == ["model not allowed"]
    lines = b"".join(admin_client.get("/errors?format=csv").streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert [line.split(",")[0] for line in lines] == ["what", "failed", "refused"]


def test_errors_and_latency_are_narrowed_by_a_name_and_nobody_is_nothing(admin_client: Client, tenant: Tenant) -> None:
    booked(tenant, failed(1, timezone.now(), provider_id=a_provider(tenant).id.hex))
    assert admin_client.get("/errors?provider=anthropic-main").context["failures"]
    assert not admin_client.get("/errors?provider=nobody").context["failures"]
    assert not admin_client.get("/latency?model=none").context["rows"]


def test_the_explorer_groups_by_anything_and_compares_with_the_range_before(
    admin_client: Client, tenant: Tenant
) -> None:
    now = timezone.now()
    booked(
        tenant,
        an_event(1, at=now, region="eu", request_tags={"repository": "switchyard"}),
        an_event(2, at=now, region="us", request_tags={"repository": "website"}, agent_id="sub-1"),
        an_event(3, at=now - timedelta(days=8), region="eu"),
    )
    page = admin_client.get("/spend?range=7d&by=region&compare=1")
    changes = {row.value: row.change for row in page.context["rows"]}
    assert changes["us"] == "new"
    assert changes["eu"].endswith("from $0.0030")
    assert page.context["chart"].total_before == 3_000_000
    assert "compare" in page.content.decode()
    by_repository = admin_client.get("/spend?range=7d&by=metadata.repository")
    assert {row.value for row in by_repository.context["rows"]} == {"switchyard", "website"}
    by_agent = admin_client.get("/spend?range=7d&by=agent").context["rows"]
    assert {row.value for row in by_agent} == {"main", "subagent"}
    assert admin_client.get("/spend?by=nothing-known").context["group"] == "model"
    saved = admin_client.get("/spend?metric=saved_cache_nano_usd")
    assert saved.context["chart"].unit == "money"


def test_a_range_that_no_sums_answer_is_shortened_and_said(admin_client: Client) -> None:
    answer = admin_client.get("/spend?by=rule&model=claude-x&range=days&from=2025-01-01&to=2025-12-31")
    assert answer.status_code == 302
    assert answer["location"].endswith("?by=rule&model=claude-x&range=90d")
    page = admin_client.get("/spend" + answer["location"])
    assert "can be asked for over 93 days at most. These are the last 90 days." in page.content.decode()


def test_shares_are_of_what_is_measured(admin_client: Client, tenant: Tenant) -> None:
    now = timezone.now()
    booked(
        tenant,
        *(an_event(number, at=now, model="many", cost_nano_usd=1_000_000) for number in (1, 2, 3)),
        an_event(4, at=now, model="dear", cost_nano_usd=9_000_000),
    )
    by_cost = admin_client.get("/spend?range=7d").context["rows"]
    assert [(row.value, row.percent) for row in by_cost] == [("dear", 75), ("many", 25)]
    by_requests = admin_client.get("/spend?range=7d&metric=requests")
    assert [(row.value, row.percent) for row in by_requests.context["rows"]] == [("many", 75), ("dear", 25)]
    assert "Share of requests" in by_requests.content.decode()


def test_an_empty_explorer_says_what_to_do_and_draws_no_chart(admin_client: Client) -> None:
    page = admin_client.get("/spend").content.decode()
    assert "Nothing was spent in this range" in page
    assert "data-chart=" not in page
    narrowed = admin_client.get("/spend?model=no-such-model").content.decode()
    assert "Nothing matches" in narrowed
    assert "Nothing used in this range" in admin_client.get("/my/usage").content.decode()


def test_what_failed_is_looked_up_over_the_same_range(admin_client: Client, tenant: Tenant) -> None:
    booked(tenant, failed(1, timezone.now(), provider_id=a_provider(tenant).id.hex))
    page = admin_client.get("/errors?range=30d").content.decode()
    assert "outcome=failed&amp;range=30d" in page


def test_money_without_a_request_and_what_is_not_known_have_words(tenant: Tenant) -> None:
    names = Names(tenant.organization)
    assert names.of("model", "adjustment") == "corrections by people"
    assert names.of("client", "") == "no tool"
    assert names.of("metadata.repository", "") == "no repository"
    assert names.of("principal_kind", "") == "no principal kind"


def test_what_was_refused_reached_no_model_and_leads_to_the_models_asked_for(
    admin_client: Client, tenant: Tenant
) -> None:
    now = timezone.now()
    booked(
        tenant,
        an_event(1, at=now, model="claude-x"),
        a_refusal(2, at=now, model="", requested_model="gpt-99"),
        a_refusal(3, at=now, model="", requested_model="claude-x"),
    )
    page = admin_client.get("/spend?range=7d&metric=refusals")
    assert [(row.value, row.name, row.measures.refusals) for row in page.context["rows"]] == [
        ("", "reached no model", 2),
        ("claude-x", "claude-x", 0),
    ]
    assert [series.label for series in page.context["chart"].series] == ["reached no model"]
    by_requests = admin_client.get("/spend?range=7d&metric=requests").context["sentence"]
    assert by_requests.endswith("What reached no model makes 67 % of it.")
    text = page.content.decode()
    assert "no model<" not in text.replace("reached no model<", "")
    behind = "?by=requested_model&amp;metric=refusals&amp;model=%28none%29&amp;range=7d"
    assert behind in text
    asked_for = admin_client.get("/spend" + behind.replace("&amp;", "&"))
    assert {(row.name, row.measures.requests) for row in asked_for.context["rows"]} == {("gpt-99", 1), ("claude-x", 1)}
    assert [chip.value for chip in asked_for.context["chips"]] == ["reached no model"]
    # The exchanges behind a point of that chart are the same ones.
    found = admin_client.get("/exchanges?model=(none)&range=7d")
    assert {one.first.requested_model for one, _, _ in found.context["exchanges"]} == {"gpt-99", "claude-x"}
    assert "reached no model" in found.content.decode()
