"""The store frozen, killed, flushed, rewound, full: what is decided meanwhile, and what is right again afterwards."""

import asyncio
import shutil
import signal
import time
from pathlib import Path

import pytest

from data_plane.counters.reference_contents import PodFacts
from data_plane.counters.renewing import renewal_of
from data_plane.policy.claims import Outage, RateKind
from data_plane.policy.grant import Denial, Grant, Refused, Spent
from switchyard_contract.counters import Verdict, budget_key, read_answer
from switchyard_contract.holds import lost_key, maker_text, read_hold, read_member
from switchyard_contract.v1.usage_pb2 import Floor, FloorBook
from tests.data_plane.counters.builders import ORGANIZATION, RawStore, a_budget, a_rate, amounts, an_ask, claims_of, usd
from tests.data_plane.counters.conftest import Store
from tests.data_plane.counters.pods import BRISK, Noted, counting, denied, granted
from tests.data_plane.usage.builders import until
from tests.promises import within

KEY = budget_key(ORGANIZATION, "budget", "0", "")


def a_floor(dollars: float) -> Floor:
    return Floor(organization_id=ORGANIZATION, budget_id="budget", period="0", posted_nano_usd=usd(dollars))


def a_book(generation: int = 1) -> FloorBook:
    """The one page of a book."""
    return FloorBook(organization_id=ORGANIZATION, generation=generation, attempt="one", is_last=True)


async def test_a_frozen_store_is_soon_not_waited_for_and_what_was_issued_is_spent(store: Store) -> None:
    claims, noted = claims_of(a_budget(10, allowance=0.5)), Noted()
    async with counting(store.url, patience=BRISK, noted=noted, live_pods=1) as counters:
        first = await granted(counters, claims, an_ask(1, amounts(0.1)))
        store.send(signal.SIGSTOP)
        began_s = time.monotonic()
        decided = await asyncio.gather(
            *(counters.reserve(counters.pack(claims), an_ask(number, amounts(0.1))) for number in range(10, 20))
        )
        assert time.monotonic() - began_s < within(BRISK.answer_s + 0.1)
        grants = [grant for grant in decided if isinstance(grant, Grant)]
        denials = [denial for denial in decided if isinstance(denial, Denial)]
        assert [grant.degraded for grant in grants] == ["bounded"] * 5
        assert {(denial.refused, denial.claim) for denial in denials} == {(Refused.UNAVAILABLE, claims.budgets[0])}
        assert noted.alone == {("bounded", True): 5, ("bounded", False): 5}
        await until(lambda: not counters.is_up)
        assert counters.degraded == ("counters_unreachable",)
        began_s = time.monotonic()
        await denied(counters, claims, an_ask(30, amounts(0.1)))
        assert time.monotonic() - began_s < within(0.01)
        counters.settle(first, Spent(usd(0.07)))
        for grant in grants:
            counters.settle(grant, Spent(usd(0.08)))
        began_s = time.monotonic()
        store.send(signal.SIGCONT)
        await until(lambda: counters.is_up)
        assert time.monotonic() - began_s < within(2)
        await counters.settled()
        raw = RawStore(store.url)
        assert raw.numbers(KEY) == {"p": 470_000, "e": 0, "s": 0, "o": 500_000, "o:pod1": 100_000}


async def test_a_killed_store_is_found_again_and_learns_what_was_spent(store: Store) -> None:
    claims = claims_of(a_budget(10, allowance=1))
    async with counting(store.url, patience=BRISK) as counters:
        running = await granted(counters, claims, an_ask(1, amounts(0.1)))
        await asyncio.to_thread(store.stop)
        await until(lambda: not counters.is_up)
        alone = await granted(counters, claims, an_ask(2, amounts(0.3)))
        assert read_answer(alone.answer).verdict is Verdict.OUTAGE_ADMITTED
        await asyncio.to_thread(store.start)
        began_s = time.monotonic()
        await until(lambda: counters.is_up)
        assert time.monotonic() - began_s < within(2)
        # What was let in meanwhile is held there now, like everything else that runs.
        raw = RawStore(store.url)
        await until(lambda: raw.numbers(KEY).get("s") == 400_000)
        counters.settle(running, Spent(usd(0.1)))
        counters.settle(alone, Spent(usd(0.2)))
        await counters.settled()
        assert raw.numbers(KEY) == {"p": 300_000, "e": 0, "s": 0, "o": 1_000_000, "o:pod1": 800_000}


async def test_a_pod_that_was_issued_nothing_has_nothing(store: Store) -> None:
    async with counting(store.url, patience=BRISK) as counters:
        await asyncio.to_thread(store.stop)
        await until(lambda: not counters.is_up)
        claims = claims_of(a_budget(10, allowance=1))
        assert (await denied(counters, claims, an_ask(1))).refused is Refused.UNAVAILABLE


async def test_pods_are_never_issued_more_than_the_allowance_together(store: Store) -> None:
    claims, raw = claims_of(a_budget(10, allowance=1)), RawStore(store.url)
    for number, live_pods in enumerate((4, 2, 2, 1)):
        async with counting(store.url, pod_id=f"pod{number}", live_pods=live_pods) as counters:
            await granted(counters, claims, an_ask(number, amounts(0.01)))
    numbers = raw.numbers(KEY)
    issued = {name: value for name, value in numbers.items() if name.startswith("o")}
    assert issued == {"o": 1_000_000, "o:pod0": 250_000, "o:pod1": 500_000, "o:pod2": 250_000, "o:pod3": 0}


async def test_a_pod_that_starts_again_is_issued_nothing_more(store: Store) -> None:
    claims, raw = claims_of(a_budget(10, allowance=1)), RawStore(store.url)
    for run in (1, 2):
        maker = PodFacts(maker_text("pod1", b"0123456789abcdef", run), live_pods=4, wanted=frozenset({0}))
        raw.reserve(claims, an_ask(run, amounts(0.01)), pod=maker)
    numbers = raw.numbers(KEY)
    assert {name: value for name, value in numbers.items() if name.startswith("o")} == {"o": 250_000, "o:pod1": 250_000}


@pytest.mark.parametrize(("outage", "is_let_in"), [("deny", False), ("allow", True)])
async def test_the_rule_of_the_budget_decides(store: Store, outage: Outage, is_let_in: bool) -> None:
    claims = claims_of(a_budget(10, allowance=1, outage=outage))
    async with counting(store.url, patience=BRISK) as counters:
        await asyncio.to_thread(store.stop)
        await until(lambda: not counters.is_up)
        decided = await counters.reserve(counters.pack(claims), an_ask(1))
        assert isinstance(decided, Grant) is is_let_in
        assert isinstance(decided, Grant | Denial)
        assert decided.degraded == outage


async def test_rates_are_divided_among_the_pods(store: Store) -> None:
    claims = claims_of(a_rate(60), a_rate(12, id="slots", kind=RateKind.CONCURRENT))
    noted = Noted()
    async with counting(store.url, patience=BRISK, live_pods=4, noted=noted) as counters:
        await asyncio.to_thread(store.stop)
        await until(lambda: not counters.is_up)
        grants = []
        for number in range(40):
            decided = await counters.reserve(counters.pack(claims), an_ask(number))
            if isinstance(decided, Grant):
                grants.append(decided)
                if len(grants) > 2:
                    counters.settle(grants.pop(0), Spent())
            else:
                assert isinstance(decided, Denial)
                assert decided.refused is Refused.RATE
        assert 15 <= noted.alone["local_rates", True] <= 17


async def test_a_flushed_store_is_noticed_and_whole_again_with_a_new_generation(store: Store) -> None:
    claims = claims_of(a_budget(10, allowance=0.5), generation=0)
    async with counting(store.url, patience=BRISK) as counters:
        spent = await granted(counters, claims, an_ask(1, amounts(4)))
        counters.settle(spent, Spent(usd(4)))
        running = await granted(counters, claims, an_ask(2, amounts(2)))
        await counters.settled()
        raw = RawStore(store.url)
        raw.send(b"FLUSHALL")
        alone = await granted(counters, claims, an_ask(3, amounts(0.3)))
        assert alone.degraded == "bounded"
        assert counters.learning == {ORGANIZATION}
        assert counters.degraded == (f"counters_learning:{ORGANIZATION}:0",)
        # Nobody else takes the empty store for a new one.
        async with counting(store.url, pod_id="pod2") as fresh:
            assert (await denied(fresh, claims, an_ask(4, amounts(0.3)))).refused is Refused.UNAVAILABLE
        # What runs is held there again before the books are read in.
        await until(lambda: raw.numbers(KEY).get("s", 0) >= 2_000_000)
        counters.apply_floors([a_floor(4)], a_book())
        await until(lambda: raw.numbers(KEY).get("p") == 4_000_000)
        renewed = claims_of(a_budget(10, allowance=0.5), generation=1)
        after = await granted(counters, renewed, an_ask(5, amounts(1)))
        assert (after.degraded, counters.learning) == ("", frozenset())
        for grant in (running, alone, after):
            counters.settle(grant, Spent(usd(0.2)))
        await counters.settled()
        numbers = raw.numbers(KEY)
        assert (numbers["p"], numbers["e"], numbers["s"]) == (4_600_000, 0, 0)


async def test_a_store_restarted_from_an_older_copy_is_noticed(store: Store, tmp_path: Path) -> None:
    claims = claims_of(a_budget(10, allowance=0.5))
    async with counting(store.url, patience=BRISK) as counters:
        for number in range(3):
            counters.settle(await granted(counters, claims, an_ask(number, amounts(1))), Spent(usd(1)))
        await counters.settled()
        await asyncio.to_thread(store.stop)
        shutil.copytree(tmp_path / "counters", tmp_path / "copy")
        await asyncio.to_thread(store.start)
        await until(lambda: counters.is_up)
        for number in range(3, 6):
            counters.settle(await granted(counters, claims, an_ask(number, amounts(1))), Spent(usd(1)))
        await counters.settled()
        await asyncio.to_thread(store.stop)
        shutil.rmtree(tmp_path / "counters")
        shutil.copytree(tmp_path / "copy", tmp_path / "counters")
        await asyncio.to_thread(store.start)
        # Without any traffic: the pod looks as soon as it is connected.
        await until(lambda: counters.learning == {ORGANIZATION})
        assert (await granted(counters, claims, an_ask(7, amounts(0.4)))).degraded == "bounded"
        counters.apply_floors([a_floor(6)], a_book())
        raw = RawStore(store.url)
        await until(lambda: raw.numbers(KEY)["p"] == 6_000_000)
        renewed = claims_of(a_budget(10, allowance=0.5), generation=1)
        assert (await granted(counters, renewed, an_ask(8, amounts(1)))).degraded == ""


async def test_a_full_store_counts_as_away(store: Store) -> None:
    claims, noted = claims_of(a_budget(10, outage="deny")), Noted()
    async with counting(store.url, patience=BRISK, noted=noted) as counters:
        raw = RawStore(store.url)
        raw.send(b"CONFIG", b"SET", b"maxmemory", b"1")
        for number in range(5):
            assert (await denied(counters, claims, an_ask(number))).refused is Refused.UNAVAILABLE
        raw.send(b"CONFIG", b"SET", b"maxmemory", b"0")
        await until(lambda: counters.is_up)
        await granted(counters, claims, an_ask(9))


async def test_lost_scripts_cost_no_request(store: Store) -> None:
    claims, noted = claims_of(a_budget(100)), Noted()
    async with counting(store.url, noted=noted) as counters:
        raw = RawStore(store.url)
        for round_ in range(5):
            raw.send(b"SCRIPT", b"FLUSH")
            asks = [an_ask(100 * round_ + number) for number in range(50)]
            grants = await asyncio.gather(*(granted(counters, claims, ask) for ask in asks))
            for grant in grants:
                counters.settle(grant, Spent(usd(0.1)))
            await counters.settled()
        assert raw.numbers(KEY) == {"p": 25_000_000, "e": 0, "s": 0}
        assert not noted.alone


async def test_a_store_that_may_evict_is_told_about(store: Store) -> None:
    RawStore(store.url).send(b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru")
    async with counting(store.url) as counters:
        assert counters.degraded == ("counters_may_be_evicted",)


async def test_what_a_killed_pod_held_is_given_back(store: Store) -> None:
    claims = claims_of(a_budget(10), a_rate(3, id="slots", kind=RateKind.CONCURRENT))
    async with counting(store.url) as killed:
        for number in range(3):
            await granted(killed, claims, an_ask(number, amounts(1)))
    raw = RawStore(store.url)
    now_us = time.time_ns() // 1000
    assert raw.reserve(claims, an_ask(10, amounts(1)), now_us).verdict is Verdict.DENIED
    # The slots' leases end after 30 s, what is held two minutes after the last renewal.
    later_us = now_us + 31_000_000
    assert raw.reserve(claims, an_ask(11, amounts(1)), later_us).verdict is Verdict.ADMITTED
    reply = raw.raw(renewal_of(ORGANIZATION, [], generation=0, seen=(0, 0), at_us=now_us + 122_000_000))
    assert isinstance(reply, list)
    assert reply[3] == 3
    assert raw.numbers(KEY) == {"e": 1_000_000, "s": 1_000_000}
    # A witness of each is left for the ledger.
    lost = raw.send(b"HGETALL", lost_key(ORGANIZATION).encode())
    assert isinstance(lost, list)
    assert {read_member(member.decode()) for member in lost[::2]} == {(f"{number:026d}", 1) for number in range(3)}
    assert {read_hold(text).expected_nano_usd for text in lost[1::2]} == {usd(1)}


async def test_what_runs_longer_than_its_lease_is_renewed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_plane.counters.renewing.EVERY_S", 0.05)
    claims = claims_of(a_budget(10), a_rate(3, id="slots", kind=RateKind.CONCURRENT))
    raw = RawStore(store.url)
    async with counting(store.url) as counters:
        grant = await granted(counters, claims, an_ask(1))
        member = f"{grant.ask.exchange_id}:1".encode()
        names = (f"due:{{{ORGANIZATION}}}".encode(), f"r:{{{ORGANIZATION}}}:slots::".encode())

        def ends() -> list[int]:
            replies = [raw.send(b"ZSCORE", name, member) for name in names]
            return [int(reply) for reply in replies if isinstance(reply, bytes)]

        before = ends()
        await until(lambda: all(now > then for now, then in zip(ends(), before, strict=True)))
        # A store that no longer holds it is told again.
        raw.send(b"HDEL", f"held:{{{ORGANIZATION}}}".encode(), member)
        await until(lambda: raw.send(b"HEXISTS", f"held:{{{ORGANIZATION}}}".encode(), member) == 1)
