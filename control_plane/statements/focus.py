"""A month in the columns of FOCUS, the FinOps Open Cost and Usage Specification, version 1.2.

One row per day, team, person or service account, provider account, region, model, version of its price and meter (a
kind of tokens, searches, pieces); corrections are rows of their own. BilledCost and EffectiveCost are what was booked,
and their sum is what the month adds to its statement. ListCost is what everybody is asked, ContractedCost what was
agreed: unit price times quantity. A caller's own subscription is billed 0; what it would have cost is ListCost, and
stands in x_SubscriptionCost as it was booked. Days whose single requests are no longer kept have one row for all kinds
of tokens, without unit prices. Source: docs/decisions/0180-focus-rows-are-meters.md
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from control_plane.catalog.selectors import Book, book_of, price_by_version
from control_plane.credentials.models import Provider
from control_plane.organizations.models import Organization
from control_plane.statements.accounts import BY_HAND, CorrectionLine, TeamAccount
from control_plane.statements.metering import Metered, read_metered
from control_plane.statements.meters import ALL_KINDS, TOKENS, Meter, Priced, split, usd_for_one
from control_plane.statements.reading import WHO, Sums, Teams, Window, read_corrections, read_usage
from control_plane.statements.selectors import accounts_of
from control_plane.usage.closing import month_after
from control_plane.usage.selectors.names import names_of
from switchyard_contract.price_choice import DISCOUNT_MARK
from switchyard_contract.pricing import Price
from switchyard_contract.quantity import NanoUsd, usd_text

VERSION: Final = "1.2"
# Commitments are empty: contracts of this sort are not known.
COLUMNS: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_CostCentre",
    "x_Principal",
    "x_PrincipalId",
    "x_PrincipalKind",
    "x_ProviderAccount",
    "x_Requests",
    "x_SubscriptionCost",
    "x_TokensIn",
    "x_TokensOut",
)
_KEYS = (*WHO, "provider_id", "region")
_INSTANT_OF_DAY = timedelta(hours=12)
_NULL = ""
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Book:
    """What all rows of a month have alike, and the names they need."""

    organization: Organization
    month: date
    accounts: Mapping[UUID | None, TeamAccount]
    vendors: Mapping[UUID, str]
    prices: "_Prices"


class _Prices:
    """The prices that rows name, each looked up once."""

    def __init__(self, organization_id: UUID) -> None:
        self._organization_id = organization_id
        self._priced: dict[str, Price | None] = {}
        self._books: dict[str, Book] = {}

    def of(self, metered: Metered, day: date) -> Priced | None:
        """What a sum was booked by, and what the list asks; None: it was unpriced, or its version is not known here."""
        price = self._version(metered.price_version)
        if price is None:
            return None
        listed = self._version(metered.price_version.partition(DISCOUNT_MARK)[0]) or price
        if listed.is_override and not metered.is_subscription:
            at = datetime.combine(day, time(), UTC) + _INSTANT_OF_DAY
            asked = self._book(metered.model).choose(
                metered.vendor, metered.model, int(at.timestamp() * 1000), is_subscription=True
            )
            listed = asked.price if asked.price is not None and not asked.note else listed
        return Priced(price, listed)

    def _version(self, version: str) -> Price | None:
        if version not in self._priced:
            self._priced[version] = price_by_version(version, self._organization_id) if version else None
        return self._priced[version]

    def _book(self, model: str) -> Book:
        if model not in self._books:
            self._books[model] = book_of(self._organization_id, [model])
        return self._books[model]


def focus_rows(
    organization: Organization, month: date, teams: Teams = None, *, kept_since: date | None = None
) -> Iterator[tuple[str, ...]]:
    """The rows of a month in the order of COLUMNS, day by day. teams: only these; None: all. kept_since: the first day
    of which the ledger has every row; None: as the installation keeps them."""
    if kept_since is None:
        kept_since = timezone.now().date() - timedelta(days=settings.SWITCHYARD.ledger_days - 2)
    book = _Book(
        organization,
        month,
        {account.team_id: account for account in accounts_of(organization, month)},
        dict(Provider.objects.filter(organization=organization).values_list("id", "vendor")),
        _Prices(organization.id),
    )
    day = month
    while day < month_after(month):
        window = Window(organization.id, day, day + timedelta(days=1))
        if day >= kept_since:
            yield from _metered_rows(book, day, teams)
        else:
            yield from _summed_rows(book, day, window, teams)
        for line in read_corrections(organization, window, teams):
            yield _row(book, _correction(book, line))
        day += timedelta(days=1)


def _metered_rows(book: _Book, day: date, teams: Teams) -> Iterator[tuple[str, ...]]:
    metered = read_metered(book.organization.id, day, teams)
    names = names_of(book.organization.id, principal_ids={one.principal_id for one in metered})
    for one in sorted(metered, key=str):
        amounts = metered[one]
        meters = split(
            amounts.tokens,
            amounts.units,
            amounts.web_searches,
            priced=book.prices.of(one, day),
            band=one.band,
            tier=one.service_tier,
            geo=one.inference_geo,
            booked=amounts.cost,
            rows=amounts.rows,
        )
        principal = names.principal(one.principal_id) or ""
        for place, meter in enumerate(meters):
            own = _meter(book, day, one, meter, principal)
            if meter.kind == ALL_KINDS:
                own |= {"x_TokensIn": str(amounts.tokens_in), "x_TokensOut": str(amounts.tokens_out)}
            # Of several meters of the same requests one has their count.
            yield _row(book, {**own, "x_Requests": str(0 if place else amounts.requests)})


def _summed_rows(book: _Book, day: date, window: Window, teams: Teams) -> Iterator[tuple[str, ...]]:
    """Of days of which only sums are left."""
    usage = read_usage(window, _KEYS, teams)
    names = names_of(book.organization.id, principal_ids={key[1] for key in usage})
    for key in sorted(usage, key=str):
        yield _row(book, _summed(book, day, key, usage[key], names.principal(key[1]) or ""))


def _row(book: _Book, own: Mapping[str, str]) -> tuple[str, ...]:
    values = {
        "BillingAccountId": book.organization.id.hex,
        "BillingAccountName": book.organization.name,
        "BillingAccountType": "Organization",
        "BillingCurrency": "USD",
        "BillingPeriodStart": _instant(book.month),
        "BillingPeriodEnd": _instant(month_after(book.month)),
        "PricingCurrency": "USD",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        **own,
    }
    return tuple(values.get(name, _NULL) for name in COLUMNS)


def _meter(book: _Book, day: date, one: Metered, meter: Meter, principal: str) -> dict[str, str]:
    paid = 0 if one.is_subscription else meter.billed_nano_usd
    contracted = 0 if one.is_subscription else meter.contracted_nano_usd
    prices = {}
    if meter.price is not None and meter.list_price is not None:
        marks = (one.service_tier, one.inference_geo, f"from {one.band}" if one.band else "")
        prices = {
            "ContractedUnitPrice": "0" if one.is_subscription else usd_for_one(meter.price),
            "ListUnitPrice": usd_for_one(meter.list_price),
            "SkuPriceId": "/".join((one.price_version, meter.kind, *filter(None, marks))),
        }
    quantity = str(meter.quantity)
    tokens = meter.quantity if meter.unit == TOKENS else 0
    return {
        **_usage(book, day, one.team_id, one.principal_id, one.principal_kind, principal),
        **_served_by(book, one.vendor, one.account, one.provider_id, one.model, one.region),
        **prices,
        "BilledCost": usd_text(NanoUsd(paid)),
        "ChargeDescription": f"{meter.label} of {one.model or _UNKNOWN}",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": meter.unit,
        "ContractedCost": usd_text(NanoUsd(contracted)),
        "EffectiveCost": usd_text(NanoUsd(paid)),
        "ListCost": usd_text(NanoUsd(meter.list_nano_usd)),
        "PricingQuantity": quantity,
        "PricingUnit": meter.unit,
        "SkuMeter": meter.label,
        "x_SubscriptionCost": usd_text(NanoUsd(meter.billed_nano_usd if one.is_subscription else 0)),
        "x_TokensIn": str(tokens if meter.is_input else 0),
        "x_TokensOut": str(0 if meter.is_input else tokens),
    }


def _summed(book: _Book, day: date, key: tuple[Any, ...], sums: Sums, principal: str) -> dict[str, str]:
    team_id, principal_id, principal_kind, account, model, provider_id, region = key
    tokens = str(sums.tokens_in + sums.tokens_out)
    return {
        **_money(sums.paid),
        **_usage(book, day, team_id, principal_id, principal_kind, principal),
        **_served_by(book, "", account, provider_id, model, region),
        "ChargeDescription": f"Tokens of {model or _UNKNOWN}",
        "ConsumedQuantity": tokens,
        "ConsumedUnit": TOKENS,
        "ListCost": usd_text(NanoUsd(sums.paid + sums.shadow)),
        "PricingQuantity": tokens,
        "PricingUnit": TOKENS,
        "SkuMeter": TOKENS,
        "x_Requests": str(sums.requests),
        "x_SubscriptionCost": usd_text(NanoUsd(sums.shadow)),
        "x_TokensIn": str(sums.tokens_in),
        "x_TokensOut": str(sums.tokens_out),
    }


def _usage(
    book: _Book, day: date, team_id: UUID | None, principal_id: UUID | None, principal_kind: str, principal: str
) -> dict[str, str]:
    return {
        **_whose(book, team_id, principal_id, principal_kind, principal),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _instant(day),
        "ChargePeriodEnd": _instant(day + timedelta(days=1)),
        "PricingCategory": "Standard",
    }


def _served_by(
    book: _Book, vendor: str, account: str, provider_id: UUID | None, model: str, region: str
) -> dict[str, str]:
    vendor = (book.vendors.get(provider_id, "") if provider_id else "") or vendor or account or _UNKNOWN
    return {
        "InvoiceIssuerName": vendor,
        "ProviderName": vendor,
        "PublisherName": vendor,
        "RegionId": region,
        "RegionName": region,
        "ResourceId": model,
        "ResourceName": model,
        "ResourceType": "Model" if model else _NULL,
        "ServiceName": f"{vendor} models",
        "SkuId": model,
        "x_ProviderAccount": account,
    }


def _correction(book: _Book, line: CorrectionLine) -> dict[str, str]:
    """A correction of usage says so by its class; one by hand is a charge of its own, a credit where it is negative."""
    by_hand = line.kind == BY_HAND
    category = ("Credit" if line.amount_nano_usd < 0 else "Adjustment") if by_hand else "Usage"
    # What is corrected lies in an earlier month, and a charge's period must be that of what it is for.
    first = line.about_month or line.counted_on
    last = month_after(line.about_month) if line.about_month else line.counted_on + timedelta(days=1)
    return {
        **_money(line.amount_nano_usd),
        **_whose(book, line.team_id, line.principal_id, "", line.principal),
        "ChargeCategory": category,
        "ChargeClass": _NULL if by_hand else "Correction",
        "ChargeDescription": line.note,
        "ChargeFrequency": "One-Time" if by_hand else "Usage-Based",
        "ChargePeriodStart": _instant(first),
        "ChargePeriodEnd": _instant(last),
        "InvoiceIssuerName": book.organization.name,
        "ProviderName": book.organization.name,
        "PublisherName": book.organization.name,
        "ResourceId": line.model,
        "ResourceName": line.model,
        "ResourceType": "Model" if line.model else _NULL,
        "ServiceName": "Corrections",
        "SkuId": line.model,
    }


def _whose(
    book: _Book, team_id: UUID | None, principal_id: UUID | None, principal_kind: str, principal: str
) -> dict[str, str]:
    account = book.accounts.get(team_id)
    cost_centre = account.cost_centre if account is not None else ""
    tags = {"cost_centre": cost_centre, "principal": principal}
    return {
        "SubAccountId": team_id.hex if team_id else _NULL,
        "SubAccountName": account.team if account is not None else _NULL,
        "SubAccountType": "Team" if team_id else _NULL,
        "Tags": json.dumps({name: value for name, value in tags.items() if value}, ensure_ascii=False),
        "x_CostCentre": cost_centre,
        "x_Principal": principal,
        "x_PrincipalId": principal_id.hex if principal_id else _NULL,
        "x_PrincipalKind": principal_kind,
    }


def _money(paid: int) -> dict[str, str]:
    text = usd_text(NanoUsd(paid))
    return dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), text)


@lru_cache(maxsize=64)
def _instant(day: date) -> str:
    return f"{day:%Y-%m-%d}T00:00:00Z"
