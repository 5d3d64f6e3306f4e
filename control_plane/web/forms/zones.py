"""Time zones to choose from: those that people know by a city, and UTC."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms

_REGIONS = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)


@cache
def zones_offered() -> tuple[tuple[str, str], ...]:
    """UTC first; without what else is in a system's table: `Factory`, `localtime`, `EST5EDT`, `Etc/GMT+8` (which is
    eight hours behind)."""
    names = sorted(name for name in available_timezones() if name.startswith(_REGIONS))
    return tuple((name, name) for name in ("UTC", *names))


class ZoneSelect(forms.Select):
    """The script offers the browser's own beside it. One that was chosen elsewhere stays a choice."""

    def __init__(self, attrs: Mapping[str, Any] | None = None, choices: Iterable[Any] = ()) -> None:
        super().__init__({"data-zones": True, **(attrs or {})}, choices)

    def optgroups(self, name: str, value: list[str], attrs: dict[str, Any] | None = None) -> list[Any]:
        groups = super().optgroups(name, value, attrs)
        known = {str(option["value"]) for _, options, _ in groups for option in options}
        for number, chosen in enumerate(each for each in value if each and each not in known):
            index = len(groups) + number
            groups.append((None, [self.create_option(name, chosen, chosen, True, index, attrs=attrs)], index))
        return groups


class ZoneField(forms.ChoiceField):
    widget = ZoneSelect

    def __init__(self, **wishes: Any) -> None:
        super().__init__(choices=zones_offered, **wishes)

    def valid_value(self, value: Any) -> bool:
        return str(value) in available_timezones()
