"""The pod's counters against a real store: what is let in, settled, given back, and what an outage decides."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import pytest

from data_plane.counters.shared import SharedCounters
from data_plane.policy.claims import RateKind
from data_plane.policy.grant import NOTHING_SPENT, Denial, Grant, Refused, Restart, Spent
from switchyard_contract.counters import Verdict, budget_key, read_answer
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1.usage_pb2 import Charge, Floor, UsageEvent
from tests.data_plane.counters.builders import (
    ORGANIZATION,
    RawStore,
    a_budget,
    a_rate,
    amounts,
    an_ask,
    claims_of,
    usd,
)
from tests.data_plane.counters.conftest import Store
from tests.data_plane.counters.pods import Noted, counting, denied, granted
from tests.data_plane.usage.builders import until

BUDGET_KEY = budget_key(ORGANIZATION, "budget", "0", "")


@pytest.fixture
def raw(counters_url: str) -> RawStore:
    store = RawStore(counters_url)
    store.send(b"FLUSHALL")
    return store


async def test_a_reservation_is_replaced_by_what_was_spent(counters_url: str, raw: RawStore) -> None:
    claims = claims_of(a_budget(1.0), a_rate(60))
    async with counting(counters_url) as counters:
        grant = await granted(counters, claims, an_ask(1, amounts(0.1, 0.3)))
        assert raw.numbers(BUDGET_KEY) == {"e": 100_000, "s": 300_000}
        assert read_answer(grant.answer).verdict is Verdict.ADMITTED
        counters.settle(grant, Spent(NanoUsd(123_456_789)))
        await counters.settled()
    assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 123_457}


async def test_a_denial_names_the_claim_and_its_numbers(counters_url: str, raw: RawStore) -> None:
    claims = claims_of(a_rate(60), a_budget(1.0, period="1700000000000", period_end_ms=4_000_000_000_000))
    async with counting(counters_url) as counters:
        await granted(counters, claims, an_ask(1, amounts(0.9)))
        denial = await denied(counters, claims, an_ask(2, amounts(0.2)))
    assert denial.refused is Refused.BUDGET
    assert denial.claim == claims.budgets[0]
    assert denial.retry_after_ms is not None
    assert denial.retry_after_ms > 1e9
    told = denial.numbers.budgets[0]
    assert (told.posted, told.expected, told.worst, told.refused) == (0, 900_000, 900_000, True)


async def test_nothing_to_count_asks_nobody() -> None:
    counters = SharedCounters("redis://127.0.0.1:1/0", pod_id="pod", live_pods=lambda: 1, meters=Noted())
    grant = await granted(counters, claims_of(), an_ask(1))
    assert (grant.answer, grant.degraded) == (b"", "")
    counters.settle(grant, NOTHING_SPENT)
    assert counters.unsettled == 0


async def test_a_caller_that_leaves_while_it_waits_gives_everything_back(store: Store) -> None:
    claims = claims_of(a_budget(1.0), a_rate(3, id="slots", kind=RateKind.CONCURRENT))
    async with counting(store.url) as counters:
        await granted(counters, claims, an_ask(1))
        store.send(signal.SIGSTOP)
        waiting = counters.reserve(counters.pack(claims), an_ask(2))
        await asyncio.sleep(0.05)
        counters.withdraw(waiting)
        store.send(signal.SIGCONT)
        await counters.settled()
        raw = RawStore(store.url)
        assert raw.numbers(BUDGET_KEY) == {"e": 100_000, "s": 100_000, "p": 0}
        assert raw.send(b"ZCARD", f"r:{{{ORGANIZATION}}}:slots::".encode()) == 1


async def test_a_caller_that_is_cut_off_with_its_answer_gives_everything_back(counters_url: str, raw: RawStore) -> None:
    claims = claims_of(a_budget(1.0))
    async with counting(counters_url) as counters:
        answer = counters.reserve(counters.pack(claims), an_ask(1))
        assert isinstance(await answer, Grant)
        assert raw.numbers(BUDGET_KEY) == {"e": 100_000, "s": 100_000}
        counters.withdraw(answer)
        await counters.settled()
        assert counters.in_flight == 0
    assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 0}


async def test_an_answer_that_cannot_be_read_is_the_trouble_of_one(
    counters_url: str, raw: RawStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Denial:
        raise ValueError("no answer")

    monkeypatch.setattr("data_plane.counters.shared.deny", fail)
    claims = claims_of(a_budget(1.0))
    async with counting(counters_url) as counters:
        asks = [an_ask(1, amounts(0.4)), an_ask(2, amounts(0.9)), an_ask(3, amounts(0.4))]
        packed = counters.pack(claims)
        answers = [counters.reserve(packed, ask) for ask in asks]
        first, second, third = await asyncio.gather(*answers, return_exceptions=True)
        assert (type(first), type(second), type(third)) == (Grant, ValueError, Grant)
        for answer in answers:
            counters.withdraw(answer)
        await counters.settled()
    assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 0}


async def test_what_an_answer_that_cannot_be_read_let_in_is_given_back(
    counters_url: str, raw: RawStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no answer")

    monkeypatch.setattr(SharedCounters, "_see", fail)
    async with counting(counters_url) as counters:
        with pytest.raises(ValueError, match="no answer"):
            await counters.reserve(counters.pack(claims_of(a_budget(1.0))), an_ask(1))
        await counters.settled()
    assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 0}


async def test_two_hundred_race_for_the_last_dollar_over_four_pods(counters_url: str, raw: RawStore) -> None:
    async with AsyncExitStack() as stack:
        pods = [await stack.enter_async_context(counting(counters_url, pod_id=str(number))) for number in range(4)]
        for round_ in range(50):
            claims = claims_of(a_budget(1.0), organization_id=f"{round_:032x}")
            decided = await asyncio.gather(
                *(pod.reserve(pod.pack(claims), an_ask(number, amounts(0.1))) for number, pod in enumerate(pods * 50))
            )
            grants = [grant for grant in decided if isinstance(grant, Grant)]
            assert len(grants) == 10
            for grant in grants:
                for pod in pods:
                    pod.settle(grant, Spent(usd(0.09)))
            await asyncio.gather(*(pod.settled() for pod in pods))
            key = budget_key(claims.organization_id, "budget", "0", "")
            assert raw.numbers(key) == {"e": 0, "s": 0, "p": 900_000}


async def test_floors_raise_what_is_posted_and_never_lower_it(counters_url: str, raw: RawStore) -> None:
    claims = claims_of(a_budget(1.0))
    async with counting(counters_url) as counters:
        floor = Floor(organization_id=ORGANIZATION, budget_id="budget", period="0", posted_nano_usd=usd(0.95))
        counters.apply_floors([floor])
        await until(lambda: raw.numbers(BUDGET_KEY).get("p") == 950_000)
        floor.posted_nano_usd = usd(0.5)
        counters.apply_floors([floor])
        denial = await denied(counters, claims, an_ask(1))
        assert denial.numbers.budgets[0].posted == 950_000


async def test_a_reservation_grows_while_there_is_room(counters_url: str, raw: RawStore) -> None:
    claims = claims_of(a_budget(1.0))
    async with counting(counters_url) as counters:
        grant = await granted(counters, claims, an_ask(1, amounts(0.1)))
        assert await counters.extend(grant, amounts(0.6))
        assert not await counters.extend(grant, amounts(1.1))
        assert raw.numbers(BUDGET_KEY) == {"e": 600_000, "s": 600_000}
        counters.settle(grant, Spent(usd(0.5)))
        await counters.settled()
    assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 500_000}


async def test_a_hot_offender_is_answered_without_asking_the_store(counters_url: str, raw: RawStore) -> None:
    claims, noted = claims_of(a_rate(1, window_us=3_600_000_000)), Noted()
    async with counting(counters_url, noted=noted) as counters:
        packed = counters.pack(claims)
        assert isinstance(await counters.reserve(packed, an_ask(1)), Grant)
        first = await counters.reserve(packed, an_ask(2))
        asked = noted.trips
        again = [await counters.reserve(packed, an_ask(3 + number)) for number in range(20)]
    assert isinstance(first, Denial)
    assert first.refused is Refused.RATE
    assert first.retry_after_ms is not None
    assert noted.trips == asked
    assert all(isinstance(denial, Denial) and (denial.retry_after_ms or 0) <= first.retry_after_ms for denial in again)


async def test_a_pod_whose_clock_is_in_another_period_is_told_the_stores_time(counters_url: str, raw: RawStore) -> None:
    now_ms = time.time_ns() // 1_000_000
    border_ms = now_ms - 60_000
    yesterday = claims_of(a_budget(1.0, period=str(border_ms - 86_400_000), period_end_ms=border_ms))
    today = claims_of(a_budget(1.0, period=str(border_ms), period_end_ms=border_ms + 86_400_000))
    an_hour_behind = lambda: time.time_ns() // 1_000 - 3_600_000_000  # noqa: E731
    async with counting(counters_url, now_us=an_hour_behind) as counters:
        assert counters.now_ms < border_ms
        said = await counters.reserve(counters.pack(yesterday), an_ask(1))
        assert isinstance(said, Restart)
        assert abs(said.now_ms - now_ms) < 60_000
        # From now on periods are chosen by it.
        assert abs(counters.now_ms - said.now_ms) < 60_000
        await granted(counters, today, an_ask(1))
    key = budget_key(ORGANIZATION, "budget", str(border_ms), "")
    assert raw.numbers(key) == {"e": 100_000, "s": 100_000}


async def test_a_revoked_key_is_refused_by_the_same_call(counters_url: str, raw: RawStore) -> None:
    raw.send(b"SADD", f"rev:{{{ORGANIZATION}}}".encode(), b"key1")
    async with counting(counters_url) as counters:
        denial = await denied(counters, claims_of(a_budget(1.0)), an_ask(1))
    assert (denial.refused, denial.claim) == (Refused.REVOKED, None)


async def test_what_a_killed_pod_left_is_settled_by_the_next_one_from_its_records(
    counters_url: str, raw: RawStore
) -> None:
    claims = claims_of(a_budget(1.0))
    async with counting(counters_url) as killed:
        grant = await granted(killed, claims, an_ask(1, amounts(0.1, 0.4)))
    event = UsageEvent(
        organization_id=ORGANIZATION,
        key_id="key1",
        exchange_id=grant.ask.exchange_id,
        attempt=1,
        started_at_ms=time.time_ns() // 1_000_000,
        cost_nano_usd=usd(0.2),
        counters_answer=grant.answer,
        charges=[Charge(budget_id="budget", period="0")],
    )
    async with counting(counters_url) as restarted:
        for _ in range(3):
            restarted.settle_recorded(event, was_cut=True)
            await restarted.settled()
    assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 200_000}


async def test_the_cheaper_model_is_taken_and_paid(counters_url: str, raw: RawStore) -> None:
    claims = claims_of(a_budget(1.0, downgrade_at=0.5), a_rate(1_000, unit="tokens"))
    async with counting(counters_url) as counters:
        ask = an_ask(1, amounts(0.6, input_tokens=500), amounts(0.1, 0.2, input_tokens=600))
        grant = await granted(counters, claims, ask)
        assert (grant.candidate, grant.amounts) == (2, ask.second)
        assert raw.numbers(BUDGET_KEY) == {"e": 100_000, "s": 200_000}
        counters.settle(grant, Spent(usd(0.05), 100, 0))
        await counters.settled()
        assert raw.numbers(BUDGET_KEY) == {"e": 0, "s": 0, "p": 50_000}
        # What was charged was the second's, and most of it was given back.
        await granted(counters, claims, an_ask(2, amounts(0, input_tokens=890)))
