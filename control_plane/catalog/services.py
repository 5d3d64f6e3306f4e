"""Load the price book; set an organization's own prices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.catalog.genai_import import read_genai_prices
from control_plane.catalog.models import (
    Discount,
    KnownModel,
    ListPrice,
    OrganizationPrice,
    PriceListLoad,
    PricingPolicy,
)
from control_plane.catalog.price_file import read_price_lists
from control_plane.catalog.price_row import (
    MAX_RATE_NANO_USD,
    RATE_NAMES,
    DiscountDraft,
    ModelFacts,
    PriceDraft,
    PriceList,
)
from control_plane.catalog.selectors import unknown_models_of
from control_plane.organizations.models import Organization
from switchyard_contract.price_choice import UNKNOWN_MODELS
from switchyard_contract.usage import PIECE_UNITS

MOST_PER_MILLE = 10_000
MOST_STARS = 4


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
    gone = sorted(held - wanted.keys())
    returned = ListPrice.objects.filter(version__in=missing).update(superseded_at=None)
    known = set(ListPrice.objects.filter(version__in=missing).values_list("version", flat=True)) if returned else set()
    ListPrice.objects.bulk_create(
        [
            ListPrice(version=version, set_by=actor.name[:200], **_columns(wanted[version]))
            for version in sorted(missing - known)
        ]
    )
    superseded = ListPrice.objects.filter(version__in=gone).update(superseded_at=now)
    _note_checks(wanted, held)
    _store_facts(book.models)
    report = LoadReport(added=len(missing), superseded=superseded, total=len(wanted))
    if report.added or report.superseded:
        PriceListLoad.objects.create(
            loaded_at=now,
            loaded_by=actor.name[:200],
            added=sorted(missing),
            superseded=gone,
            total=len(wanted),
        )
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
        price = OrganizationPrice(
            organization=organization, version=version, set_by=actor.name[:200], **_columns(draft)
        )
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


@transaction.atomic
def discount_set(*, organization: Organization, draft: DiscountDraft, actor: Actor, reason: str = "") -> Discount:
    """Take something off list prices from an instant on; one of the same reach and beginning is superseded."""
    _check_discount(draft)
    version = draft.version(organization.id.hex)
    same_start = Discount.objects.select_for_update().filter(
        organization=organization,
        vendor=draft.vendor,
        model_glob=draft.model_glob,
        valid_from=draft.valid_from,
        superseded_at__isnull=True,
    )
    if (existing := same_start.filter(version=version, valid_to=draft.valid_to).first()) is not None:
        return existing
    before = [row.version for row in same_start]
    same_start.update(superseded_at=timezone.now())
    discount = Discount.objects.filter(version=version, organization=organization).first()
    if discount is None:
        discount = Discount(
            organization=organization,
            version=version,
            vendor=draft.vendor,
            model_glob=draft.model_glob,
            per_mille=draft.per_mille,
            valid_from=draft.valid_from,
            valid_to=draft.valid_to,
            source=draft.source[:300],
            set_by=actor.name[:200],
        )
        discount.full_clean()
        discount.save(force_insert=True)
    else:
        # It was corrected or ended, and holds again.
        discount.superseded_at, discount.valid_to = None, draft.valid_to
        discount.save(update_fields=["superseded_at", "valid_to"])
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="discount.set",
        subject=Subject("discount", discount.id.hex, _discount_name(discount)),
        before={"versions": before},
        after={"version": version, "per_mille": draft.per_mille, "valid_from": draft.valid_from},
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
    return discount


@transaction.atomic
def discount_end(*, discount: Discount, actor: Actor, at: datetime | None = None, reason: str = "") -> None:
    """Let a discount hold no longer; what was used until then keeps its cost."""
    at = at or timezone.now()
    if discount.valid_from is not None and discount.valid_from >= at:
        discount.superseded_at = at
    else:
        discount.valid_to = at
    discount.save(update_fields=["superseded_at", "valid_to"])
    record_change(
        organization_id=discount.organization_id,
        actor=actor,
        action="discount.ended",
        subject=Subject("discount", discount.id.hex, _discount_name(discount)),
        after={"version": discount.version, "at": at},
        reason=reason,
        shards=(ShardKind.POLICY,),
    )


@transaction.atomic
def unknown_models_set(*, organization: Organization, choice: str, actor: Actor, reason: str = "") -> PricingPolicy:
    """Say what happens with models that have no price."""
    if choice not in UNKNOWN_MODELS:
        raise ValidationError({"unknown_models": f"One of {', '.join(UNKNOWN_MODELS)}."})
    before = unknown_models_of(organization.id)
    policy, _ = PricingPolicy.objects.update_or_create(organization=organization, defaults={"unknown_models": choice})
    if choice != before:
        record_change(
            organization_id=organization.id,
            actor=actor,
            action="unknown_models.set",
            subject=Subject("pricing_policy", organization.id.hex, "models without a price"),
            before={"unknown_models": before},
            after={"unknown_models": choice},
            reason=reason,
            shards=(ShardKind.POLICY,),
        )
    return policy


def _discount_name(discount: Discount) -> str:
    return f"{discount.vendor or 'any'}/{discount.model_glob}"


def _note_checks(wanted: Mapping[str, PriceDraft], held: set[str]) -> None:
    """The same numbers under a source that was looked at anew: the row stays, its date moves on."""
    checked = {
        row.version: row
        for row in ListPrice.objects.filter(version__in=held & wanted.keys()).only("version", "checked_on", "source")
    }
    moved = []
    for version, row in checked.items():
        draft = wanted[version]
        if (row.checked_on, row.source) != (draft.checked_on, draft.source[:300]):
            row.checked_on, row.source = draft.checked_on, draft.source[:300]
            moved.append(row)
    ListPrice.objects.bulk_update(moved, ["checked_on", "source"], batch_size=500)


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
        "unit_nano_usd": dict(draft.unit_nano_usd),
        "checked_on": draft.checked_on,
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
    if set(draft.unit_nano_usd) - set(PIECE_UNITS):
        raise ValidationError({"units": f"Known pieces: {', '.join(PIECE_UNITS)}."})
    if any(not 0 <= fee <= MAX_RATE_NANO_USD for fee in draft.unit_nano_usd.values()):
        raise ValidationError({"units": "Each is nano-USD for one, not below zero."})


def _check_discount(draft: DiscountDraft) -> None:
    if not 0 <= draft.per_mille <= MOST_PER_MILLE:
        raise ValidationError({"per_mille": f"Between 0 and {MOST_PER_MILLE} thousandths of the list price."})
    if not draft.model_glob or set(draft.model_glob) & set("[]"):
        raise ValidationError({"model_glob": "A model's name, with * for any text and ? for one character."})
    if draft.model_glob.count("*") > MOST_STARS:
        raise ValidationError({"model_glob": f"At most {MOST_STARS} wild cards."})
    if draft.valid_from and draft.valid_to and draft.valid_to <= draft.valid_from:
        raise ValidationError({"valid_to": "It ends before it begins."})
