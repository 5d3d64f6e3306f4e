"""What is there to see of prices: an own price, a discount, a model without a price, a list that changed, a window."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.catalog.models import ListPrice, PriceListLoad
from control_plane.catalog.price_row import DiscountDraft, PriceDraft
from control_plane.catalog.selectors import contract_price
from control_plane.catalog.services import discount_set, organization_price_set
from control_plane.organizations.models import Organization
from control_plane.usage.repricing import repricing_begin, repricing_work
from switchyard_contract.v1 import usage_pb2

NEW_MODEL = "claude-opus-6-preview"


@dataclass(frozen=True, slots=True)
class Priced:
    """What pages of prices are opened with."""

    price_id: object
    discount_id: object
    load_id: int
    repricing_id: object


def without_a_price(events: list[usage_pb2.UsageEvent]) -> None:
    """Let some exchanges have gone to a model that nobody knew the price of."""
    dearest = ListPrice.objects.get(vendor="anthropic", model="claude-opus-4-1", superseded_at__isnull=True)
    price = contract_price(dearest, is_override=False)
    served = [event for event in events if event.vendor == "anthropic" and event.cost_nano_usd]
    for event in served[-40:-20]:
        tokens = event.tokens
        prompt = tokens.input_fresh + tokens.cache_read + tokens.cache_write_5m
        event.model, event.price_note, event.price_version = NEW_MODEL, "dearest", price.id
        event.cost_nano_usd = (prompt * price.rates.input + tokens.output * price.rates.output) // 1_000_000


def price_things(organization: Organization, admin: User, *, window: timedelta = timedelta(days=10)) -> Priced:
    """Set prices, change the list, and work out what the last days would cost."""
    actor, now = actor_of(admin), timezone.now()
    own = organization_price_set(
        organization=organization,
        draft=PriceDraft(
            "openai_compatible",
            "house-coder-70b",
            {"input": 150_000_000, "output": 600_000_000},
            source="What the GPUs cost a month, by 4.1 G tokens",
            checked_on=now.date(),
        ),
        actor=actor,
    )
    replaced = ListPrice.objects.filter(vendor="anthropic", superseded_at__isnull=True).order_by("model")[:3]
    for row in replaced:
        ListPrice.objects.create(
            version=f"{row.version}-old",
            vendor=row.vendor,
            model=row.model,
            rates={name: rate * 5 // 4 for name, rate in row.rates.items()},
            source=row.source,
            set_by="migration",
            superseded_at=now - timedelta(days=9),
        )
    load = PriceListLoad.objects.create(
        loaded_at=now - timedelta(days=9),
        loaded_by="migration",
        added=[row.version for row in replaced],
        superseded=[f"{row.version}-old" for row in replaced],
        total=ListPrice.objects.filter(superseded_at__isnull=True).count(),
    )
    discount = discount_set(
        organization=organization,
        draft=DiscountDraft(850, "anthropic", "claude-*", source="Enterprise agreement 2026-11"),
        actor=actor,
    )
    run = repricing_begin(
        organization=organization,
        since=now - window,
        until=now,
        reason="The agreement was signed on the 10th and holds from the 1st.",
        actor=actor,
    )
    repricing_work(run.id)
    return Priced(own.id, discount.id, load.id, run.id)
