"""Mute somebody's unusual days for a time."""

from datetime import UTC, date, timedelta
from typing import Any

from django import forms
from django.utils import timezone

PRESETS = (7, 30)
UNTIL = "until"


class MuteForm(forms.Form):
    how_long = forms.ChoiceField(
        choices=[*((str(days), f"{days} days") for days in PRESETS), (UNTIL, "Until a day")],
        initial=str(PRESETS[0]),
        widget=forms.RadioSelect,
        label="For how long",
    )
    last_day = forms.DateField(
        required=False,
        label="Last day",
        help_text="Of UTC, at most a year ahead. Of the day after, people are told again.",
        widget=forms.DateInput(attrs={"type": "date", "data-needed": True}),
    )
    reason = forms.CharField(
        max_length=300,
        label="Why",
        help_text="Whoever wonders at the silence reads it: a migration until Friday, a known load test.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("how_long") == UNTIL and not given.get("last_day") and "last_day" not in self.errors:
            self.add_error("last_day", "Choose the last day.")
        return given

    def chosen_day(self) -> date:
        """The last day of the mute; only after `is_valid`."""
        given = self.cleaned_data
        if given["how_long"] == UNTIL:
            chosen: date = given["last_day"]
            return chosen
        return timezone.now().astimezone(UTC).date() + timedelta(days=int(given["how_long"]))
