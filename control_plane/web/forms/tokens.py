"""Making tokens of the admin API."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from control_plane.organizations.roles import Permission, Standing, may_at_all

EVERYTHING, CHOSEN = "everything", "chosen"
EXPIRIES = (7, 30, 90, 365)


class TokenForm(forms.Form):
    """Name, end and rights of a new token; only rights that its maker has can be chosen."""

    name = forms.CharField(max_length=100, help_text="What it is for, so that you know it again: nightly report.")
    expires = forms.ChoiceField(label="Ends")
    reach = forms.ChoiceField(
        label="It may",
        choices=((EVERYTHING, "Everything I may, as it is at each use"), (CHOSEN, "Only what is ticked below")),
        widget=forms.RadioSelect(),
        initial=EVERYTHING,
    )
    scopes = forms.MultipleChoiceField(
        label="Rights", required=False, widget=forms.CheckboxSelectMultiple(attrs={"grid": True})
    )

    def __init__(self, standing: Standing, most_days: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ends = [days for days in EXPIRIES if days < most_days] + ([most_days] if most_days < EXPIRIES[-1] else [])
        ends += [EXPIRIES[-1]] if most_days >= EXPIRIES[-1] and EXPIRIES[-1] not in ends else []
        expires, scopes = self.fields["expires"], self.fields["scopes"]
        assert isinstance(expires, forms.ChoiceField)
        assert isinstance(scopes, forms.MultipleChoiceField)
        expires.choices = [(str(days), f"In {days} days" if days > 1 else "Tomorrow") for days in ends]
        expires.initial = str(min(90, ends[-1]))
        scopes.choices = [(right.value, right.value) for right in Permission if may_at_all(standing, right)]

    @property
    def expires_at(self) -> datetime:
        return timezone.now() + timedelta(days=int(self.cleaned_data["expires"]))

    @property
    def chosen(self) -> frozenset[Permission] | None:
        """None: everything its maker may."""
        if self.cleaned_data["reach"] == EVERYTHING:
            return None
        return frozenset(Permission(scope) for scope in self.cleaned_data["scopes"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("reach") == CHOSEN and not cleaned.get("scopes") and "scopes" not in self.errors:
            self.add_error("scopes", "Tick at least one: a token that may nothing is of no use.")
        return cleaned


class TokenRevokeForm(forms.Form):
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good: not needed any more, leaked in a log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
