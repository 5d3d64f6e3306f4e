"""Measure the models that vendors offer to everybody: what exchanges cost of their worst case, and bytes per token.

Each closed day of the ledger is read once, an hour at a time and no more than so many rows of it, into one row per
model. What pods are told is worked out from those rows. Numbers are of all organizations together: they are ratios of
public models and say of nobody how much or for what (docs/decisions/0130-what-models-cost-of-their-worst-case.md).
"""

import re
from collections.abc import Iterator, Set
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max

from control_plane.catalog.models import KnownModel
from control_plane.usage import decisions, entries, ulid
from control_plane.usage.models import LedgerEntry, ModelDay, ModelMeasure
from control_plane.usage.ratios import BUCKETS, Facts, Measured, facts_of, steadied
from switchyard_contract.counters import MICRO, Verdict

COST_DAYS = 14
"""How people work with a model changes; what was a month ago says less."""
PROMPT_DAYS = 30
MOST_DAYS_AT_ONCE = 7
MOST_ROWS_OF_AN_HOUR = 20_000
CLOSED_AFTER = timedelta(hours=1)
"""Most of what pods still hold of a day is in the ledger by then."""
_ADMITTED = (Verdict.ADMITTED, Verdict.OUTAGE_ADMITTED)
_DATED = re.compile(r"(?P<undated>.+?)(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2})")
_CACHED = ("cache_read", "cache_write_5m", "cache_write_1h", "cache_write_30m", "cache_write_12h", "cache_write_other")
_COLUMNS = ("vendor", "model", "request_bytes", "cost_nano_usd", "decision", "input_fresh", *_CACHED)

ModelName = tuple[str, str]
"""Vendor and model, without a date."""


def undated(model: str) -> str:
    """A model's name without the date behind it: what it is called by those who asked for it."""
    dated = _DATED.fullmatch(model)
    return model if dated is None else dated["undated"]


def models_measure(*, now: datetime) -> int:
    """Read the closed days that were not read yet and work out anew what is told; says how many models moved."""
    closed = (now - CLOSED_AFTER).astimezone(UTC).date() - timedelta(days=1)
    newest = ModelDay.objects.aggregate(newest=Max("day"))["newest"]
    first = closed - timedelta(days=MOST_DAYS_AT_ONCE - 1)
    if newest is not None:
        first = max(first, newest + timedelta(days=1))
    if first > closed:
        return 0
    public = public_models()
    days = [first + timedelta(days=number) for number in range((closed - first).days + 1)]
    read = {day: _read_day(day, public) for day in days}
    with transaction.atomic():
        _write_days(read)
        ModelDay.objects.filter(day__lte=closed - timedelta(days=PROMPT_DAYS)).delete()
        return _tell(closed, now)


def public_models() -> frozenset[ModelName]:
    """The models of the price lists: a name that only one organization knows is nobody else's business."""
    return frozenset(
        (vendor, undated(model)) for vendor, model in KnownModel.objects.order_by().values_list("vendor", "model")
    )


def facts_by_model() -> dict[ModelName, Facts]:
    """What pods are told, of the models of which anything is known."""
    found = {(row.vendor, row.model): _told_facts(row) for row in ModelMeasure.objects.all()}
    return {name: facts for name, facts in found.items() if facts != Facts()}


def _read_day(day: date, public: Set[ModelName]) -> dict[ModelName, Measured]:
    found: dict[ModelName, Measured] = {}
    start = datetime.combine(day, time(), UTC)
    for hour in range(24):
        begins = start + timedelta(hours=hour)
        for vendor, model, request_bytes, cost, decision, *tokens in _rows_of(day, begins):
            name = (vendor, undated(model))
            if name not in public:
                continue
            measured = found.setdefault(name, Measured())
            measured.add_prompt(request_bytes, sum(tokens))
            if worst := _worst_of(decision):
                measured.add_cost(cost, worst)
    return found


def _rows_of(day: date, begins: datetime) -> Iterator[tuple[Any, ...]]:
    """Exchanges that were served at the first attempt and told their whole usage, paid by the token alone."""
    rows = LedgerEntry.objects.filter(
        day=day,
        exchange_id__gte=ulid.lowest_at(begins),
        exchange_id__lt=ulid.lowest_at(begins + timedelta(hours=1)),
        attempt=1,
        kind=entries.FINAL,
        outcome=entries.SERVED,
        operation="generate",
        is_subscription=False,
        usage_is_inconsistent=False,
        web_searches=0,
        input_tool=0,
    ).exclude(price_version="")
    ordered = rows.order_by("exchange_id").values_list(*_COLUMNS)
    return ordered[:MOST_ROWS_OF_AN_HOUR].iterator(chunk_size=2_000)


def _worst_of(decision: bytes | None) -> int:
    """The worst case that was reckoned with, nano-USD; 0: none was."""
    if not decision:
        return 0
    answer = decisions.answer_in(decisions.unpack(decision))
    return answer.worst * MICRO if answer is not None and answer.verdict in _ADMITTED else 0


def _write_days(read: dict[date, dict[ModelName, Measured]]) -> None:
    rows = [
        ModelDay(
            day=day,
            vendor=vendor,
            model=model,
            ratio_counts=measured.ratio_counts,
            above_worst=measured.above_worst,
            prompts=measured.prompts,
            least_bytes_per_token_milli=measured.least_bytes_per_token_milli,
        )
        for day, found in read.items()
        for (vendor, model), measured in found.items()
    ]
    # Another worker may have read the same day: it found the same.
    ModelDay.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)


def _tell(closed: date, now: datetime) -> int:
    costs: dict[ModelName, Measured] = {}
    prompts: dict[ModelName, Measured] = {}
    for row in ModelDay.objects.filter(day__gt=closed - timedelta(days=PROMPT_DAYS)).iterator(chunk_size=500):
        name = (row.vendor, row.model)
        measured = Measured(
            # Days that were counted in other buckets say nothing of costs any more.
            list(row.ratio_counts) if len(row.ratio_counts) == BUCKETS else [0] * BUCKETS,
            row.above_worst,
            row.prompts,
            row.least_bytes_per_token_milli,
        )
        prompts.setdefault(name, Measured()).merge(measured)
        if row.day > closed - timedelta(days=COST_DAYS):
            costs.setdefault(name, Measured()).merge(measured)
    told = {(row.vendor, row.model): row for row in ModelMeasure.objects.all()}
    moved = 0
    rows = []
    for name in sorted(told.keys() | prompts.keys()):
        of_costs, of_prompts = costs.get(name, Measured()), prompts.get(name, Measured())
        before = told.get(name)
        was = Facts() if before is None else _told_facts(before)
        found = facts_of(of_costs, of_prompts)
        tells = steadied(was, found)
        moved += tells != was
        rows.append(_measure(name, of_costs, of_prompts, found, tells, now))
    ModelMeasure.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["vendor", "model"],
        update_fields=[
            field.name for field in ModelMeasure._meta.fields if field.name not in ("id", "vendor", "model")
        ],
    )
    return moved


def _measure(
    name: ModelName, costs: Measured, prompts: Measured, found: Facts, tells: Facts, now: datetime
) -> ModelMeasure:
    vendor, model = name
    return ModelMeasure(
        vendor=vendor,
        model=model,
        exchanges=costs.exchanges,
        above_worst=costs.above_worst,
        prompts=prompts.prompts,
        found_expected_per_mille=found.expected_per_mille,
        found_calibrated_per_mille=found.calibrated_per_mille,
        found_bytes_per_token_milli=found.bytes_per_token_milli,
        expected_per_mille=tells.expected_per_mille,
        calibrated_per_mille=tells.calibrated_per_mille,
        bytes_per_token_milli=tells.bytes_per_token_milli,
        measured_at=now,
    )


def _told_facts(row: ModelMeasure) -> Facts:
    return Facts(row.expected_per_mille, row.calibrated_per_mille, row.bytes_per_token_milli)
