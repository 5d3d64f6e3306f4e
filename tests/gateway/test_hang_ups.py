"""Readers that leave in the middle of an answer: one row each, and what the provider produced is on it.

What a hung-up answer used is known to the token where it was read on. Where it was not (too many are read on already,
or the provider takes too long) it is counted from what passed, by what this pod has learned of how the model counts.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import CALIBRATED, ENFORCE, a_daily_budget, when
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI, Dialect
from tests.gateway.conftest import CLIENT_GONE_S, Fleet
from tests.gateway.prices import DOLLAR
from tests.gateway.processes import Pod
from tests.gateway.test_accounting import only_row
from tests.gateway.test_costs import billed, counts_of
from tests.gateway.wire import connect, until

FINAL, COUNTED = usage_pb2.USAGE_KIND_FINAL, usage_pb2.USAGE_KIND_COUNTED
CANCELLED = usage_pb2.OUTCOME_CANCELLED
CHUNKS = (1, 5, 50)
PROMPT = "Please tell me a long story about a switchyard. " * 30
NAMED_READER = pytest.mark.parametrize("dialect", DIALECTS, ids=str)
AFTER = pytest.mark.parametrize("chunks", CHUNKS)


@pytest.fixture(scope="module")
def cramped(fleet: Fleet) -> Iterator[Pod]:
    """A pod that reads one abandoned answer on at a time: a tenth of its ten places."""
    pod = Pod(
        fleet.control,
        fleet.counters_url,
        fleet.home / "cramped",
        SWITCHYARD_MAX_IN_FLIGHT="10",
        SWITCHYARD_CLIENT_GONE_SECONDS="30",
    )
    try:
        pod.start()
        yield pod
    finally:
        pod.end()


def hang_up(pod: Pod, dialect: Dialect, key: KeyToken, chunks: int, *, model: str = "", **more: str) -> None:
    """Ask for a stream, read so many chunks of it, and leave."""
    model = model or dialect.model
    body = dialect.body(model, streams=True, prompt=PROMPT, **unbounded(dialect))
    with pod.open("POST", dialect.target(model, streams=True), dialect.headers(key, **more), body) as stream:
        assert stream.status == 200
        stream.read_events(chunks)


def unheard(dialect: Dialect) -> str:
    """A model that the pod has learned nothing of: other tests' answers tell what they like of their usage."""
    return f"{dialect.model}-unheard"


def unbounded(dialect: Dialect) -> dict[str, Any]:
    return {"max_tokens": 32_000} if dialect is ANTHROPIC else {}


@NAMED_READER
@AFTER
def test_what_is_read_on_is_exact(fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, chunks: int) -> None:
    behaviour = "sim-text-120-delay3"
    hang_up(fleet.pod, dialect, key, chunks, x_sim_marker=marker, x_sim_behaviour=behaviour)
    row, record = only_row(fleet, key), fleet.provider.record(marker)
    assert (record["completed"], record["hung_up"]) == (True, False)
    assert (row.kind, row.outcome, row.client_status) == (FINAL, CANCELLED, 200)
    assert counts_of(row.tokens) == billed(record["usage"])
    assert row.cost_nano_usd > 0


@pytest.fixture
def read_on(cramped: Pod, fleet: Fleet) -> Iterator[None]:
    """Somebody has the one place of those that are read on."""
    other = fleet.control.mint()
    hang_up(cramped, ANTHROPIC, other, 3, x_sim_behaviour="sim-text-3000-delay20")
    until(lambda: cramped.metric("switchyard_draining_answers") == 1, "nobody is read on")
    yield
    # The next test wants the place, and this one's row is nobody's business.
    fleet.control.installation.revoke(other)
    fleet.control.publish("deny")
    until(lambda: cramped.metric("switchyard_draining_answers") == 0, "the place was not given back")


@NAMED_READER
@pytest.mark.parametrize("thinks", [False, True], ids=["text", "thinking"])
def test_what_is_not_read_on_is_counted(
    fleet: Fleet, cramped: Pod, read_on: None, key: KeyToken, marker: str, dialect: Dialect, thinks: bool
) -> None:
    words = "sim-text-120-delay8"
    for _ in range(2):
        # From answers that end well the pod learns how the model counts.
        body = dialect.body(dialect.model, streams=True, prompt=PROMPT, **unbounded(dialect))
        headers = dialect.headers(key, x_sim_behaviour="sim-text-120")
        assert cramped.call("POST", dialect.target(dialect.model, streams=True), headers, body).status == 200
    rows = 2
    for chunks in CHUNKS:
        mine = f"{marker}-{chunks}"
        behaviour = f"{words}-think" if thinks else words
        hang_up(cramped, dialect, key, chunks, x_sim_marker=mine, x_sim_behaviour=behaviour)
        record = fleet.provider.record(mine)
        rows += 1
        fleet.control.rows_of(key, rows)
        row = max(fleet.control.rows_of(key, rows), key=lambda each: each.exchange_id)
        assert record["hung_up"]
        assert (row.kind, row.outcome) == (COUNTED, CANCELLED)
        truth = counts_of_prompt(record)
        if dialect in (ANTHROPIC, GEMINI):
            # Told with the first event of the answer.
            assert counts_of(row.tokens)[:8] == truth
        else:
            # Told at the end only: known from the session's turn before, or from how prompts compare with their sizes.
            assert counts_of(row.tokens).prompt == pytest.approx(sum(truth), rel=0.02)
        # What was on the wire when the reader left, the pod saw; a few events of it the provider may not have noted.
        produced = record["usage"]["output"] + record["usage"]["reasoning"]
        counted = row.tokens.output + row.tokens.reasoning
        assert abs(counted - produced) <= max(0.1 * produced, 5), (chunks, counted, produced)
        assert row.cost_nano_usd > 0


def counts_of_prompt(record: dict[str, Any]) -> tuple[int, ...]:
    return tuple(billed(record["usage"]))[:8]


def test_a_provider_that_falls_silent_is_read_on_for_a_while_and_counted(
    fleet: Fleet, key: KeyToken, marker: str
) -> None:
    assert CLIENT_GONE_S <= 2
    for dialect in DIALECTS:
        more = {"x_sim_marker": f"{marker}-{dialect}", "x_sim_behaviour": "sim-text-120-stall70"}
        hang_up(fleet.pod, dialect, key, 5, model=unheard(dialect), **more)
    rows = {row.protocol: row for row in fleet.control.rows_of(key, len(DIALECTS))}
    for dialect in DIALECTS:
        row, record = rows[dialect.name], fleet.provider.record(f"{marker}-{dialect}")
        assert (row.kind, row.outcome) == (COUNTED, CANCELLED)
        assert record["hung_up"]
        produced = record["usage"]["output"]
        # Ours counts "word17 " as two words or three, the simulated one by its bytes.
        assert 0.8 * produced <= row.tokens.output <= 1.7 * produced


@NAMED_READER
def test_a_whole_answer_whose_reader_left_is_read_on(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect
) -> None:
    body = dialect.body(dialect.model, streams=False, prompt=PROMPT)
    headers = dialect.headers(key, x_sim_marker=marker, x_sim_behaviour="late400")
    leave_unanswered(fleet, dialect.target(dialect.model, streams=False), headers, body, marker)
    row, record = only_row(fleet, key), fleet.provider.record(marker)
    assert (row.kind, row.outcome, row.streamed) == (FINAL, CANCELLED, False)
    assert counts_of(row.tokens) == billed(record["usage"])


def test_a_whole_answer_that_never_comes_is_estimated_by_what_was_told_of_it(
    fleet: Fleet, key: KeyToken, marker: str
) -> None:
    """Half of it came; a provider has written all of an answer before it sends its first byte."""
    for dialect in DIALECTS:
        more = {"x_sim_marker": f"{marker}-{dialect}", "x_sim_behaviour": "sim-text-400-stall4"}
        model = unheard(dialect)
        body = dialect.body(model, streams=False, prompt=PROMPT, **unbounded(dialect))
        target = dialect.target(model, streams=False)
        leave_unanswered(fleet, target, dialect.headers(key, **more), body, more["x_sim_marker"])
    rows = {row.protocol: row for row in fleet.control.rows_of(key, len(DIALECTS))}
    for dialect in DIALECTS:
        row, record = rows[dialect.name], fleet.provider.record(f"{marker}-{dialect}")
        assert (row.kind, row.outcome) == (COUNTED, CANCELLED)
        # Nobody told how much of the prompt was read from a cache.
        assert row.tokens.input_fresh == pytest.approx(billed(record["usage"]).prompt, rel=0.2)
        assert 0.8 * record["usage"]["output"] <= row.tokens.output <= 1.8 * record["usage"]["output"]


def leave_unanswered(fleet: Fleet, target: str, headers: list[tuple[str, str]], body: bytes, marker: str) -> None:
    """Ask for an answer in one piece, and leave when the provider has the request."""
    head = f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    with connect(fleet.url) as sock:
        sock.sendall(head.encode() + b"\r\n" + body)
        until(lambda: fleet.provider.records(marker), "the request did not reach the provider")


def test_hanging_up_is_no_way_around_a_budget(fleet: Fleet, cramped: Pod, key: KeyToken) -> None:
    """Forty readers leave after their first chunk, most of them without being read on: together they get no more than
    the budget, and what they got is charged."""
    budget = a_daily_budget("small", 0.04, when=when(f"key:{key.id}"), bound=CALIBRATED, mode=ENFORCE)
    fleet.control.installation.change(rules=pb.PolicyShard(budgets=[budget]))
    fleet.control.publish("policy")
    try:

        def once(number: int) -> int:
            dialect = (ANTHROPIC, CHAT)[number % 2]
            limit = {"max_tokens": 1500} if dialect is ANTHROPIC else {"max_completion_tokens": 1500}
            body = dialect.body(dialect.model, streams=True, prompt=PROMPT, **limit)
            headers = dialect.headers(key, x_sim_behaviour="sim-text-700-delay1")
            with cramped.open("POST", dialect.target(dialect.model, streams=True), headers, body) as stream:
                if stream.status == 200:
                    stream.read_events(1)
                return stream.status

        with ThreadPoolExecutor(8) as readers:
            statuses = list(readers.map(once, range(40)))
        assert 402 in statuses
        assert 200 in statuses
        cramped.settle()
        rows = fleet.control.rows_of(key, len(statuses))
        ran = [row for row in rows if row.attempt]
        assert len(ran) == statuses.count(200)
        assert sum(row.cost_nano_usd for row in ran) <= DOLLAR // 25
        assert all(row.cost_nano_usd > 0 for row in ran)
    finally:
        fleet.control.installation.change(rules=pb.PolicyShard())
        fleet.control.publish("policy")
