"""Settlements made from the spool's events."""

from data_plane.counters.packing import FROM_ALLOWANCE, POST_UNHELD
from data_plane.counters.recorded import SURE_MS, settlement_of
from switchyard_contract.counters import budget_key
from switchyard_contract.v1.usage_pb2 import Charge, Tokens, UsageEvent

NOW_MS = 1_795_000_000_000
ORGANIZATION = "a" * 32


def an_event(**changes: object) -> UsageEvent:
    fields: dict[str, object] = {
        "exchange_id": "01ARYZ6S410000000000000000",
        "attempt": 1,
        "organization_id": ORGANIZATION,
        "key_id": "k1",
        "started_at_ms": NOW_MS - 60_000,
        "cost_nano_usd": 1_234_567,
        "counters_answer": b"\x90",
        "charges": [Charge(budget_id="b1", counter="s%2F1", period="1794960000000")],
        "tokens": Tokens(input_fresh=10, cache_read=5, output=3, reasoning=1),
        **changes,
    }
    return UsageEvent(**fields)  # type: ignore[arg-type]


def test_it_names_the_counters_that_the_event_names() -> None:
    found = settlement_of(an_event(), NOW_MS, was_cut=True)
    assert found is not None
    assert found.aim.budget_keys == (budget_key(ORGANIZATION, "b1", "1794960000000", "s%2F1"),)
    assert found.member == "01ARYZ6S410000000000000000:1"
    assert found.numbers[:4] == (found.member, 1235, 15, 4)
    assert found.flags == POST_UNHELD


def test_what_counted_nowhere_is_not_settled() -> None:
    assert settlement_of(an_event(counters_answer=b""), NOW_MS, was_cut=True) is None
    assert settlement_of(an_event(attempt=0), NOW_MS, was_cut=True) is None


def test_what_may_be_settled_already_is_posted_only_while_the_store_remembers_that() -> None:
    old = an_event(started_at_ms=NOW_MS - SURE_MS - 1, duration_us=0)
    late = settlement_of(old, NOW_MS, was_cut=False)
    assert late is not None
    assert late.flags == 0
    cut = settlement_of(old, NOW_MS, was_cut=True)
    assert cut is not None
    assert cut.flags == POST_UNHELD
    fresh = settlement_of(an_event(degraded="bounded"), NOW_MS, was_cut=False)
    assert fresh is not None
    assert fresh.flags == POST_UNHELD | FROM_ALLOWANCE
