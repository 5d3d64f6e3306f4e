"""Raising a budget for a while, asking for more of it, and deciding about that."""

from datetime import datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from control_plane.web.forms.rule_text import AmountField
from switchyard_contract.quantity import NanoUsd, nano_usd

PERIOD_END, ON_DAY = "period", "day"


class UsdField(AmountField):
    """Dollars; cleans to nano-USD, or None where nothing was typed."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        if not text.isascii() or "_" in text:
            raise forms.ValidationError("No amount in US dollars. Right: 10 or 12.50.")
        try:
            amount = nano_usd(text)
        except ValueError as failure:
            raise forms.ValidationError("No amount in US dollars. Right: 10 or 12.50.") from failure
        if amount <= 0:
            raise forms.ValidationError("Right: an amount above 0.")
        return amount


class UntilFields(forms.Form):
    """Until when more is granted."""

    ends = forms.ChoiceField(
        choices=((PERIOD_END, "With the present period"), (ON_DAY, "On a day…")),
        initial=PERIOD_END,
        label="It ends",
    )
    until = forms.DateField(
        required=False, label="Last day", widget=forms.DateInput(attrs={"type": "date", "data-needed": True})
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("ends") == ON_DAY and not cleaned.get("until") and "until" not in self.errors:
            self.add_error("until", "Choose the last day on which it holds.")
        return cleaned

    @property
    def until_at(self) -> datetime | None:
        """The end of the last day, in the person's zone; None: the end of the present period."""
        if self.cleaned_data["ends"] != ON_DAY:
            return None
        return timezone.make_aware(datetime.combine(self.cleaned_data["until"], time(23, 59, 59)))


class RaiseForm(UntilFields):
    """More, for one counter or for all."""

    amount_usd = UsdField(label="More", placeholder="$5.00", help_text="Is added to the limit, in US dollars.")
    counter = forms.ChoiceField(required=False, label="For")
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("amount_usd", "counter", "ends", "until", "reason")

    def __init__(self, counters: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["counter"] = forms.ChoiceField(
            choices=[("", "Every counter of it"), *counters], required=False, label="For"
        )
        self.order_fields(self.field_order)


class RequestForm(forms.Form):
    """Asking for more."""

    amount_usd = UsdField(label="How much more", placeholder="$5.00", help_text="US dollars, besides what there is.")
    reason = forms.CharField(
        max_length=500,
        label="What it is for",
        help_text="Whoever decides reads it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class DecideForm(UntilFields):
    """Granting what was asked for, or another amount; or saying no."""

    amount_usd = UsdField(label="Grant", help_text="As it was asked for, or another amount.")
    note = forms.CharField(
        required=False,
        max_length=500,
        label="A word to whoever asked",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("amount_usd", "ends", "until", "note")


class DeclineForm(forms.Form):
    note = forms.CharField(
        max_length=500,
        label="Why not",
        help_text="Whoever asked reads it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def dollars_typed(amount: NanoUsd | int) -> str:
    """An amount as it is put into a field: 12.50."""
    whole, rest = divmod(int(amount), 1_000_000_000)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits}"
