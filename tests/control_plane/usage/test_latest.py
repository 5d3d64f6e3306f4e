"""What ended last stands first, whenever it began."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from control_plane.usage.aggregation import book_waiting
from control_plane.usage.selectors import latest
from control_plane.usage.selectors.exchanges import ExchangeSearch
from control_plane.usage.selectors.latest import exchanges_ended
from control_plane.usage.selectors.scope import Scope
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant, a_tenant
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.events import a_batch, an_event

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def globex(db: None) -> Tenant:
    return a_tenant("globex")


def booked(tenant: Tenant, *events: usage_pb2.UsageEvent, now: datetime) -> None:
    for event in events:
        event.organization_id = tenant.organization.id.hex
    put(a_batch(events))
    assert book_waiting(now=now, ledger_days=LEDGER_DAYS).quarantined == 0


def ended(tenant: Tenant, now: datetime, limit: int = 60, **more: str) -> list[timedelta]:
    search = ExchangeSearch(Scope(tenant.organization.id), **more)  # type: ignore[arg-type]  # texts only here
    found = exchanges_ended(search, ended_since=now - HOUR, now=now, limit=limit)
    return [timedelta(seconds=round((now - one.ended_at).total_seconds())) for one in found]


def test_one_that_ran_long_stands_first_when_it_ends(acme: Tenant) -> None:
    now = timezone.now()
    booked(
        acme,
        *(an_event(number, at=now - timedelta(seconds=10 * number), duration_us=1_000_000) for number in range(1, 8)),
        an_event(90, at=now - timedelta(minutes=10), duration_us=599_000_000),
        an_event(91, at=now - timedelta(hours=2), duration_us=7_000_000),
        now=now,
    )
    assert ended(acme, now, limit=3) == [timedelta(seconds=1), timedelta(seconds=9), timedelta(seconds=19)]
    assert len(ended(acme, now)) == 8


def test_one_that_many_began_after_is_found_at_the_end_of_the_file(
    acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began before all that are looked at by id, even yesterday, and was booked last."""
    now = timezone.now()
    monkeypatch.setattr(latest, "MOST_LOOKED_AT", 5)
    monkeypatch.setattr(latest, "LAST_PAGES", (1, 4))
    booked(acme, *(an_event(number, at=now - timedelta(seconds=number + 60)) for number in range(1, 60)), now=now)
    long_ago = timedelta(hours=20)
    booked(
        acme,
        an_event(90, at=now - long_ago, duration_us=round((long_ago.total_seconds() - 2) * 1_000_000)),
        an_event(91, at=now - timedelta(minutes=30), duration_us=1_797_000_000, client="codex"),
        now=now,
    )
    booked(globex, an_event(95, at=now - timedelta(seconds=2), duration_us=1_000_000), now=now)

    assert ended(acme, now, limit=5)[:2] == [timedelta(seconds=2), timedelta(seconds=3)]
    assert ended(acme, now, client="codex") == [timedelta(seconds=3)]
    assert ended(globex, now) == [timedelta(seconds=1)]


def test_an_empty_ledger_has_none(acme: Tenant) -> None:
    assert ended(acme, timezone.now()) == []
