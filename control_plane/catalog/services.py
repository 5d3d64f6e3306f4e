"""Load the price book; set an organization's own prices."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.catalog.genai_import import read_genai_prices
from control_plane.catalog.models import KnownModel, ListPrice, OrganizationPrice
from control_plane.catalog.price_file import read_price_lists
from control_plane.catalog.price_row import MAX_RATE_NANO_USD, RATE_NAMES, ModelFacts, PriceDraft, PriceList
from control_plane.organizations.models import Organization


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load changed."""

    added: int
    superseded: int
    total: int


def shipped_prices() -> PriceList:
    """The price book of this release: the imported list, and above it our own, model by model."""
    imported, own = read_genai_prices(), read_price_lists()
    overridden = {(price.vendor, price.model) for price in own.prices}
    prices = [price for price in imported.prices if (price.vendor, price.model) not in overridden]
    facts = {(model.vendor, model.model): model for model in imported.models}
    facts.update({(model.vendor, model.model): model for model in own.models})
    return PriceList((*prices, *own.prices), tuple(facts.values()))


@transaction.atomic
def list_prices_load(*, actor: Actor, book: PriceList | None = None) -> LoadReport:
    """Make the list what this release ships. A row that is gone or corrected stays, superseded: events name it.

    Loading the same book again changes nothing.
    """
    book = shipped_prices() if book is None else book
    wanted = {draft.version(): draft for draft in book.prices}
    held = set(ListPrice.objects.filter(superseded_at__isnull=True).values_list("version", flat=True))
    now = timezone.now()
    missing = wanted.keys() - held
    returned = ListPrice.objects.filter(version__in=missing).update(superseded_at=None)
    known = set(ListPrice.objects.filter(version__in=missing).values_list("version", flat=True)) if returned else set()
    ListPrice.objects.bulk_create(
        [ListPrice(version=version, **_columns(wanted[version])) for version in sorted(missing - known)]
    )
    superseded = ListPrice.objects.filter(version__in=held - wanted.keys()).update(superseded_at=now)
    _store_facts(book.models)
    report = LoadReport(added=len(missing), superseded=superseded, total=len(wanted))
    if report.added or report.superseded:
        record_change(
            organization_id=None,
            actor=actor,
            action="list_prices.loaded",
            subject=Subject("price_list", "", "list prices"),
            after={"added": report.added, "superseded": report.superseded, "total": report.total},
            shards=(ShardKind.GLOBAL,),
        )
    return report


@transaction.atomic
def organization_price_set(
    *, organization: Organization, draft: PriceDraft, actor: Actor, reason: str = ""
) -> OrganizationPrice:
    """Set what an organization pays for a model from a day on; a row of the same start is superseded."""
    _check_draft(draft)
    version = draft.version(organization.id.hex)
    now = timezone.now()
    same_start = OrganizationPrice.objects.filter(
        organization=organization,
        vendor=draft.vendor,
        model=draft.model,
        valid_from=draft.valid_from,
        superseded_at__isnull=True,
    )
    if (existing := same_start.filter(version=version, valid_to=draft.valid_to).first()) is not None:
        return existing
    before = [row.version for row in same_start]
    same_start.update(superseded_at=now)
    price = OrganizationPrice.objects.filter(version=version).first()
    if price is None:
        price = OrganizationPrice(organization=organization, version=version, **_columns(draft))
        price.full_clean()
        price.save(force_insert=True)
    else:
        # It was corrected or ended, and holds again.
        price.superseded_at, price.valid_to = None, draft.valid_to
        price.save(update_fields=["superseded_at", "valid_to"])
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="price.set",
        subject=Subject("price", price.id.hex, f"{draft.vendor or 'any'}/{draft.model}"),
        before={"versions": before},
        after={"version": version, "rates": dict(draft.rates), "valid_from": draft.valid_from},
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
    return price


@transaction.atomic
def organization_price_end(
    *, price: OrganizationPrice, actor: Actor, at: datetime | None = None, reason: str = ""
) -> None:
    """Let an own price hold no longer; from then on the list counts."""
    at = at or timezone.now()
    starts_later = price.valid_from is not None and price.valid_from >= at
    if starts_later:
        price.superseded_at = at
    else:
        price.valid_to = at
    price.save(update_fields=["superseded_at", "valid_to"])
    record_change(
        organization_id=price.organization_id,
        actor=actor,
        action="price.ended",
        subject=Subject("price", price.id.hex, f"{price.vendor or 'any'}/{price.model}"),
        after={"version": price.version, "at": at},
        reason=reason,
        shards=(ShardKind.POLICY,),
    )


def _store_facts(models: Iterable[ModelFacts]) -> None:
    KnownModel.objects.bulk_create(
        [
            KnownModel(
                vendor=facts.vendor,
                model=facts.model,
                display_name=facts.display_name[:200],
                context_tokens=facts.context_tokens,
                max_output_tokens=facts.max_output_tokens,
                is_offered=facts.is_offered,
            )
            for facts in models
        ],
        update_conflicts=True,
        unique_fields=["vendor", "model"],
        update_fields=["display_name", "context_tokens", "max_output_tokens", "is_offered"],
    )


def _columns(draft: PriceDraft) -> dict[str, object]:
    return {
        "vendor": draft.vendor,
        "model": draft.model,
        "rates": dict(draft.rates),
        "bands": draft.bands_json(),
        "tiers": draft.tiers_json(),
        "per_web_search_nano_usd": draft.per_web_search_nano_usd,
        "us_geo_per_mille": draft.us_geo_per_mille,
        "valid_from": draft.valid_from,
        "valid_to": draft.valid_to,
        "source": draft.source[:300],
    }


def _check_draft(draft: PriceDraft) -> None:
    tables = [draft.rates, *(band.rates for band in draft.bands), *(tier.rates or {} for tier in draft.tiers)]
    for table in tables:
        if set(table) - set(RATE_NAMES):
            raise ValidationError({"rates": f"Known rates: {', '.join(RATE_NAMES)}."})
        if any(not 0 <= rate <= MAX_RATE_NANO_USD for rate in table.values()):
            raise ValidationError({"rates": "Each is nano-USD per million tokens, not below zero."})
    if not {"input", "output"} <= set(draft.rates):
        raise ValidationError({"rates": "input and output must be stated."})
