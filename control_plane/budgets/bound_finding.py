"""Find the bound of a budget in dollars: the dearest exchange it may meet, by the prices and measurements of today."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from control_plane.budgets.bounds import BoundInDollars, Seen, WorstExchange, bound_of
from control_plane.budgets.models import Bound, Budget
from control_plane.budgets.stages import block_percent, loaded_stages
from control_plane.catalog.models import KnownModel
from control_plane.catalog.selectors import contract_price, list_prices, organization_prices
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import active_providers, is_served_by
from control_plane.organizations.models import Organization
from control_plane.rules.conditions import PRINCIPAL_KINDS, loaded
from control_plane.rules.globs import fits
from control_plane.rules.overlap import undated
from switchyard_contract.pricing import Price, Rates, price_in_force
from switchyard_contract.quantity import NanoUsd

PER_MILLION = 1_000_000
CalibratedPerMille = Mapping[tuple[str, str], int]
"""(vendor, model without a date): the 99.9th percentile of actual / worst-case cost, in thousandths, as measured."""

Peaks = Mapping[str, int]
"""The most exchanges that ran at once lately: of the `organization`, and of any one `team`, `principal` or `key`."""

_measured: list[Callable[[], CalibratedPerMille]] = []
_peaks: list[Callable[[UUID], Peaks]] = []
_NARROWEST = (
    ("key", "any one key", ("key",), ("key",)),
    ("principal", "any one person or service account", ("principal", "user", "service_account"), PRINCIPAL_KINDS),
    ("team", "any one team", ("team",), ("team",)),
)
"""Whose peak: in words, where each of them has a counter (`per`), and where the only subject is one of them."""


def register_measurements(source: Callable[[], CalibratedPerMille]) -> None:
    """Say where measurements come from: the app that makes them lies above. Once, however often it is asked for."""
    if source not in _measured:
        _measured.append(source)


def register_peaks(source: Callable[[UUID], Peaks]) -> None:
    """Say where peaks come from, likewise."""
    if source not in _peaks:
        _peaks.append(source)


@dataclass(frozen=True, slots=True)
class _Priced:
    names: tuple[str, ...]
    worst: WorstExchange


@dataclass(frozen=True, slots=True)
class BoundFinder:
    """The dearest exchange of every model that an organization's providers serve; read once for many budgets."""

    models: tuple[_Priced, ...] = field(default=())
    peaks: Peaks = field(default_factory=dict)

    @classmethod
    def of(
        cls, organization: Organization, measured: CalibratedPerMille | None = None, now: datetime | None = None
    ) -> "BoundFinder":
        """measured None: as the app that measures tells it."""
        if measured is None:
            measured = {name: per_mille for source in _measured for name, per_mille in source().items()}
        at_ms = int((now or timezone.now()).timestamp() * 1000)
        providers = list(active_providers(organization.id))
        known = list(KnownModel.objects.filter(vendor__in={provider.vendor for provider in providers}))
        names = {row.model for row in known}
        prices = [contract_price(row, is_override=False) for row in list_prices().filter(model__in=names)]
        prices += [
            contract_price(row, is_override=True)
            for row in organization_prices(organization.id).filter(model__in=names)
        ]
        found = []
        for row in known:
            serving = [each for each in providers if each.vendor == row.vendor and is_served_by(each, row.model)]
            price = price_in_force(prices, row.vendor, row.model, at_ms) if serving else None
            if price is not None and (row.context_tokens or row.max_output_tokens):
                found.append(_Priced(_names(row, serving), _worst(row, price, measured)))
        peaks = {whose: peak for source in _peaks for whose, peak in source(organization.id).items()}
        return cls(tuple(found), peaks)

    def bound_of(self, budget: Budget) -> BoundInDollars:
        """The bound of one counter of a budget in one period."""
        globs = loaded(budget.when).models
        meant = [each.worst for each in self.models if not globs or any(fits(globs, name) for name in each.names)]
        return bound_of(
            limit=NanoUsd(budget.limit_nano_usd),
            block_percent=block_percent(loaded_stages(budget.stages)),
            is_strict=budget.bound == Bound.STRICT,
            grace=NanoUsd(budget.grace_nano_usd),
            dearest=max(meant, key=lambda each: each.worst - each.calibrated, default=None),
            seen=self._seen(budget),
        )

    def _seen(self, budget: Budget) -> Seen | None:
        """The most that ran at once of what one of its counters can count at most."""
        subjects = loaded(budget.when).subjects
        for whose, words, per, kinds in _NARROWEST:
            is_its_own = any(name in per for name in budget.per) or (len(subjects) == 1 and subjects[0].kind in kinds)
            if is_its_own and whose in self.peaks:
                return Seen(self.peaks[whose], words)
        return Seen(self.peaks["organization"], "the organization") if "organization" in self.peaks else None


def _names(row: KnownModel, serving: list[Provider]) -> tuple[str, ...]:
    return (row.model, *(f"{provider.name}/{row.model}" for provider in serving))


def _worst(row: KnownModel, price: Price, measured: CalibratedPerMille) -> WorstExchange:
    """Its whole context at the dearest rate of input, all the output it may write at the dearest of output."""
    rates = [price.rates, *(band.rates for band in price.bands)]
    into = max(_dearest_input(each) for each in rates)
    out = max(max(each.output, each.reasoning or 0) for each in rates)
    worst = NanoUsd((row.context_tokens * into + row.max_output_tokens * out) // PER_MILLION)
    per_mille = measured.get((row.vendor, undated(row.model)), 0)
    if not per_mille:
        return WorstExchange(row.model, worst, worst)
    return WorstExchange(row.model, worst, NanoUsd(worst * per_mille // 1000), is_measured=True)


def _dearest_input(rates: Rates) -> int:
    writes = (
        rates.cache_write_5m,
        rates.cache_write_1h,
        rates.cache_write_30m,
        rates.cache_write_12h,
        rates.input_tool,
    )
    return max(rates.input, *(rate or 0 for rate in writes))
