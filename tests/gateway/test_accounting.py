"""Every exchange is in the books exactly once, with what the provider says it used."""

from typing import Any

import pytest

from switchyard_contract.v1 import usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI, RESPONSES, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.test_costs import billed, counts_of
from tests.gateway.wire import Answer, connect, reset, until

FINAL, COUNTED = usage_pb2.USAGE_KIND_FINAL, usage_pb2.USAGE_KIND_COUNTED
SERVED, REFUSED = usage_pb2.OUTCOME_SERVED, usage_pb2.OUTCOME_REFUSED
FAILED, CANCELLED = usage_pb2.OUTCOME_FAILED, usage_pb2.OUTCOME_CANCELLED


def ask(fleet: Fleet, dialect: Dialect, key: KeyToken, model: str, *, streams: bool = True, **more: str) -> Answer:
    return fleet.pod.call(
        "POST",
        dialect.target(model, streams=streams),
        dialect.headers(key, **more),
        dialect.body(model, streams=streams),
    )


def only_row(fleet: Fleet, key: KeyToken) -> usage_pb2.UsageEvent:
    """The one row of a key, once the pod has come to rest, so that no second one is on its way."""
    fleet.control.rows_of(key)
    fleet.pod.settle()
    rows = fleet.control.rows_of(key)
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
def test_an_answer_is_one_row_that_says_it_all(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, streams: bool
) -> None:
    body = dialect.body(dialect.model, streams=streams)
    answer = ask(fleet, dialect, key, dialect.model, streams=streams, x_sim_marker=marker)
    row = only_row(fleet, key)
    record = fleet.provider.record(marker)
    assert (row.kind, row.outcome, row.attempt, row.reason) == (FINAL, SERVED, 1, "")
    assert (row.protocol, row.operation, row.model) == (dialect.name, "generate", dialect.model)
    assert (row.client_status, row.upstream_status, row.streamed) == (200, 200, streams)
    assert (row.request_bytes, row.response_bytes) == (len(body), len(answer.body))
    assert counts_of(row.tokens) == billed(record["usage"])
    assert row.cost_nano_usd > 0
    installation = fleet.control.installation
    assert (row.organization_id, row.team_id) == (installation.organization_id, installation.team_id)
    assert (row.principal_id, row.principal_kind) == (
        installation.user_id,
        usage_pb2.PRINCIPAL_KIND_OF_EVENT_USER,
    )
    supplier = installation.supplier(row.provider_name)
    assert (row.provider_id, row.vendor, row.host) == (supplier.id, supplier.vendor, "127.0.0.1")
    assert (row.account, row.region) == (supplier.account, supplier.region)
    assert 0 < row.gateway_us < row.first_byte_us <= row.first_token_us <= row.duration_us
    assert row.upstream_request_id
    assert (row.stop_reason != "", row.error_type) == (True, "")
    assert row.pod_id in answer.header_values("x-switchyard-pod")


def test_usage_that_is_not_told_is_counted(fleet: Fleet, key: KeyToken, marker: str) -> None:
    for dialect in DIALECTS:
        ask(fleet, dialect, key, f"{dialect.model}-nousage", x_sim_marker=marker)
    fleet.pod.settle()
    rows = fleet.control.rows_of(key, len(DIALECTS))
    assert [row.kind for row in rows] == [COUNTED] * len(DIALECTS)
    assert all(row.tokens.input_fresh > 0 and row.tokens.output > 0 for row in rows)
    assert [row.outcome for row in rows] == [SERVED] * len(DIALECTS)


def test_usage_below_zero_is_clamped_and_marked(fleet: Fleet, key: KeyToken) -> None:
    for dialect in DIALECTS:
        ask(fleet, dialect, key, f"{dialect.model}-negativeusage")
    rows = fleet.control.rows_of(key, len(DIALECTS))
    marked = {row.protocol: row.usage_is_inconsistent or row.kind == COUNTED for row in rows}
    assert all(marked.values()), marked
    assert all(row.cost_nano_usd >= 0 for row in rows)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("events", [1, 5, 50])
def test_an_answer_whose_reader_left_is_read_on_and_billed(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, events: int
) -> None:
    model = f"{dialect.model}-sim-text-90-delay5"
    headers = dialect.headers(key, x_sim_marker=marker)
    body = dialect.body(model, streams=True)
    stream = fleet.pod.open("POST", dialect.target(model, streams=True), headers, body)
    stream.read_events(events)
    stream.hang_up()
    row = only_row(fleet, key)
    record = fleet.provider.record(marker)
    assert (record["completed"], record["hung_up"]) == (True, False)
    assert (row.kind, row.outcome, row.client_status) == (FINAL, CANCELLED, 200)
    assert counts_of(row.tokens) == billed(record["usage"])


def test_a_reader_that_left_before_the_head_is_billed_too(fleet: Fleet, key: KeyToken, marker: str) -> None:
    model = f"{ANTHROPIC.model}-slow500"
    body = ANTHROPIC.body(model, streams=True)
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in ANTHROPIC.headers(key, x_sim_marker=marker))
    with connect(fleet.url) as sock:
        sock.sendall(head.encode() + b"\r\n" + body)
        until(lambda: fleet.provider.records(marker), "the request did not reach the provider")
        reset(sock)
    row = only_row(fleet, key)
    assert (row.kind, row.outcome) == (FINAL, CANCELLED)
    assert counts_of(row.tokens) == billed(fleet.provider.record(marker)["usage"])


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_reading_on_has_a_limit(fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect) -> None:
    model = dialect.model
    headers = dialect.headers(key, x_sim_marker=marker, x_sim_behaviour="stall6")
    stream = fleet.pod.open("POST", dialect.target(model, streams=True), headers, dialect.body(model, streams=True))
    stream.read_events(3)
    stream.hang_up()
    row = only_row(fleet, key)
    assert (row.kind, row.outcome) == (COUNTED, CANCELLED)
    assert row.tokens.input_fresh > 0
    assert row.cost_nano_usd > 0
    assert fleet.provider.record(marker)["hung_up"]


def test_a_request_whose_sender_left_costs_nothing(fleet: Fleet, key: KeyToken, marker: str) -> None:
    head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in ANTHROPIC.headers(key, x_sim_marker=marker))
    with connect(fleet.url) as sock:
        sock.sendall(head.encode() + b'\r\n{"model": ')
        until(lambda: fleet.pod.metric("switchyard_in_flight") == 1, "the request did not begin")
        reset(sock)
    row = only_row(fleet, key)
    assert (row.attempt, row.outcome, row.cost_nano_usd, row.kind) == (0, CANCELLED, 0, FINAL)
    assert fleet.provider.records(marker) == []


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_refusal_is_one_row_without_an_attempt(fleet: Fleet, key: KeyToken, dialect: Dialect) -> None:
    answer = ask(fleet, dialect, key, "no-such-model")
    assert answer.status == 404
    row = only_row(fleet, key)
    assert (row.attempt, row.outcome, row.reason, row.kind) == (0, REFUSED, "no_target", FINAL)
    assert (row.requested_model, row.model, row.cost_nano_usd) == ("no-such-model", "", 0)
    assert (row.client_status, row.upstream_status) == (404, 0)
    assert row.exchange_id == answer.header("x-switchyard-request-id")


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_provider_that_cannot_be_reached_is_one_failed_row(fleet: Fleet, key: KeyToken, dialect: Dialect) -> None:
    answer = ask(fleet, dialect, key, "dead-model")
    assert answer.status == 502
    row = only_row(fleet, key)
    assert (row.attempt, row.outcome, row.reason) == (1, FAILED, "upstream_failed")
    assert (row.kind, row.cost_nano_usd, row.upstream_status, row.client_status) == (FINAL, 0, 0, 502)
    assert row.provider_name == "nobody"


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_provider_that_drops_the_connection_is_one_failed_row(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect
) -> None:
    answer = ask(fleet, dialect, key, f"{dialect.model}-drop", x_sim_marker=marker)
    assert answer.status == 502
    row = only_row(fleet, key)
    assert (row.attempt, row.outcome, row.reason) == (1, FAILED, "upstream_failed")
    assert len(fleet.provider.records(marker)) == 1, "a request that may have been billed was repeated"


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_a_provider_s_error_is_one_failed_row_that_costs_nothing(
    fleet: Fleet, key: KeyToken, dialect: Dialect, status: int
) -> None:
    answer = ask(fleet, dialect, key, f"{dialect.model}-fault-{status}")
    assert answer.status == status
    row = only_row(fleet, key)
    assert (row.kind, row.outcome, row.cost_nano_usd) == (FINAL, FAILED, 0)
    assert (row.client_status, row.upstream_status) == (status, status)
    assert row.error_type
    assert row.error_text


def test_a_provider_that_does_not_begin_in_time_is_told_so(fleet: Fleet, key: KeyToken) -> None:
    for dialect in (ANTHROPIC, CHAT, RESPONSES, GEMINI):
        answer = ask(fleet, dialect, key, "hasty-model-slow1500")
        assert answer.status == 502
        assert "did not answer in time" in answer.text
    rows = fleet.control.rows_of(key, 4)
    assert {(row.outcome, row.reason) for row in rows} == {(FAILED, "upstream_failed")}
    # It had the whole request and may bill it: the estimate stands, and is marked as one.
    assert {row.kind for row in rows} == {usage_pb2.USAGE_KIND_ESTIMATED}
    assert all(row.tokens.input_fresh > 0 for row in rows)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("fault", ["stall6", "cut6", "noend"])
def test_a_stream_that_breaks_is_counted_and_ends_with_an_error(
    fleet: Fleet, key: KeyToken, dialect: Dialect, fault: str
) -> None:
    model = f"hasty-model-{fault}"
    answer = ask(fleet, dialect, key, model)
    assert (answer.status, answer.is_cut) == (200, True)
    assert dialect.failure in answer.body
    assert dialect.end not in answer.body.partition(dialect.failure)[2]
    row = only_row(fleet, key)
    assert (row.kind, row.outcome, row.reason) == (COUNTED, FAILED, "upstream_truncated")
    assert row.tokens.input_fresh > 0


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_whole_answer_that_breaks_is_a_plain_error(fleet: Fleet, key: KeyToken, dialect: Dialect) -> None:
    answer = ask(fleet, dialect, key, f"{dialect.model}-cut3", streams=False)
    assert (answer.status, answer.is_cut) == (502, False)
    row = only_row(fleet, key)
    assert (row.outcome, row.reason, row.attempt) == (FAILED, "upstream_truncated", 1)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_an_error_in_the_stream_is_the_provider_s_own_word(fleet: Fleet, key: KeyToken, dialect: Dialect) -> None:
    ask(fleet, dialect, key, f"{dialect.model}-errmid5")
    row = only_row(fleet, key)
    assert (row.outcome, row.upstream_status) == (FAILED, 200)
    assert row.error_type


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_turn_that_can_be_followed_shows_its_place_and_no_word(fleet: Fleet, key: KeyToken, dialect: Dialect) -> None:
    """Two turns of one session are alike at their beginning; a request of no session shows nothing."""
    for number, prompt in enumerate(("do this please " * 100, "do that please " * 100)):
        body = dialect.body(dialect.model, streams=False, prompt=prompt)
        headers = dialect.headers(key, x_switchyard_session="s-1")
        assert fleet.pod.call("POST", dialect.target(dialect.model, streams=False), headers, body).status == 200
        row = fleet.control.rows_of(key, number + 1)[-1]
        facts = row.turn_facts
        assert (facts.is_typed, facts.tool_results, len(facts.request_digest)) == (True, 0, 8)
        assert facts.history_bytes > len(prompt)
        assert b"please" not in facts.SerializeToString()
    ask(fleet, dialect, key, dialect.model)
    assert not max(fleet.control.rows_of(key, 3), key=lambda row: row.exchange_id).HasField("turn_facts")


def test_a_session_is_what_the_tool_calls_it_or_worked_out(fleet: Fleet, key: KeyToken) -> None:
    sessions: list[tuple[dict[str, Any], tuple[str, bool]]] = [
        ({"x_claude_code_session_id": "cc-1", "user_agent": "claude-cli/2.1.0 (external, cli)"}, ("cc-1", False)),
        ({"session_id": "cx-1", "user_agent": "codex_cli_rs/0.160.0 (Debian)"}, ("cx-1", False)),
        ({"x_switchyard_session": "own", "session_id": "cx-1"}, ("own", False)),
    ]
    for count, (headers, expected) in enumerate(sessions, 1):
        ask(fleet, CHAT, key, CHAT.model, **headers)
        row = fleet.control.rows_of(key, count)[-1]
        assert (row.session_id, row.session_is_derived) == expected
    for count in (4, 5):
        ask(fleet, CHAT, key, CHAT.model)
        derived = fleet.control.rows_of(key, count)
    assert derived[3].session_is_derived
    assert derived[3].session_id == derived[4].session_id != ""
