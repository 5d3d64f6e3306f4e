"""An organization's own prices, discounts, what happens without a price, and a window to price anew."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms

from control_plane.catalog.price_row import RATE_NAMES, DiscountDraft, PriceDraft
from control_plane.credentials.vendors import vendors
from control_plane.organizations.models import Team
from control_plane.web.forms.price_steps import BandsField, TiersField
from control_plane.web.forms.rule_text import MONO, AmountField, LinesField
from control_plane.web.templatetags.prices import KINDS
from switchyard_contract.price_choice import UNKNOWN_MODELS
from switchyard_contract.quantity import nano_usd
from switchyard_contract.usage import PIECE_UNITS

FIRST_RATES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
"""Asked for at once; the others stand below."""
MORE_RATES = tuple(name for name in RATE_NAMES if name not in FIRST_RATES)
CHOICES = {
    "dearest": "Serve them, billed at the dearest price that is known of the vendor, marked as such",
    "refuse": "Refuse them until a price is set",
}


class RateField(AmountField):
    """Dollars per million tokens; cleans to nano-USD, or None where nothing was typed."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            amount = nano_usd(text) if text.isascii() and "_" not in text else -1
        except ValueError:
            amount = -1
        if amount < 0:
            raise forms.ValidationError("No amount in US dollars. Right: 3 or 0.075.")
        return amount


class TimeField(forms.DateTimeField):
    """An instant in the person's zone; a day alone begins at midnight."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=kwargs.pop("required", False),
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
            **kwargs,
        )


def _vendor_choices() -> list[tuple[str, str]]:
    return [("", "Any vendor"), *((name, vendor.display_name) for name, vendor in sorted(vendors().items()))]


class SpanFields(forms.Form):
    """From when until when, where it is from, and why."""

    valid_from = TimeField(
        label="From", help_text="Empty: it always did. What was used already keeps its cost until it is repriced."
    )
    valid_to = TimeField(label="Until", help_text="Empty: until it is ended.")
    source = forms.CharField(
        required=False,
        max_length=300,
        label="Where it is from",
        help_text="The contract, offer or page, so that anybody can look it up.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = forms.CharField(
        required=False,
        max_length=300,
        label="Reason",
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("valid_from"), cleaned.get("valid_to")
        if isinstance(since, datetime) and isinstance(until, datetime) and until <= since:
            self.add_error("valid_to", "It ends before it begins.")
        return cleaned


class OwnPriceForm(SpanFields):
    """What is paid for a model."""

    vendor = forms.ChoiceField(required=False, label="Vendor")
    model = forms.CharField(
        max_length=200, label="Model", widget=forms.TextInput(attrs={"list": "known-models", **MONO})
    )
    checked_on = forms.DateField(
        required=False, label="Looked up on", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    bands = BandsField(
        rows=3,
        placeholder="200000 input=6 output=22.5",
        label="Long prompts",
        help_text="One a line: from how many tokens of prompt on which rates hold for the whole request. Empty: none. "
        f"Rates: {', '.join(RATE_NAMES)}.",
    )
    tiers = TiersField(
        rows=4,
        placeholder="batch ×0.5",
        label="Service tiers",
        help_text="One a line: a tier's name, and a factor or rates of its own. Empty: all cost the same.",
    )
    us_percent = forms.DecimalField(
        required=False,
        min_value=-100,
        max_value=1000,
        max_digits=5,
        decimal_places=1,
        label="More for inference in the US, in per cent",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "placeholder": "none", "autocomplete": "off"}),
    )
    web_search = RateField(required=False, label="A web search")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["vendor"] = forms.ChoiceField(required=False, label="Vendor", choices=_vendor_choices())
        for name in RATE_NAMES:
            needed = name in ("input", "output")
            self.fields[f"rate_{name}"] = RateField(
                required=needed, label=KINDS.get(name, name), placeholder="3.00" if needed else "as its fallback"
            )
        for kind in PIECE_UNITS:
            self.fields[f"unit_{kind}"] = RateField(required=False, label=KINDS.get(kind, kind), placeholder="none")

    @property
    def first_rates(self) -> list[forms.BoundField]:
        return [self[f"rate_{name}"] for name in FIRST_RATES]

    @property
    def more_rates(self) -> list[forms.BoundField]:
        return [self[f"rate_{name}"] for name in MORE_RATES]

    @property
    def fees(self) -> list[forms.BoundField]:
        return [self["web_search"], *(self[f"unit_{kind}"] for kind in PIECE_UNITS)]

    @property
    def draft(self) -> PriceDraft:
        """What was typed."""
        given = self.cleaned_data
        rates = {name: rate for name in RATE_NAMES if (rate := given[f"rate_{name}"]) is not None}
        return PriceDraft(
            vendor=given["vendor"],
            model=given["model"].strip(),
            rates=rates,
            bands=given["bands"],
            tiers=given["tiers"],
            per_web_search_nano_usd=given["web_search"] or 0,
            us_geo_per_mille=1000 + int(given["us_percent"] * 10) if given["us_percent"] else 0,
            valid_from=given["valid_from"],
            valid_to=given["valid_to"],
            source=given["source"],
            unit_nano_usd={kind: fee for kind in PIECE_UNITS if (fee := given[f"unit_{kind}"])},
            checked_on=given["checked_on"],
        )


class DiscountForm(SpanFields):
    """What a contract takes off."""

    vendor = forms.ChoiceField(required=False, label="Vendor")
    model_glob = forms.CharField(
        max_length=200,
        initial="*",
        label="Models",
        help_text="A name, with * for any text. The most specific of several discounts counts.",
        widget=forms.TextInput(attrs=MONO),
    )
    percent = forms.DecimalField(
        min_value=0,
        max_value=100,
        max_digits=4,
        decimal_places=1,
        label="Off the list, in per cent",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "placeholder": "15", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["vendor"] = forms.ChoiceField(required=False, label="Vendor", choices=_vendor_choices())

    @property
    def draft(self) -> DiscountDraft:
        given = self.cleaned_data
        return DiscountDraft(
            per_mille=1000 - int(given["percent"] * 10),
            vendor=given["vendor"],
            model_glob=given["model_glob"].strip(),
            valid_from=given["valid_from"],
            valid_to=given["valid_to"],
            source=given["source"],
        )


class UnknownModelsForm(forms.Form):
    """What happens with models that have no price."""

    unknown_models = forms.ChoiceField(
        choices=[(name, CHOICES[name]) for name in UNKNOWN_MODELS],
        widget=forms.RadioSelect,
        label="Models without a price",
    )
    reason = forms.CharField(
        max_length=300,
        required=False,
        label="Reason",
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class EndForm(forms.Form):
    """Letting a price or a discount end."""

    at = TimeField(label="From when it holds no longer", help_text="Empty: from now on.")
    reason = forms.CharField(
        max_length=300,
        label="Reason",
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RepricingForm(forms.Form):
    """A past window, and what of it."""

    since = TimeField(required=True, label="From")
    until = TimeField(required=True, label="Until")
    models = LinesField(
        rows=3, placeholder="claude-sonnet-*", label="Models", help_text="One a line, * for any text. Empty: all."
    )
    teams = forms.MultipleChoiceField(
        required=False,
        label="Teams",
        widget=forms.CheckboxSelectMultiple(attrs={"grid": True}),
        help_text="None ticked: all of them.",
    )
    reason = forms.CharField(
        max_length=300,
        label="Why",
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, teams: Iterable[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["teams"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(team.id.hex, team.name) for team in teams]
