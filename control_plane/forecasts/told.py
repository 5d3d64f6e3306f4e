"""A forecast as the REST API tells it, with names of today."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from control_plane.forecasts.burn_down import Curve
from control_plane.forecasts.drivers import Driver
from control_plane.forecasts.models import Forecast
from control_plane.forecasts.words import none_words
from control_plane.rest.fields import money
from control_plane.usage.selectors.counter_words import counter_words
from control_plane.usage.selectors.names import Names, names_of


def forecast_out(row: Forecast, *, counter_text: str = "", names: Names | None = None) -> dict[str, Any]:
    """One forecast; with its course and drivers where their names are at hand."""
    told: dict[str, Any] = {
        "id": row.id.hex,
        "budget_id": None if row.budget_id is None else row.budget_id.hex,
        "budget": row.budget_name or None,
        "counter": row.counter,
        "counter_text": counter_text,
        "period": row.period_unit,
        "timezone": row.timezone,
        "ends_at": None if row.ends_at is None else row.ends_at.isoformat(),
        "as_of": row.as_of.isoformat(),
        "spent_nano_usd": row.spent_nano_usd,
        "spent_usd": money(row.spent_nano_usd),
        "previous_usd": _money(row.previous_nano_usd),
        "limit_usd": _money(row.limit_nano_usd),
        **band_out(row),
        "actual_usd": _money(row.actual_nano_usd),
        "is_inside": row.is_inside,
    }
    if names is not None:
        curve = Curve.from_json(row.curve)
        told["drivers"] = [driver_out(Driver.from_json(stored), names) for stored in row.drivers]
        told["course"] = [{"at": one.at.isoformat(), "spent_usd": money(one.nano_usd)} for one in curve.spent] + [
            {"at": one.at.isoformat(), **{f"{name}_usd": money(getattr(one, name)) for name in ("p10", "p50", "p90")}}
            for one in curve.heading
        ]
    return told


def band_out(row: Forecast) -> dict[str, Any]:
    """Where it is heading, or why that cannot be said."""
    return {
        "p10_usd": _money(row.p10_nano_usd),
        "p50_usd": _money(row.p50_nano_usd),
        "p90_usd": _money(row.p90_nano_usd),
        "p50_nano_usd": row.p50_nano_usd,
        "over_percent": row.over_percent,
        "spent_at": {
            name: None if at is None else at.isoformat()
            for name, at in (("p10", row.spent_p10_at), ("p50", row.spent_p50_at), ("p90", row.spent_p90_at))
        },
        "why_none": row.why_none or None,
        "why_none_text": ". ".join(none_words(row.why_none, row.days_needed)) if row.why_none else None,
        "days_needed": row.days_needed,
    }


def driver_out(driver: Driver, names: Names) -> dict[str, Any]:
    return {
        "kind": driver.kind,
        "value": driver.value,
        "name": driver_name(driver, names),
        "is_new": driver.is_new,
        "spent_usd": money(driver.spent_nano_usd),
        "expected_usd": money(driver.expected_nano_usd),
        "previous_usd": money(driver.previous_nano_usd),
    }


def driver_name(driver: Driver, names: Names) -> str:
    """What people call it today; who is gone goes by the id."""
    match driver.kind:
        case "user" | "service_account":
            return names.principal(UUID(driver.value)) or driver.value
        case "team":
            return names.teams.get(UUID(driver.value)) or driver.value
        case _:
            return driver.value


def names_for(organization_id: UUID, drivers: Iterable[Driver]) -> Names:
    """The names of drivers; at most one query for each kind."""
    found = list(drivers)
    people = [UUID(one.value) for one in found if one.kind in ("user", "service_account")]
    teams = [UUID(one.value) for one in found if one.kind == "team"]
    return names_of(organization_id, principal_ids=people, team_ids=teams)


def counter_texts(organization_id: UUID, rows: Sequence[Forecast]) -> dict[UUID, str]:
    """Whose counter each forecast is about, by the forecast's id."""
    words = counter_words(organization_id, [(tuple(row.per), row.counter) for row in rows])
    return {row.id: words[tuple(row.per), row.counter] for row in rows}


def _money(amount: int | None) -> str | None:
    return None if amount is None else money(amount)
