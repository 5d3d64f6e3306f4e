"""What was decided goes with the ledger's partitions."""

from datetime import timedelta

import pytest

from control_plane.usage.models import BudgetSpend, RuleDay, RulesSeen
from control_plane.usage.retention import decisions_forget
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import a_tenant
from tests.control_plane.alerts.world import a_budget
from tests.control_plane.usage.books import put_and_book
from tests.control_plane.usage.charges import a_charge, a_rule_seen
from tests.control_plane.usage.events import NOW, a_batch, an_event

pytestmark = pytest.mark.django_db


def test_what_is_older_than_the_ledger_goes_and_the_rest_stays() -> None:
    tenant = a_tenant()
    daily, for_ever = a_budget(tenant, "daily"), a_budget(tenant, "ever", period="lifetime")
    gone = a_budget(tenant, "gone")
    gone_id, organization_id = gone.id, tenant.organization.id.hex
    gone.delete()
    for number, at in enumerate((NOW - timedelta(days=120), NOW)):
        put_and_book(
            a_batch(
                [
                    an_event(
                        number,
                        at=at,
                        organization_id=organization_id,
                        rules=usage_pb2.RulesSeen(rules=[a_rule_seen(name=f"name {number}")]),
                        charges=[
                            a_charge(daily.id, period_ms=int(at.timestamp() * 1000)),
                            *(
                                [a_charge(for_ever.id, period_ms=0), a_charge(gone_id, period_ms=0)]
                                if number == 0
                                else []
                            ),
                        ],
                    )
                ],
                boot=f"boot-{number}".encode(),
            )
        )
    assert (BudgetSpend.objects.count(), RulesSeen.objects.count(), RuleDay.objects.count()) == (4, 2, 2)

    assert decisions_forget(now=NOW, ledger_days=396) == 0
    assert decisions_forget(now=NOW, ledger_days=30) == 4

    assert set(BudgetSpend.objects.values_list("budget_id", "period_ms")) == {
        (daily.id, int(NOW.timestamp() * 1000)),
        (for_ever.id, 0),
    }
    assert RulesSeen.objects.get().last_day == RuleDay.objects.get().day == NOW.date()


def test_a_quarters_counter_outlives_a_short_ledger() -> None:
    tenant = a_tenant()
    budget = a_budget(tenant, period="quarter")
    at = NOW - timedelta(days=80)
    event = an_event(1, at=at, organization_id=tenant.organization.id.hex, charges=[a_charge(budget.id)])
    put_and_book(a_batch([event]))

    decisions_forget(now=NOW, ledger_days=30)

    assert BudgetSpend.objects.count() == 1
