"""A series read page by page says what one reading of all rows says, in every zone, over changes of the clock."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from control_plane.usage.rollups import Measures
from control_plane.usage.selectors import Interval, Point, Scope, SeriesQuery, usage_page, usage_stack
from control_plane.usage.selectors.points import SUMS
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.events import NOW, ORGANIZATION, a_batch, an_event

pytestmark = pytest.mark.django_db

EVERYONE = Scope(ORGANIZATION)
UTC_ZONE, BERLIN, SYDNEY = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Sydney")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
# Around the changes of the clock of both halves of the earth, and the ends of months of all lengths.
MOMENTS = tuple(
    datetime(2026, month, day, hour, 20, tzinfo=UTC)
    for month, day in (
        (3, 1),
        (3, 28),
        (3, 29),
        (3, 31),
        (4, 4),
        (4, 5),
        (4, 30),
        (10, 4),
        (10, 25),
        (10, 31),
        (11, 20),
    )
    for hour in (0, 13, 22, 23)
)
Row = tuple[datetime, str, int]


@pytest.fixture
def booked(db: None) -> list[Row]:
    """(moment, person as the API writes it, cost) of each exchange."""
    an_organization()
    chance = random.Random(5)
    events, rows = [], []
    for number, at in enumerate(MOMENTS * 2):
        person = UUID(int=1 + chance.randrange(6)).hex
        cost = chance.randrange(1, 5) * 1_000_000
        events.append(an_event(number, at=at, principal_id=person, key_id=f"Key{person[-1]}", cost_nano_usd=cost))
        rows.append((at, person, cost))
    put_and_book(a_batch(events))
    return rows


def pages(query: SeriesQuery) -> Iterator[Point]:
    after = None
    while True:
        page = usage_page(query, after=after)
        yield from page.points
        after = page.next
        if after is None:
            return


def asked(interval: Interval, zone: ZoneInfo, *, grouping: str = "user") -> SeriesQuery:
    until = NOW + timedelta(hours=1)
    return SeriesQuery(EVERYONE, SINCE, until, interval, zone, (grouping,), measures=SUMS, most_points=4)


def begin_of(at: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    """In UTC: two instants of an hour that comes twice have one local time."""
    if interval is Interval.HOUR:
        return at.replace(minute=0)
    begin = at.astimezone(zone).replace(hour=0, minute=0, fold=0)
    if interval is Interval.WEEK:
        begin -= timedelta(days=begin.weekday())
    return (begin.replace(day=1) if interval is Interval.MONTH else begin).astimezone(UTC)


def start_of(point: Point) -> datetime:
    assert point.start is not None
    return point.start.astimezone(UTC)


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, SYDNEY], ids=str)
@pytest.mark.parametrize("interval", [Interval.HOUR, Interval.DAY, Interval.WEEK, Interval.MONTH])
def test_pages_hold_every_row_once(interval: Interval, zone: ZoneInfo, booked: list[Row]) -> None:
    expected: dict[tuple[datetime, str], int] = defaultdict(int)
    for at, person, cost in booked:
        expected[begin_of(at, interval, zone), person] += cost

    points = list(pages(asked(interval, zone)))

    assert {(start_of(point), point.group[0]): point.measures.cost_nano_usd for point in points} == expected
    assert len(points) == len(expected)
    assert sum(point.measures.requests for point in points) == len(booked)
    order = [(start_of(point), -point.measures.cost_nano_usd, point.group) for point in points]
    assert order == sorted(order)


@pytest.mark.parametrize("grouping", ["user", "key", "team", "model", "client"])
def test_a_page_of_the_whole_range_is_that_of_few_sums(grouping: str, booked: list[Row]) -> None:
    all_sums = list(pages(asked(Interval.TOTAL, UTC_ZONE, grouping=grouping)))
    few = usage_page(
        SeriesQuery(
            EVERYONE,
            SINCE,
            NOW + timedelta(hours=1),
            Interval.TOTAL,
            group_by=(grouping,),
            measures=("requests", "cost_nano_usd"),
        )
    ).points
    short = [
        (point.group, Measures(requests=point.measures.requests, cost_nano_usd=point.measures.cost_nano_usd))
        for point in all_sums
    ]
    assert short == [(point.group, point.measures) for point in few]
    assert sum(measures.requests for _, measures in short) == len(booked)


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN], ids=str)
def test_a_stack_of_known_groups_is_the_stack_of_the_greatest(zone: ZoneInfo, booked: list[Row]) -> None:
    query = asked(Interval.DAY, zone)
    costs: dict[str, int] = defaultdict(int)
    for _, person, cost in booked:
        costs[person] += cost
    greatest = sorted(costs, key=lambda person: (-costs[person], person))[:3]

    found = usage_stack(query, "cost", most=3)

    assert usage_stack(query, "cost", most=3, greatest=greatest) == found
    assert {point.group for point in found} == {*greatest, None}
    assert sum(point.value for point in found) == sum(costs.values())
