"""What is missing in a pod's numbers, whatever the order in which they come."""

import random
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from control_plane.usage.gaps import Found, Range, follow, ranges_of
from control_plane.usage.inbox import PostgresInbox, read_batch
from control_plane.usage.models import MissingEvents, PodSequence
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.events import BOOT, POD, an_event


@pytest.mark.parametrize(
    ("sequences", "ranges"),
    [
        ([], ()),
        ([4], (Range(4, 4),)),
        ([1, 2, 3], (Range(1, 3),)),
        ([1, 3, 4, 9], (Range(1, 1), Range(3, 4), Range(9, 9))),
    ],
)
def test_numbers_are_read_as_runs(sequences: list[int], ranges: tuple[Range, ...]) -> None:
    assert ranges_of(sequences) == ranges


def test_what_is_overtaken_is_missing_and_what_arrives_in_its_middle_splits_it() -> None:
    assert follow(4, [], [Range(9, 9)]) == Found(9, (Range(5, 8),))
    assert follow(9, [Range(5, 8)], [Range(6, 7)]) == Found(9, (), {Range(5, 8): (Range(5, 5), Range(8, 8))})
    assert follow(9, [Range(5, 8)], [Range(4, 9)]) == Found(9, (), {Range(5, 8): ()})
    assert follow(9, [Range(5, 8)], [Range(1, 3)]) == Found(9)


@given(st.sets(st.integers(1, 60), min_size=1), st.randoms(use_true_random=False))
def test_what_is_missing_depends_only_on_what_came(numbers: set[int], chance: random.Random) -> None:
    batches = [sorted(chance.sample(sorted(numbers), chance.randint(1, len(numbers)))) for _ in range(5)]
    batches.append(sorted(numbers))
    chance.shuffle(batches)
    highest, missing = 0, set[Range]()
    for batch in batches:
        found = follow(highest, missing, ranges_of(batch))
        highest = found.highest
        missing = (missing - found.closed.keys()).union(found.opened, *found.closed.values())

    assert highest == max(numbers)
    assert {n for one in missing for n in range(one.first, one.last + 1)} == set(range(1, highest)) - numbers


def a_batch_of(*sequences: int, boot: bytes = BOOT, pod: str = POD) -> usage_pb2.UsageBatch:
    return usage_pb2.UsageBatch(
        pod_id=pod,
        boot_id=boot,
        events=[usage_pb2.SequencedEvent(sequence=one, event=an_event(one)) for one in sequences],
    )


def standing() -> tuple[list[tuple[str, int, int, bool]], dict[tuple[str, bytes], int]]:
    try:
        missing = [
            (row.pod_id, row.first, row.last, row.closed_at is None) for row in MissingEvents.objects.order_by("first")
        ]
        return missing, {(row.pod_id, bytes(row.boot_id)): row.highest for row in PodSequence.objects.all()}
    finally:
        # Another thread's connection; left open it would keep the test database from being dropped.
        connection.close()


@pytest.mark.django_db(transaction=True)
async def test_the_intake_writes_down_what_is_missing_until_it_comes() -> None:
    async with PostgresInbox(connection.settings_dict) as inbox:
        for batch in (a_batch_of(1, 2), a_batch_of(3, 4), a_batch_of(8, 9), a_batch_of(12)):
            await inbox.store(read_batch(batch))
        missing, highest = await sync_to_async(standing)()
        assert missing == [(POD, 5, 7, True), (POD, 10, 11, True)]
        assert highest == {(POD, BOOT): 12}

        # Out of order, more than once, and with a hole of their own.
        for batch in (a_batch_of(6), a_batch_of(6), a_batch_of(8, 9), a_batch_of(5, 7), a_batch_of(10, 12)):
            await inbox.store(read_batch(batch))
        missing, highest = await sync_to_async(standing)()
        assert [one for one in missing if one[3]] == [(POD, 11, 11, True)]
        assert highest == {(POD, BOOT): 12}


@pytest.mark.django_db(transaction=True)
async def test_each_spool_has_numbers_of_its_own_and_begins_with_one() -> None:
    async with PostgresInbox(connection.settings_dict) as inbox:
        for batch in (a_batch_of(1, 2), a_batch_of(2, 3, boot=b"new"), a_batch_of(1, pod="pod-2")):
            await inbox.store(read_batch(batch))

    missing, highest = await sync_to_async(standing)()
    assert missing == [(POD, 1, 1, True)]
    assert highest == {(POD, BOOT): 2, (POD, b"new"): 3, ("pod-2", BOOT): 1}


@pytest.mark.django_db(transaction=True)
async def test_a_gap_keeps_the_time_at_which_it_was_seen() -> None:
    async with PostgresInbox(connection.settings_dict) as inbox:
        await inbox.store(read_batch(a_batch_of(9)))
        opened = await sync_to_async(_age_gaps)(timedelta(hours=1))
        await inbox.store(read_batch(a_batch_of(4)))

    assert await sync_to_async(_opened)() == {opened}


def _age_gaps(by: timedelta) -> object:
    try:
        row = MissingEvents.objects.get()
        row.opened_at -= by
        row.save()
        return row.opened_at
    finally:
        connection.close()


def _opened() -> set[object]:
    try:
        return set(MissingEvents.objects.values_list("opened_at", flat=True))
    finally:
        connection.close()
