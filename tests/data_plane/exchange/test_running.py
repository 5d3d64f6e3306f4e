import asyncio

import pytest

from data_plane.exchange.running import Running
from data_plane.policy.decision import Refusal
from switchyard_contract.reason import Reason

REVOKED = Refusal(Reason.KEY_REVOKED)


async def test_cutting_a_key_ends_what_its_exchange_waits_for() -> None:
    running = Running()
    told: list[Refusal | None] = []

    async def exchange(key_id: str) -> None:
        live = running.enter()
        live.key_id = key_id
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append(live.take_cut())
        finally:
            running.leave(live)

    mine = asyncio.create_task(exchange("mine"))
    other = asyncio.create_task(exchange("other"))
    await asyncio.sleep(0)
    assert running.cut_callers({"mine", "unknown"}, frozenset(), REVOKED) == 1
    await mine
    assert told == [REVOKED]
    assert mine.cancelling() == 0
    assert len(running) == 1
    running.cut_all(Refusal(Reason.DRAINING))
    await other
    assert len(running) == 0


async def test_somebody_elses_cancellation_is_not_taken_for_a_cut() -> None:
    running = Running()

    async def exchange() -> None:
        live = running.enter()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert live.take_cut() is None
            raise
        finally:
            running.leave(live)

    task = asyncio.create_task(exchange())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_only_so_many_answers_are_read_on_at_once() -> None:
    running = Running(most_drains=1)
    first, second = running.enter(), running.enter()

    assert [first.drain(), first.drain(), second.drain()] == [True, True, False]
    assert running.drains == 1
    running.leave(first)
    assert second.drain()
    running.leave(second)
    assert running.drains == 0
