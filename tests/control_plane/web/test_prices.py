"""Models and prices: rows with their history, own prices, discounts, models without a price, windows priced anew."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.accounts.services import actor_of
from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.catalog.models import Discount, OrganizationPrice, PriceListLoad, PricingPolicy
from control_plane.catalog.price_row import DiscountDraft, ModelFacts, PriceBand, PriceDraft, PriceList, PriceTier
from control_plane.catalog.services import discount_set, list_prices_load, organization_price_set
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Role
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import Repricing
from control_plane.usage.repricing import repricing_work
from tests.builders.tenants import Tenant, a_person_of_role
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, an_event
from tests.control_plane.web.conftest import SignIn

SYSTEM = Actor.system("release 7")
LISTED = PriceDraft(
    "anthropic",
    "claude-x",
    {"input": 3_000_000_000, "cache_read": 300_000_000, "output": 15_000_000_000},
    bands=(PriceBand(200_001, {"input": 6_000_000_000, "output": 22_500_000_000}),),
    tiers=(PriceTier("batch", 500),),
    source="the vendor's page",
)
DEARER = PriceDraft("anthropic", "claude-x", {"input": 4_000_000_000, "output": 15_000_000_000}, source="release notes")


@pytest.fixture(autouse=True)
def listed(tenant: Tenant) -> None:
    facts = ModelFacts("anthropic", "claude-x", "Claude X", 200_000, 64_000, is_offered=True)
    list_prices_load(actor=SYSTEM, book=PriceList((LISTED,), (facts,)))


def used(organization: Organization, number: int = 1, **changes: Any) -> str:
    event = an_event(
        number,
        at=timezone.now() - timedelta(hours=1),
        organization_id=organization.id.hex,
        **{"model": "claude-x", "price_version": LISTED.version(), "cost_nano_usd": 1_350_000, **changes},
    )
    put(a_batch([event], first_sequence=number))
    book_waiting(now=timezone.now(), ledger_days=396)
    return str(event.exchange_id)


def test_a_model_shows_every_price_it_ever_had(admin_client: Client) -> None:
    list_prices_load(actor=SYSTEM, book=PriceList((DEARER,), ()))

    page = admin_client.get(reverse("web:model", args=["anthropic", "claude-x"])).content.decode()

    assert "the vendor&#x27;s page" in page
    assert "release notes" in page
    assert "release 7" in page
    assert "superseded" in page
    assert "counts" in page
    table = admin_client.get(reverse("web:model", args=["anthropic", "claude-x"]) + "?format=csv")
    lines = b"".join(table).decode().splitlines()  # type: ignore[arg-type]  # it is streamed
    assert len(lines) == 3


def test_a_model_nobody_knows_is_not_there(admin_client: Client) -> None:
    assert admin_client.get(reverse("web:model", args=["anthropic", "no/such"])).status_code == 404


def test_what_a_load_of_the_list_changed_is_shown(member_client: Client) -> None:
    list_prices_load(actor=SYSTEM, book=PriceList((DEARER,), ()))
    newest = PriceListLoad.objects.latest("id")

    assert "release 7" in member_client.get(reverse("web:price-loads")).content.decode()
    page = member_client.get(reverse("web:price-load", args=[newest.id])).content.decode()

    assert "$3.00" in page
    assert "$4.00" in page
    assert member_client.get(reverse("web:price-load", args=[10**9])).status_code == 404


def test_an_own_price_is_previewed_set_and_ended(admin_client: Client, tenant: Tenant) -> None:
    used(tenant.organization)
    address = reverse("web:price-set")
    form = admin_client.get(f"{address}?vendor=anthropic&model=claude-x").content.decode()
    assert 'value="3.00"' in form
    data = {
        "vendor": "anthropic",
        "model": "claude-x",
        "rate_input": "1.50",
        "rate_output": "$7.5",
        "unit_file_search": "0.0025",
        "bands": "200,001 input=3 output=11.25",
        "tiers": "batch ×0.5\npriority input=6 output=$30",
        "us_percent": "10",
        "source": "Contract 7",
        "checked_on": "2026-11-20",
    }

    # 100 fresh and 1,000 read at $1.50, 50 out at $7.50: $0.0020 (0.002025)
    previewed = admin_client.post(address, {**data, "preview": "1"}).content.decode()
    assert "$0.0020" in previewed
    assert not OrganizationPrice.objects.exists()

    assert admin_client.post(address, data).status_code == 302
    price = OrganizationPrice.objects.get(organization=tenant.organization)
    assert (price.rates, price.unit_nano_usd) == (
        {"input": 1_500_000_000, "output": 7_500_000_000},
        {"file_search": 2_500_000},
    )
    assert price.bands == [{"from_prompt_tokens": 200_001, "rates": {"input": 3 * 10**9, "output": 11_250_000_000}}]
    assert price.tiers == [
        {"tier": "batch", "per_mille": 500},
        {"tier": "priority", "per_mille": 1000, "rates": {"input": 6 * 10**9, "output": 30 * 10**9}},
    ]
    assert price.us_geo_per_mille == 1100
    again = admin_client.get(f"{address}?vendor=anthropic&model=claude-x").context["form"].initial
    assert again["bands"] == "200001 input=3.00 output=11.25"
    assert again["tiers"] == "batch ×0.5\npriority input=6.00 output=30.00"
    assert again["us_percent"] == "10"
    assert price.set_by == tenant.admin.name or price.set_by == tenant.admin.email
    assert "Contract 7" in admin_client.get(reverse("web:models")).content.decode()
    end = reverse("web:price-end", args=[price.id])
    assert admin_client.post(end, {"reason": "The contract is over."}).status_code == 302
    price.refresh_from_db()
    assert price.valid_to is not None
    assert Change.objects.filter(action="price.ended", organization_id=tenant.organization.id).exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"rate_input": "much"}, "rate_input"),
        ({"rate_output": ""}, "rate_output"),
        ({"valid_from": "2026-11-20T00:00", "valid_to": "2026-11-19T00:00"}, "valid_to"),
        ({"model": ""}, "model"),
        ({"bands": "many input=1"}, "bands"),
        ({"bands": "0 input=1"}, "bands"),
        ({"bands": "200000"}, "bands"),
        ({"bands": "200000 inptu=1"}, "bands"),
        ({"bands": "200000 input=-1"}, "bands"),
        ({"bands": "200000 input=1 input=2"}, "bands"),
        ({"bands": "200000 input=1\n100000 input=2"}, "bands"),
        ({"tiers": "batch"}, "tiers"),
        ({"tiers": "batch ×half"}, "tiers"),
        ({"tiers": "batch ×NaN"}, "tiers"),
        ({"tiers": "batch 0.5 0.6"}, "tiers"),
        ({"tiers": "batch 0.5\nbatch 0.4"}, "tiers"),
        ({"tiers": "input=1"}, "tiers"),
        ({"us_percent": "much"}, "us_percent"),
    ],
)
def test_a_wrong_price_is_told_at_its_field(admin_client: Client, wrong: dict[str, str], field: str) -> None:
    data = {"vendor": "", "model": "m", "rate_input": "1", "rate_output": "2", **wrong}
    answer = admin_client.post(reverse("web:price-set"), data)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]


def test_a_discount_is_previewed_set_shown_and_ended(admin_client: Client, tenant: Tenant) -> None:
    used(tenant.organization)
    data = {"vendor": "anthropic", "model_glob": "claude-*", "percent": "10", "source": "Frame contract"}
    address = reverse("web:discount-add")

    assert "$0.0012" in admin_client.post(address, {**data, "preview": "1"}).content.decode()
    assert admin_client.post(address, data).status_code == 302
    discount = Discount.objects.get(organization=tenant.organization)
    assert discount.per_mille == 900
    page = admin_client.get(reverse("web:models")).content.decode()
    assert "10 % off" in page
    assert "$2.70" in page
    assert "$2.70" in admin_client.get(reverse("web:model", args=["anthropic", "claude-x"])).content.decode()
    end = reverse("web:discount-end", args=[discount.id])
    assert admin_client.post(end, {"reason": "Over."}).status_code == 302
    assert "10 % off" not in admin_client.get(reverse("web:models")).content.decode()
    assert admin_client.post(address, {**data, "model_glob": "a[b]"}).status_code == 422


def test_models_without_a_price_are_told_and_may_be_refused(admin_client: Client, tenant: Tenant) -> None:
    used(tenant.organization, model="claude-new", price_note="dearest")

    listing = admin_client.get(reverse("web:models")).content.decode()
    assert "without a price" in listing
    page = admin_client.get(reverse("web:unknown-models")).content.decode()
    assert "claude-new" in page
    answer = admin_client.post(
        reverse("web:unknown-models"), {"unknown_models": "refuse", "reason": "We want to know."}
    )
    assert answer.status_code == 302
    assert PricingPolicy.objects.get(organization=tenant.organization).unknown_models == "refuse"


def test_a_window_is_worked_out_shown_and_booked(admin_client: Client, tenant: Tenant) -> None:
    exchange = used(tenant.organization)
    discount_set(organization=tenant.organization, draft=DiscountDraft(900), actor=actor_of(tenant.admin))
    since, until = timezone.localtime() - timedelta(days=1), timezone.localtime() + timedelta(minutes=5)
    data = {"since": f"{since:%Y-%m-%dT%H:%M}", "until": f"{until:%Y-%m-%dT%H:%M}", "reason": "It was signed late."}

    assert admin_client.post(reverse("web:repricing-new"), data).status_code == 302
    run = Repricing.objects.get(organization_id=tenant.organization.id)
    address = reverse("web:repricing", args=[run.id])
    assert "hx-trigger" in admin_client.get(address).content.decode()
    repricing_work(run.id)
    page = admin_client.get(address).content.decode()
    assert "$0.001350000" in page
    assert "$0.001215000" in page
    csv = b"".join(admin_client.get(f"{address}?format=csv")).decode()  # type: ignore[arg-type]  # it is streamed
    assert "model,claude-x,1,1350000,1215000" in csv
    book = reverse("web:repricing-book", args=[run.id])
    assert admin_client.post(book, {"confirm": "no", "reason": "x"}).status_code == 422
    assert admin_client.post(book, {"confirm": "reprice", "reason": "x"}).status_code == 302
    repricing_work(run.id)
    assert "booked" in admin_client.get(address).content.decode()
    shown = admin_client.get(reverse("web:exchange", args=[exchange])).content.decode()
    assert "the same to the nano-dollar" in shown
    assert "0.9 of the list" in shown
    assert "It was signed late." in admin_client.get(reverse("web:repricings")).content.decode()


def test_a_window_that_is_not_booked_is_dropped(admin_client: Client, tenant: Tenant) -> None:
    run = Repricing.objects.create(
        organization_id=tenant.organization.id,
        since=timezone.now() - timedelta(days=1),
        until=timezone.now(),
        created_at=timezone.now(),
        state="ready",
    )
    assert admin_client.post(reverse("web:repricing-drop", args=[run.id])).status_code == 302
    run.refresh_from_db()
    assert run.state == "dropped"


def test_prices_are_kept_by_those_who_see_to_money(sign_in: SignIn, tenant: Tenant) -> None:
    finance, auditor = (sign_in(a_person_of_role(tenant, role)) for role in (Role.FINANCE, Role.AUDITOR))
    for name in ("price-set", "discount-add", "unknown-models", "repricings", "repricing-new"):
        assert finance.get(reverse(f"web:{name}")).status_code == 200
        assert auditor.get(reverse(f"web:{name}")).status_code == 404
    assert auditor.get(reverse("web:models")).status_code == 200


def test_another_organizations_prices_are_not_there(admin_client: Client, other: Tenant) -> None:
    foreign = actor_of(other.admin)
    price = organization_price_set(
        organization=other.organization, draft=PriceDraft("", "secret-model", {"input": 1, "output": 2}), actor=foreign
    )
    discount = discount_set(organization=other.organization, draft=DiscountDraft(500), actor=foreign)
    run = Repricing.objects.create(
        organization_id=other.organization.id,
        since=timezone.now() - timedelta(days=1),
        until=timezone.now(),
        created_at=timezone.now(),
    )
    for name, key in (
        ("price-end", price.id),
        ("discount-end", discount.id),
        ("repricing", run.id),
        ("repricing-book", run.id),
    ):
        assert admin_client.get(reverse(f"web:{name}", args=[key])).status_code == 404
    assert admin_client.get(reverse("web:model", args=["any", "secret-model"])).status_code == 404
    assert admin_client.post(reverse("web:repricing-drop", args=[run.id])).status_code == 404
