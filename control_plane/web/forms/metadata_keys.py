"""What may stand in a key of metadata."""

from collections.abc import Mapping
from typing import Any

from django import forms

from control_plane.rules.models import UnknownValue
from control_plane.web.forms.rule_text import MONO, LinesField

UNKNOWN = (
    (UnknownValue.REFUSE, "Refuse the request, and say what is allowed"),
    (UnknownValue.OTHER, "Let it through, counted as “other”: no made-up value gets a budget of its own"),
)


class MetadataKeyForm(forms.Form):
    """A key, its allowed values or their pattern, and what becomes of others."""

    name = forms.CharField(
        max_length=64,
        label="Key",
        widget=forms.TextInput(attrs={"placeholder": "project", **MONO}),
        help_text="As tools send it, and as tags of keys and teams are called.",
    )
    description = forms.CharField(
        required=False, max_length=500, label="What it is for", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    is_required = forms.BooleanField(
        required=False, label="Every request must have it", help_text="A request without it is refused."
    )
    values = LinesField(
        rows=4, placeholder="checkout", label="Allowed values", help_text="One a line. Empty, without a pattern: any."
    )
    pattern = forms.CharField(
        required=False,
        max_length=1000,
        label="Or a pattern",
        widget=forms.TextInput(attrs={"placeholder": "[A-Z]{2,5}-[0-9]+", **MONO}),
        help_text="RE2, over the whole value; besides the values.",
    )
    unknown = forms.ChoiceField(
        choices=UNKNOWN, initial=UnknownValue.REFUSE, widget=forms.RadioSelect, label="Another value"
    )
    reason = forms.CharField(
        max_length=300,
        required=False,
        label="Reason for the change",
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    @property
    def spec(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {name: given[name] for name in ("description", "is_required", "values", "pattern", "unknown")}

    @classmethod
    def of(cls, name: str, spec: Mapping[str, Any], data: Any = None) -> "MetadataKeyForm":
        form = cls(data, initial={**spec, "name": name, "values": "\n".join(spec["values"])})
        form.fields["name"].disabled = True
        form.fields["name"].help_text = "The key stays: requests and tags name it."
        return form
