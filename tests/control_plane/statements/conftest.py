"""One organization with two cost centres and usage over the turn of a month."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from control_plane.accounts.models import User
from control_plane.organizations.models import Team
from control_plane.usage.aggregation import book_waiting
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant, a_member, a_provider, a_tenant
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.events import a_batch, an_event

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DOLLAR = 1_000_000_000


@dataclass(slots=True)
class Books:
    """Books events of one tenant. spend: (when, whose, what it cost in dollars)."""

    tenant: Tenant
    core: Team
    web: Team
    ada: User
    grace: User
    number: int = 0
    provider_id: str = ""
    events: list[usage_pb2.UsageEvent] = field(default_factory=list)

    def spend(self, at: datetime, team: Team | None, user: User, dollars: int, **changes: Any) -> usage_pb2.UsageEvent:
        self.number += 1
        made = an_event(
            self.number,
            at=at,
            organization_id=self.tenant.organization.id.hex,
            team_id=team.id.hex if team else "",
            principal_id=user.id.hex,
            provider_id=self.provider_id,
            provider_name="anthropic-main",
            cost_nano_usd=dollars * DOLLAR,
            **changes,
        )
        self.events.append(made)
        return made

    def book(self, now: datetime = NOW) -> None:
        put(a_batch(self.events, first_sequence=self.number * 100))
        self.events.clear()
        assert book_waiting(now=now, ledger_days=LEDGER_DAYS).quarantined == 0


@pytest.fixture
def books(db: None, engines: object) -> Books:
    tenant = a_tenant("acme")
    core = Team.objects.create(organization=tenant.organization, name="core", cost_centre="4711")
    web = Team.objects.create(organization=tenant.organization, name="web", cost_centre="0815")
    provider = a_provider(tenant)
    return Books(tenant, core, web, tenant.admin, a_member(tenant, "grace@example.com"), provider_id=provider.id.hex)
