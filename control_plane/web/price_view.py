"""Prices as pages show them: rows with their history, and what another price would mean."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from uuid import UUID

from control_plane.catalog.models import ListPrice, OrganizationPrice, PriceFields, PriceListLoad
from control_plane.catalog.price_row import PriceBand, PriceDraft, PriceTier
from control_plane.catalog.selectors import book_of, contract_price
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import Interval, SeriesQuery, usage_page
from switchyard_contract.price_choice import DEAREST
from switchyard_contract.pricing import Price, amount_of
from switchyard_contract.usage import KINDS, TokenCounts

LOOKED_BACK = timedelta(days=30)
MOST_MODELS = 200
SHOWN_RATES = (
    "input",
    "input_tool",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "output",
    "reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
)


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A row of the book with where it stands."""

    row: PriceFields
    is_own: bool
    state: str
    """counts, to come, over, superseded, beside: another row counts in its place."""

    @property
    def rates(self) -> list[tuple[str, int]]:
        return [(name, self.row.rates[name]) for name in SHOWN_RATES if name in self.row.rates]

    @property
    def tone(self) -> str:
        return {"counts": "works", "to come": "told"}.get(self.state, "off")


@dataclass(frozen=True, slots=True)
class LoadChange:
    """What a load of the shipped list did to one model's price."""

    vendor: str
    model: str
    before: PriceFields | None
    after: PriceFields | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What other prices would have meant for the last 30 days."""

    days: int
    now_nano_usd: int
    then_nano_usd: int
    models: int

    @property
    def difference_nano_usd(self) -> int:
        return self.then_nano_usd - self.now_nano_usd


def versions_of(rows: Sequence[PriceFields], counting: Price | None, now: datetime) -> list[PriceVersion]:
    """Rows of one model with where each stands. counting: the price that counts now."""
    counted = "" if counting is None else counting.id.partition("|")[0]
    return [PriceVersion(row, isinstance(row, OrganizationPrice), _state(row, counted, now)) for row in rows]


def _state(row: PriceFields, counted: str, now: datetime) -> str:
    if row.superseded_at is not None:
        return "superseded"
    if row.version == counted:
        return "counts"
    if row.valid_from is not None and row.valid_from > now:
        return "to come"
    if row.valid_to is not None and row.valid_to <= now:
        return "over"
    return "beside"


def load_changes(load: PriceListLoad, *, most: int = 200) -> tuple[list[LoadChange], int]:
    """What a load changed, model by model, and how many there are in all. Rows before and after are paired by their
    beginning."""
    rows = list(ListPrice.objects.filter(version__in=[*load.added, *load.superseded]))
    added, pairs = set(load.added), dict[tuple[str, str, datetime | None], list[PriceFields | None]]()
    for row in rows:
        pair = pairs.setdefault((row.vendor, row.model, row.valid_from), [None, None])
        pair[1 if row.version in added else 0] = row
    changes = [LoadChange(key[0], key[1], before, after) for key, (before, after) in pairs.items()]
    changes.sort(key=lambda change: (change.before is None, change.vendor, change.model))
    return changes[:most], len(changes)


def steps_of(price: Price) -> PriceDraft:
    """The bands and tiers of a price, as a draft takes them over."""

    def table(rates: object) -> dict[str, int]:
        return {name: value for name in SHOWN_RATES if (value := getattr(rates, name)) is not None}

    return PriceDraft(
        vendor=price.vendor,
        model=price.model,
        rates=table(price.rates),
        bands=tuple(PriceBand(band.from_prompt_tokens, table(band.rates)) for band in price.bands),
        tiers=tuple(
            PriceTier(tier.name, tier.per_mille, None if tier.rates is None else table(tier.rates))
            for tier in price.tiers
        ),
        us_geo_per_mille=0 if price.us_geo_per_mille == 1000 else price.us_geo_per_mille,
    )


def meaning_of_price(organization_id: UUID, draft: PriceDraft, now: datetime) -> Meaning:
    """What the last 30 days of a model would have cost at a price, without bands, tiers and fees."""
    price = contract_price(_row(draft), is_override=True)
    found = _used(organization_id, now, (draft.model,))
    then = sum(amount_of(tokens, price) for _, tokens, _ in found)
    return Meaning(LOOKED_BACK.days, sum(cost for *_, cost in found), then, len(found))


def meaning_of_discount(organization_id: UUID, glob: str, vendor: str, per_mille: int, now: datetime) -> Meaning:
    """What the last 30 days of the models would have cost with a discount alone off the list."""
    book, at_ms = book_of(organization_id), int(now.timestamp() * 1000)
    used = [one for one in _used(organization_id, now, ()) if fnmatchcase(one[0], glob)]
    before = after = models = 0
    for model, tokens, cost in used:
        vendors_with = [vendor] if vendor else sorted({price.vendor for price in book.listed.get(model, ())})
        chosen = next(
            (each for name in vendors_with if (each := book.choose(name, model, at_ms)).price is not None), None
        )
        if chosen is None or chosen.price is None or chosen.price.is_override or chosen.note == DEAREST:
            continue
        listed = book.choose(chosen.price.vendor, model, at_ms, is_subscription=True).price
        if listed is None:
            continue
        # The present cost holds bands, tiers and fees; what is taken off is taken off all of them.
        full, paid = amount_of(tokens, listed), amount_of(tokens, chosen.price)
        before, models = before + cost, models + 1
        after += cost * full * per_mille // (paid * 1000) if paid else cost
    return Meaning(LOOKED_BACK.days, before, after, models)


def _row(draft: PriceDraft) -> OrganizationPrice:
    return OrganizationPrice(
        version="",
        vendor=draft.vendor,
        model=draft.model,
        rates=dict(draft.rates),
        bands=draft.bands_json(),
        tiers=draft.tiers_json(),
        per_web_search_nano_usd=draft.per_web_search_nano_usd,
        us_geo_per_mille=draft.us_geo_per_mille,
        unit_nano_usd=dict(draft.unit_nano_usd),
    )


def _used(organization_id: UUID, now: datetime, models: Iterable[str]) -> list[tuple[str, TokenCounts, int]]:
    """Model, tokens and cost of the last 30 days."""
    wanted = tuple(models)
    query = SeriesQuery(
        scope=Scope(organization_id),
        since=now - LOOKED_BACK,
        until=now,
        interval=Interval.TOTAL,
        group_by=("model",),
        filters={"model": wanted} if wanted else {},
        most_points=MOST_MODELS,
        measures=(*KINDS, "cost_nano_usd"),
    )
    return [
        (
            point.group[0],
            TokenCounts(**{kind: max(getattr(point.measures, kind), 0) for kind in KINDS}),
            point.measures.cost_nano_usd,
        )
        for point in usage_page(query).points
    ]
