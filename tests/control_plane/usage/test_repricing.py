"""A past window priced anew: shown first, booked as superseding rows, a part at a time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import DjangoCaptureOnCommitCallbacks

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.catalog.models import ListPrice
from control_plane.catalog.price_row import DiscountDraft, PriceDraft, PriceList
from control_plane.catalog.services import (
    discount_set,
    list_prices_load,
    organization_price_set,
    unknown_models_set,
)
from control_plane.organizations.models import Organization
from control_plane.usage import repricing
from control_plane.usage.closing import month_close
from control_plane.usage.entries import LedgerRow
from control_plane.usage.models import BudgetSpend, Repricing, UsageDay
from control_plane.usage.replacement import standing
from control_plane.usage.repricing import (
    RepricingFailure,
    repricing_apply,
    repricing_begin,
    repricing_drop,
    repricing_work,
)
from control_plane.usage.selectors import ExchangeSearch, Scope, cost_explained, exchanges_page
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import (
    an_organization,
    assert_books_agree,
    assert_one_standing_row_each,
    ledger,
    put_and_book,
)
from tests.control_plane.usage.charges import a_charge
from tests.control_plane.usage.events import NOW, TEAM, a_batch, a_refusal, an_event, estimated

pytestmark = pytest.mark.django_db

FINANCE = Actor.system("finance")
SONNET = "claude-sonnet-4-6"
OLD = PriceDraft("anthropic", SONNET, {"input": 3_000_000_000, "cache_read": 300_000_000, "output": 15_000_000_000})
# 100 fresh, 1,000 read and 50 out: 100*3000 + 1000*300 + 50*15000
OLD_COST = 1_350_000
NEW_COST = 1_350_000 // 10 * 9


@pytest.fixture(autouse=True)
def organization(db: None) -> Organization:
    list_prices_load(actor=FINANCE, book=PriceList((OLD,), ()))
    return an_organization()


def priced(number: int = 1, **changes: Any) -> usage_pb2.UsageEvent:
    return an_event(number, **{"cost_nano_usd": OLD_COST, "price_version": OLD.version(), **changes})


def begin(organization: Organization, **changes: Any) -> Repricing:
    window = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=1), "now": NOW + timedelta(hours=1)}
    return repricing_begin(
        organization=organization, reason="The contract was signed late.", actor=FINANCE, **{**window, **changes}
    )


def worked_out(organization: Organization, **changes: Any) -> Repricing:
    found = repricing_work(begin(organization, **changes).id, now=NOW)
    assert found is not None
    return found


def booked(run: Repricing) -> Repricing:
    found = repricing_work(repricing_apply(repricing=run, actor=FINANCE, now=NOW).id, now=NOW)
    assert found is not None
    return found


def a_discount(organization: Organization, per_mille: int = 900) -> str:
    return discount_set(organization=organization, draft=DiscountDraft(per_mille), actor=FINANCE).version


def standing_rows() -> list[LedgerRow]:
    return sorted(standing(ledger()).values(), key=lambda row: row.exchange_id)


def test_what_would_change_is_worked_out_and_nothing_is_booked(organization: Organization) -> None:
    put_and_book(a_batch([priced(1), priced(2, model="claude-old", price_version="", cost_nano_usd=0), a_refusal(3)]))
    a_discount(organization)

    run = worked_out(organization, model_globs=["claude-sonnet-*"])

    assert (run.state, run.seen, run.changed) == ("ready", 1, 1)
    assert (run.old_nano_usd, run.new_nano_usd) == (OLD_COST, NEW_COST)
    assert run.by_model == {SONNET: [1, OLD_COST, NEW_COST]}
    assert run.by_team == {TEAM.hex: [1, OLD_COST, NEW_COST]}
    assert {row.revision for row in ledger()} == {0}


def test_a_repriced_row_takes_the_place_of_the_old_one(organization: Organization) -> None:
    put_and_book(a_batch([priced(1)]))
    discount = a_discount(organization)

    run = booked(worked_out(organization))

    (row,) = standing_rows()
    assert (run.state, run.booked, run.booked_nano_usd) == ("done", 1, NEW_COST - OLD_COST)
    assert (row.kind, row.revision, row.cost_nano_usd) == ("final", 1, NEW_COST)
    assert row.price_version == f"{OLD.version()}|{discount}"
    # as fresh 1100*2700 + 50*13500 = 3,645,000
    assert row.saved_cache_nano_usd == 3_645_000 - NEW_COST
    assert [(each.kind, each.cost_nano_usd) for each in ledger()] == [
        ("final", OLD_COST),
        ("final", NEW_COST),
        ("reversal", -OLD_COST),
    ]
    assert UsageDay.objects.get().cost_nano_usd == NEW_COST
    explained = cost_explained(row)
    assert explained is not None
    assert explained.agrees
    assert_books_agree()
    assert_one_standing_row_each()


def test_forecasts_follow_once_all_is_booked(
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, arguments, **more: sent.append((name, arguments)))
    put_and_book(a_batch([priced(1)]))
    a_discount(organization)
    with django_capture_on_commit_callbacks(execute=True):
        run = worked_out(organization)
        assert sent == [], "nothing is booked yet"
        booked(run)
    assert sent == [("forecasts.make_of", (organization.id.hex,))]
    # What changes nothing asks for nothing.
    with django_capture_on_commit_callbacks(execute=True):
        booked(worked_out(organization))
    assert len(sent) == 1


def test_it_is_one_entry_of_the_audit(organization: Organization) -> None:
    put_and_book(a_batch([priced(1)]))
    a_discount(organization)

    booked(worked_out(organization))

    (change,) = Change.objects.filter(action="usage.repriced")
    assert change.reason == "The contract was signed late."


def test_doing_it_again_changes_nothing(organization: Organization) -> None:
    put_and_book(a_batch([priced(1), priced(2)]))
    a_discount(organization)
    booked(worked_out(organization))
    before = ledger()

    again = worked_out(organization)

    assert (again.changed, again.seen) == (0, 2)
    booked(again)
    assert ledger() == before


def test_a_run_that_was_left_is_gone_on_with(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repricing, "PART", 2)
    put_and_book(a_batch([priced(number) for number in range(1, 8)]))
    a_discount(organization)
    run = worked_out(organization)
    assert (run.seen, run.changed) == (7, 7)
    repricing_apply(repricing=run, actor=FINANCE, now=NOW)

    repricing_work(run.id, now=NOW, most_parts=2)
    assert Repricing.objects.get().booked == 4
    assert_books_agree()
    # The same part once more, as if the worker had died before it moved on.
    Repricing.objects.update(cursor_day=None, cursor_exchange="")
    repricing_work(run.id, now=NOW)

    assert Repricing.objects.get().state == "done"
    assert [row.cost_nano_usd for row in standing_rows()] == [NEW_COST] * 7
    assert Repricing.objects.get().booked == 7
    assert_books_agree()


def test_budgets_follow(organization: Organization) -> None:
    put_and_book(a_batch([priced(1, charges=[a_charge()])]))
    a_discount(organization)

    booked(worked_out(organization))

    assert BudgetSpend.objects.get().posted_nano_usd == NEW_COST


def test_what_is_of_a_closed_month_counts_now(organization: Organization) -> None:
    october = datetime(2026, 10, 20, 12, tzinfo=UTC)
    put_and_book(a_batch([priced(1, at=october)]))
    month_close(organization=organization, month=date(2026, 10, 1), actor=FINANCE, now=NOW)
    a_discount(organization)

    booked(worked_out(organization, since=october - timedelta(days=1), until=october + timedelta(days=1)))

    days = {each.day: each.cost_nano_usd for each in UsageDay.objects.all()}
    assert days == {october.date(): OLD_COST, NOW.date(): NEW_COST - OLD_COST}
    assert_books_agree()


def test_prices_that_change_in_between_make_it_stale(organization: Organization) -> None:
    put_and_book(a_batch([priced(1)]))
    a_discount(organization)
    run = worked_out(organization)
    a_discount(organization, 800)

    assert repricing_apply(repricing=run, actor=FINANCE, now=NOW).state == "stale"
    assert len(ledger()) == 1


def test_what_was_booked_by_the_dearest_price_gets_its_own(organization: Organization) -> None:
    put_and_book(a_batch([priced(1, model="claude-new", price_note="dearest")]))
    draft = PriceDraft("anthropic", "claude-new", {"input": 1_000_000_000, "output": 2_000_000_000})
    organization_price_set(organization=organization, draft=draft, actor=FINANCE)

    run = booked(worked_out(organization))

    (row,) = standing_rows()
    assert run.changed == 1
    # 1100*1000 + 50*2000: nobody said what a cached read costs
    assert (row.cost_nano_usd, row.price_note) == (1_200_000, "")


def test_what_was_never_priced_is_billed_by_the_dearest_unless_that_is_refused(organization: Organization) -> None:
    put_and_book(a_batch([priced(1, model="claude-new", price_version="", cost_nano_usd=0)]))

    assert worked_out(organization).new_nano_usd == OLD_COST

    unknown_models_set(organization=organization, choice="refuse", actor=FINANCE)
    assert worked_out(organization).changed == 0


def test_subscriptions_are_shown_at_the_list_price(organization: Organization) -> None:
    put_and_book(a_batch([priced(1, is_subscription=True)]))
    a_discount(organization)

    assert worked_out(organization).changed == 0


def test_passes_of_other_models_are_priced_by_themselves(organization: Organization) -> None:
    opus = PriceDraft("anthropic", "claude-opus-5-5", {"input": 4_000_000_000, "output": 20_000_000_000})
    list_prices_load(actor=FINANCE, book=PriceList((OLD, opus), ()))
    part = usage_pb2.BilledPart(
        model="claude-opus-5-5",
        tokens=usage_pb2.Tokens(input_fresh=40, output=10),
        cost_nano_usd=360_000,
        price_version=opus.version(),
    )
    tokens = usage_pb2.Tokens(input_fresh=140, cache_read=1000, output=60)
    put_and_book(a_batch([priced(1, tokens=tokens, parts=[part], cost_nano_usd=OLD_COST + 360_000)]))
    a_discount(organization)

    booked(worked_out(organization))

    (row,) = standing_rows()
    assert row.cost_nano_usd == NEW_COST + 324_000
    explained = cost_explained(row)
    assert explained is not None
    assert explained.agrees
    assert [(each.model, each.booked_nano_usd) for each in explained.passes] == [
        (SONNET, NEW_COST),
        ("claude-opus-5-5", 324_000),
    ]


def test_a_model_without_a_price_keeps_that_of_the_model_asked_for(organization: Organization) -> None:
    put_and_book(a_batch([priced(1, model="claude-sonnet-4-6-internal")]))

    assert worked_out(organization).changed == 0


def test_the_truth_that_comes_later_still_wins(organization: Organization) -> None:
    truth = priced(1)
    put_and_book(a_batch([estimated(truth, cost_nano_usd=777)]))
    put_and_book(a_batch([priced(2)], first_sequence=2))
    booked(worked_out(organization))
    put_and_book(a_batch([truth], first_sequence=3))

    assert [(row.kind, row.revision, row.cost_nano_usd) for row in standing_rows()] == [
        ("final", 0, OLD_COST),
        ("final", 0, OLD_COST),
    ]
    assert_books_agree()


def test_repriced_rows_that_are_not_final_are_found(organization: Organization) -> None:
    put_and_book(a_batch([estimated(priced(1), cost_nano_usd=777)]))
    booked(worked_out(organization))

    page = exchanges_page(ExchangeSearch(Scope(organization.id), since=NOW - timedelta(days=1), kind="estimated"))

    assert [each.last.revision for each in page.exchanges] == [1]


def test_teams_and_the_window_narrow_it(organization: Organization) -> None:
    put_and_book(
        a_batch([priced(1), priced(2, team_id="0f" * 16), priced(3, at=NOW - timedelta(days=3)), priced(4, attempt=2)])
    )
    a_discount(organization)

    assert worked_out(organization, team_ids=[TEAM]).changed == 2
    assert worked_out(organization, since=NOW - timedelta(days=4)).changed == 4


def test_another_organizations_rows_stay(organization: Organization) -> None:
    other = Organization.objects.create(slug="other", name="Other")
    put_and_book(a_batch([priced(1), priced(2, organization_id=other.id.hex)]))
    a_discount(organization)

    booked(worked_out(organization))

    assert {row.organization_id: row.cost_nano_usd for row in standing_rows()} == {
        organization.id: NEW_COST,
        other.id: OLD_COST,
    }


def test_what_is_being_booked_cannot_be_dropped(organization: Organization) -> None:
    run = worked_out(organization)
    assert repricing_drop(repricing=run, now=NOW).state == "dropped"
    with pytest.raises(RepricingFailure):
        repricing_apply(repricing=run, actor=FINANCE, now=NOW)
    other = worked_out(organization)
    repricing_apply(repricing=other, actor=FINANCE, now=NOW)
    with pytest.raises(RepricingFailure):
        repricing_drop(repricing=other, now=NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"until": NOW - timedelta(days=2)}, "until"),
        ({"since": NOW - timedelta(days=500)}, "until"),
        ({"since": NOW + timedelta(hours=2)}, "since"),
        ({"model_globs": ["a[b]"]}, "models"),
        ({"reason": " "}, "reason"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(
    organization: Organization, changes: dict[str, Any], field: str
) -> None:
    given = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=1), "reason": "Why.", "now": NOW}
    with pytest.raises(ValidationError) as refused:
        repricing_begin(organization=organization, actor=FINANCE, **{**given, **changes})
    assert field in refused.value.message_dict


def test_the_list_it_was_priced_by_is_kept(organization: Organization) -> None:
    put_and_book(a_batch([priced(1)]))
    list_prices_load(actor=FINANCE, book=PriceList((), ()))

    assert ListPrice.objects.get().superseded_at is not None
    explained = cost_explained(standing_rows()[0])
    assert explained is not None
    assert explained.agrees
