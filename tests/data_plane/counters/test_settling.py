"""Settlements that do not arrive at once."""

import asyncio
import signal

import pytest

from data_plane.counters.line import Crowd
from data_plane.counters.packing import PackedClaims
from data_plane.counters.settling import Settlement, Settlements
from data_plane.policy.grant import Grant, Spent
from switchyard_contract.counters import budget_key
from tests.data_plane.counters.builders import ORGANIZATION, RawStore, a_budget, amounts, an_ask, claims_of, usd
from tests.data_plane.counters.conftest import Store
from tests.data_plane.counters.pods import BRISK, counting, granted
from tests.data_plane.usage.builders import until

KEY = budget_key(ORGANIZATION, "budget", "0", "")


class Mute:
    """A link that takes calls when it may, and answers when it is told to."""

    def __init__(self) -> None:
        self.may_take = True
        self.calls: list[Crowd] = []

    def tell_together(self, crowd: Crowd) -> bool:
        if self.may_take:
            self.calls.append(crowd)
        return self.may_take

    def answer(self, reply: object) -> None:
        calls, self.calls = self.calls, []
        for crowd in calls:
            crowd.compose()
            crowd.take(reply)


def a_settlement(number: int = 1) -> Settlement:
    aim = PackedClaims(claims_of(a_budget())).aim("")
    return Settlement(aim, (f"{number}:1", 100, 0, 0, 0, 0, 1, 1))


def queue(link: Mute) -> tuple[Settlements, list[float], list[int]]:
    now_s, dropped = [1.0], list[int]()
    return Settlements(link, lambda: now_s[0], dropped.append, "pod"), now_s, dropped  # type: ignore[arg-type]


def test_what_is_not_acknowledged_is_sent_again() -> None:
    link = Mute()
    settlements, _, _ = queue(link)
    settlements.send(a_settlement())
    link.answer(None)
    assert len(settlements) == 1
    settlements.send_waiting()
    link.answer(1)
    assert len(settlements) == 0


def test_what_may_have_arrived_long_ago_is_no_longer_posted_unheld() -> None:
    link = Mute()
    settlements, now_s, _ = queue(link)
    certain, uncertain = a_settlement(1), a_settlement(2)
    settlements.send(uncertain)
    link.answer(None)
    link.may_take = False
    settlements.send(certain)
    now_s[0] += 3_600
    link.may_take = True
    settlements.send_waiting()
    assert (uncertain.flags, certain.flags) == (0, 1)


def test_a_long_outage_lets_go_of_the_oldest_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_plane.counters.settling.MOST_KEPT", 3)
    link = Mute()
    link.may_take = False
    settlements, _, dropped = queue(link)
    for number in range(5):
        settlements.send(a_settlement(number))
    assert (len(settlements), sum(dropped)) == (3, 2)


async def test_nothing_is_posted_twice_however_often_the_store_falls_silent(store: Store) -> None:
    claims = claims_of(a_budget(1000))
    async with counting(store.url, patience=BRISK) as counters:
        spent = 0
        for round_ in range(3):
            asks = [an_ask(100 * round_ + number, amounts(0.01)) for number in range(30)]
            grants: list[Grant] = await asyncio.gather(*(granted(counters, claims, ask) for ask in asks))
            for number, grant in enumerate(grants):
                if number == 10:
                    store.send(signal.SIGSTOP)
                counters.settle(grant, Spent(usd(0.01)))
                spent += 10_000
                await asyncio.sleep(0)
            await until(lambda: not counters.is_up)
            store.send(signal.SIGCONT)
            await until(lambda: counters.is_up)
            await counters.settled()
            assert RawStore(store.url).numbers(KEY) == {"p": spent, "e": 0, "s": 0}
