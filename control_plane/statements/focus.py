"""A month in the columns of FOCUS, the FinOps Open Cost and Usage Specification, version 1.2.

One row per day, team, person or service account, provider account, region and model; corrections are rows of their own.
The sum of BilledCost is what the month adds to its statement. A caller's own subscription is billed 0; what it would
have cost stands in x_SubscriptionCost. Prices by contract are not turned back into list prices: ListCost,
ContractedCost and EffectiveCost are what was paid.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from control_plane.credentials.models import Provider
from control_plane.organizations.models import Organization
from control_plane.statements.accounts import BY_HAND, CorrectionLine, TeamAccount
from control_plane.statements.reading import WHO, Sums, Teams, Window, read_corrections, read_usage
from control_plane.statements.selectors import accounts_of
from control_plane.usage.closing import month_after
from control_plane.usage.selectors.names import names_of
from switchyard_contract.quantity import NanoUsd, usd_text

VERSION: Final = "1.2"
# Commitments and unit prices are empty: tokens of several kinds make one row, and contracts of this sort are not known.
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
_NULL = ""
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Book:
    """What all rows of a month have alike, and the names they need."""

    organization: Organization
    month: date
    accounts: Mapping[UUID | None, TeamAccount]
    vendors: Mapping[UUID, str]


def focus_rows(organization: Organization, month: date, teams: Teams = None) -> Iterator[tuple[str, ...]]:
    """The rows of a month in the order of COLUMNS, day by day. teams: only these; None: all."""
    book = _Book(
        organization,
        month,
        {account.team_id: account for account in accounts_of(organization, month)},
        dict(Provider.objects.filter(organization=organization).values_list("id", "vendor")),
    )
    day = month
    while day < month_after(month):
        window = Window(organization.id, day, day + timedelta(days=1))
        usage = read_usage(window, _KEYS, teams)
        names = names_of(organization.id, principal_ids={key[1] for key in usage})
        for key in sorted(usage, key=str):
            yield _row(book, _usage(book, day, key, usage[key], names.principal(key[1]) or ""))
        for line in read_corrections(organization, window, teams):
            yield _row(book, _correction(book, line))
        day += timedelta(days=1)


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


def _usage(book: _Book, day: date, key: tuple[Any, ...], sums: Sums, principal: str) -> dict[str, str]:
    team_id, principal_id, principal_kind, account, model, provider_id, region = key
    vendor = book.vendors.get(provider_id, "") or account or _UNKNOWN
    tokens = str(sums.tokens_in + sums.tokens_out)
    return {
        **_money(sums.paid),
        **_whose(book, team_id, principal_id, principal_kind, principal),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"Tokens of {model or _UNKNOWN}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _instant(day),
        "ChargePeriodEnd": _instant(day + timedelta(days=1)),
        "ConsumedQuantity": tokens,
        "ConsumedUnit": "Tokens",
        "InvoiceIssuerName": vendor,
        "PricingCategory": "Standard",
        "PricingQuantity": tokens,
        "PricingUnit": "Tokens",
        "ProviderName": vendor,
        "PublisherName": vendor,
        "RegionId": region,
        "RegionName": region,
        "ResourceId": model,
        "ResourceName": model,
        "ResourceType": "Model" if model else _NULL,
        "ServiceName": f"{vendor} models",
        "SkuId": model,
        "SkuMeter": "Tokens",
        "x_ProviderAccount": account,
        "x_Requests": str(sums.requests),
        "x_SubscriptionCost": usd_text(NanoUsd(sums.shadow)),
        "x_TokensIn": str(sums.tokens_in),
        "x_TokensOut": str(sums.tokens_out),
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


def _instant(day: date) -> str:
    return f"{day:%Y-%m-%d}T00:00:00Z"
