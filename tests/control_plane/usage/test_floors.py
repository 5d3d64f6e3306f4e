"""What the books say goes down to the pods, with receipts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
from django.db import OperationalError
from django.utils import timezone

from control_plane.budgets.models import Budget
from control_plane.rules.models import Mode
from control_plane.usage import floors
from control_plane.usage.floor_feed import Dealt, FloorFeed, Mailbox
from control_plane.usage.floors import floors_changed, floors_count, floors_of_organization
from control_plane.usage.intake import UsageIntakeServicer
from control_plane.usage.models import BudgetSpend
from switchyard_contract.v1 import usage_pb2, usage_pb2_grpc
from tests.builders.tenants import Tenant, a_tenant
from tests.control_plane.alerts.world import DOLLAR, a_budget, period_of, spend
from tests.control_plane.usage.events import BOOT, a_batch, an_event
from tests.control_plane.usage.test_intake import ListedInbox, admit


def now_spend(budget: Budget, dollars: float, **more: Any) -> None:
    """Spend in the present period: floors of others are not told."""
    now = timezone.now()
    spend(budget, dollars, **{"at": now, "now": now + timedelta(seconds=1), **more})


def a_floor(number: int = 1, posted: int = 5) -> usage_pb2.Floor:
    return usage_pb2.Floor(
        organization_id="0a" * 16, budget_id="b1" * 16, counter=str(number), period="0", posted_nano_usd=posted
    )


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


def test_a_counter_that_moved_is_told_with_its_sum(acme: Tenant) -> None:
    budget = a_budget(acme, per=["model"], mode=Mode.SHADOW)
    since, first = floors_changed(None)
    assert first == ()

    now_spend(budget, 2, counter="opus")
    now_spend(budget, 3, counter="opus")
    _, told = floors_changed(since)
    # What a pod may have lost, and what was said while no process looked.
    assert floors_changed(None)[1] == told

    assert told == (
        usage_pb2.Floor(
            organization_id=acme.organization.id.hex,
            budget_id=budget.id.hex,
            counter="opus",
            period=period_of(budget, timezone.now()),
            posted_nano_usd=5 * DOLLAR,
        ),
    )


def test_what_decides_nothing_any_more_is_not_told(acme: Tenant) -> None:
    since = timezone.now()
    budget, off = a_budget(acme), a_budget(acme, "off", mode=Mode.OFF)
    gone = a_budget(acme, "gone")
    now_spend(budget, 2, at=timezone.now() - timedelta(days=2))
    now_spend(off, 2)
    now_spend(gone, 2)
    gone.delete()

    assert floors_changed(since)[1] == ()
    assert floors_of_organization(acme.organization.id, None).floors == ()


def test_what_moved_long_ago_is_not_told_for_a_stream_that_begins(acme: Tenant) -> None:
    now_spend(a_budget(acme), 2)
    assert len(floors_changed(None)[1]) == 1

    BudgetSpend.objects.update(changed_at=timezone.now() - floors.REACH - timedelta(minutes=1))

    assert floors_changed(None)[1] == ()


def test_all_floors_of_an_organization_come_in_pages(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "PAGE", 2)
    budget, other = a_budget(acme, per=["model"]), a_budget(a_tenant("globex"))
    for number in range(5):
        now_spend(budget, 1, counter=f"model-{number}")
    now_spend(other, 1)

    counters, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page = floors_of_organization(acme.organization.id, after)
        counters += [floor.counter for floor in page.floors]
        after, pages = page.after, pages + 1

    assert sorted(counters) == [f"model-{number}" for number in range(5)]
    assert pages == 3
    assert floors_count(acme.organization.id) == 5


async def test_of_a_counter_only_the_newest_floor_waits() -> None:
    mailbox = Mailbox()
    for posted in (5, 7):
        mailbox.put(a_floor(1, posted))
    mailbox.put(a_floor(2))

    assert await mailbox.some() == Dealt([a_floor(1, 7), a_floor(2)])
    async with asyncio.timeout(1):
        await mailbox.emptied()


async def test_each_floor_goes_to_two_streams_and_to_others_the_next_time() -> None:
    feed = FloorFeed(_never)
    mailboxes = [feed.open() for _ in range(4)]

    dealt = [[mailboxes.index(mailbox) for mailbox in feed.deal([a_floor()])] for _ in range(4)]

    assert dealt == [[0, 1], [1, 2], [2, 3], [3, 0]]
    feed.close(mailboxes[0])
    assert len(feed.deal([a_floor()])) == 2
    for mailbox in mailboxes[1:]:
        feed.close(mailbox)
    assert feed.deal([a_floor()]) == []
    assert not feed.has_streams


async def _never(*_: object) -> Any:
    raise AssertionError("nothing is read here")


class Books:
    """Stands in for the reads."""

    def __init__(self) -> None:
        self.changed: list[tuple[usage_pb2.Floor, ...]] = []
        self.asked: list[datetime | None] = []
        self.is_away = False

    async def run(self, read: Callable[..., Any], since: datetime | None) -> Any:
        self.asked.append(since)
        if self.is_away:
            raise OperationalError
        return datetime.now().astimezone(), self.changed.pop(0) if self.changed else ()


@pytest.fixture
async def books() -> Books:
    return Books()


async def test_nothing_is_read_while_there_is_nobody_to_tell() -> None:
    await FloorFeed(_never).look()


async def test_whenever_a_stream_begins_or_ends_the_last_hour_is_told_again(books: Books) -> None:
    """What it was given may be gone with it, before the store had it."""
    feed = FloorFeed(books.run)
    mailboxes = [feed.open(), feed.open()]
    await feed.look()
    await feed.look()
    feed.close(mailboxes.pop())
    await feed.look()
    await feed.look()
    feed.open()
    books.is_away = True
    await feed.look()
    await feed.look()
    books.is_away = False
    await feed.look()
    await feed.look()

    assert [since is None for since in books.asked] == [True, False, True, False, True, True, True, False]


async def test_a_stream_that_ends_while_the_books_are_read_counts_for_the_next_look(books: Books) -> None:
    feed = FloorFeed(books.run)
    feed.open()
    mailbox = feed.open()

    async def run(read: Callable[..., Any], since: datetime | None) -> Any:
        if since is None and feed.is_open(mailbox):
            feed.close(mailbox)
        return await books.run(read, since)

    feed._run = run
    await feed.look()
    await feed.look()
    await feed.look()

    assert [since is None for since in books.asked] == [True, True, False]


@pytest.fixture
async def stream(books: Books) -> AsyncIterator[tuple[Any, FloorFeed, ListedInbox]]:
    feed, inbox = FloorFeed(books.run, interval_s=0.05), ListedInbox()
    server = grpc.aio.server()
    servicer = UsageIntakeServicer(inbox=inbox, authenticate=admit, stored=lambda: None, floors=feed)
    usage_pb2_grpc.add_UsageIntakeServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield usage_pb2_grpc.UsageIntakeStub(channel).Report(metadata=(("authorization", "Bearer pod"),)), feed, inbox
    await server.stop(None)


async def test_floors_come_with_a_receipt_of_their_own_and_batches_go_on(
    stream: tuple[Any, FloorFeed, ListedInbox], books: Books
) -> None:
    call, feed, inbox = stream
    await call.write(a_batch([an_event(1)]))
    first = await call.read()
    assert (first.stored_through, list(first.floors)) == (1, [])
    while not feed.has_streams:
        await asyncio.sleep(0)

    books.changed.append((a_floor(1, 9),))
    polling = asyncio.create_task(feed.poll())
    told = await call.read()
    await call.write(a_batch([an_event(2)], first_sequence=2))
    second = await call.read()
    await call.done_writing()

    assert (told.boot_id, told.stored_through, list(told.floors)) == (BOOT, 1, [a_floor(1, 9)])
    assert (second.stored_through, list(second.floors)) == (2, [])
    assert await call.read() is grpc.aio.EOF
    assert len(inbox.stored) == 2
    polling.cancel()
    async with asyncio.timeout(5):
        while feed.has_streams:
            await asyncio.sleep(0.01)


async def test_a_stream_with_floors_still_refuses_what_cannot_be(
    stream: tuple[Any, FloorFeed, ListedInbox],
) -> None:
    call, feed, inbox = stream
    await call.write(a_batch([an_event(1)]))
    await call.read()
    inbox.is_away = True

    await call.write(a_batch([an_event(2)], first_sequence=2))
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call.read()

    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    async with asyncio.timeout(5):
        while feed.has_streams:
            await asyncio.sleep(0.01)


async def test_pages_of_a_book_come_in_order_and_before_other_floors(
    stream: tuple[Any, FloorFeed, ListedInbox],
) -> None:
    call, feed, _ = stream
    assert feed.next_stream() is None
    await call.write(a_batch([an_event(1)]))
    await call.read()
    while (mailbox := feed.next_stream()) is None:
        await asyncio.sleep(0)

    books = [usage_pb2.FloorBook(organization_id="0a" * 16, attempt="x", before=number) for number in range(2)]
    feed.deal([a_floor(3)])
    for book in books:
        mailbox.put_page(book, [a_floor(1)])
    async with asyncio.timeout(5):
        told = [await call.read() for _ in range(3)]
        await mailbox.emptied()

    assert [receipt.book for receipt in told[:2]] == books
    assert not told[2].HasField("book")
    assert [floor.counter for receipt in told for floor in receipt.floors] == ["1", "1", "3"]
    assert feed.is_open(mailbox)
