"""Whoever reads a request, the front or aiohttp, provider and caller see the same."""

from dataclasses import replace

import pytest

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import DIALECTS, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.wire import Answer, connect, read_answer

ODD = ("TE", "trailers")
"""Dropped on the way, and never read by the front."""
VARYING = frozenset({"date", "x-switchyard-request-id", "x-switchyard-decision", "traceparent", "request-id"})
HANDED_OVER = "switchyard_connections_handed_over"


def lasting(answer: Answer, exchange_id: str) -> Answer:
    """An answer without what differs from one exchange to the next."""
    headers = tuple(sorted(header for header in answer.headers if header[0] not in VARYING))
    return replace(answer, headers=headers, body=answer.body.replace(exchange_id.encode(), b"<id>"))


def ask(fleet: Fleet, target: str, headers: list[tuple[str, str]], body: bytes) -> tuple[Answer, Answer]:
    """The same request through the front and through aiohttp."""
    before = fleet.pod.metric(HANDED_OVER)
    plain = fleet.pod.call("POST", target, headers, body)
    assert fleet.pod.metric(HANDED_OVER) == before
    odd = fleet.pod.call("POST", target, [*headers, ODD], body)
    assert fleet.pod.metric(HANDED_OVER) == before + 1
    first, second = (lasting(each, each.header("x-switchyard-request-id") or "?") for each in (plain, odd))
    return first, second


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_an_answer_is_the_same_through_both(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, streams: bool
) -> None:
    target, body = dialect.target(dialect.model, streams=streams), dialect.body(dialect.model, streams=streams)
    plain, odd = ask(fleet, target, dialect.headers(key, x_sim_marker=marker), body)
    assert plain.status == odd.status == 200
    assert [name for name, _ in plain.headers] == [name for name, _ in odd.headers]
    assert plain.is_cut is odd.is_cut is False
    first, second = (fleet.provider.get(f"/ledger/{each['id']}/request") for each in fleet.provider.records(marker))
    for part in ("method", "target", "headers", "body_base64"):
        assert first[part] == second[part]


@pytest.mark.parametrize("what", ["no key", "a wrong key", "no such model", "no JSON", "a key twice"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_refusal_is_the_same_through_both(fleet: Fleet, key: KeyToken, dialect: Dialect, what: str) -> None:
    model = "no-such-model" if what == "no such model" else dialect.model
    headers = dialect.headers({"no key": None, "a wrong key": "sy-wrong"}.get(what, key))
    if what == "a key twice":
        headers.append(("x-switchyard-key", "sy-another"))
    body = b"{" if what == "no JSON" else dialect.body(model, streams=False)
    plain, odd = ask(fleet, dialect.target(model, streams=False), headers, body)
    assert plain == odd
    assert plain.status >= 400


def test_one_connection_may_bring_both_kinds(fleet: Fleet, key: KeyToken) -> None:
    dialect = DIALECTS[0]
    body = dialect.body(dialect.model, streams=False)

    def request(*odd: tuple[str, str]) -> bytes:
        headers = [("host", "x"), *dialect.headers(key), *odd, ("content-length", str(len(body)))]
        return (
            "".join(["POST /v1/messages HTTP/1.1\r\n", *(f"{n}: {v}\r\n" for n, v in headers), "\r\n"]).encode() + body
        )

    before = fleet.pod.metric(HANDED_OVER)
    with connect(fleet.url) as sock:
        for odd in ((), (), (ODD,), (), (ODD,)):
            sock.sendall(request(*odd))
            assert read_answer(sock).status == 200
    assert fleet.pod.metric(HANDED_OVER) == before + 1
