"""Forms of statements: close a month, correct money."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import memberships_of, service_accounts_of, teams_of
from control_plane.usage.adjustments import LONGEST_NOTE, Correction
from control_plane.web.forms.budgets import UsdField
from switchyard_contract.quantity import NanoUsd


class CorrectionForm(forms.Form):
    """Money for a team that no exchange tells: a credit, a fee, a difference to the provider's invoice."""

    kind = forms.ChoiceField(
        choices=[("charge", "A charge: the team pays more"), ("credit", "A credit: the team pays less")],
        widget=forms.RadioSelect,
        initial="charge",
        label="What it is",
    )
    amount_usd = UsdField(label="Amount", placeholder="$12.50", help_text="US dollars.")
    team = forms.CharField(
        required=False, label="Team", help_text="Left empty: charged to no team.", widget=forms.TextInput()
    )
    principal = forms.CharField(
        required=False,
        label="Person or service account",
        help_text="E-mail or name; left empty: nobody in particular.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    day = forms.DateField(
        required=False,
        label="Counts on",
        help_text="A UTC day of a month that is still open; left empty: now.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    note = forms.CharField(
        max_length=LONGEST_NOTE,
        label="Why",
        help_text="Stands on the statement and in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._organization = organization

    def clean_team(self) -> Any:
        name = self.cleaned_data["team"].strip()
        if not name:
            return None
        found = teams_of(self._organization).filter(name=name).first()
        if found is None:
            raise ValidationError("There is no team of that name; the page of teams lists them.")
        return found

    def clean_principal(self) -> Any:
        text = self.cleaned_data["principal"].strip()
        if not text:
            return None
        person = memberships_of(self._organization).filter(user__email__iexact=text).select_related("user").first()
        if person is not None:
            return person.user
        account = service_accounts_of(self._organization).filter(name=text).first()
        if account is None:
            raise ValidationError("Nobody here has that e-mail, and no service account that name.")
        return account

    def correction(self) -> Correction:
        """What was filled in; only after `is_valid`."""
        given = self.cleaned_data
        amount, day = given["amount_usd"], given["day"]
        return Correction(
            amount=NanoUsd(-amount if given["kind"] == "credit" else amount),
            note=given["note"],
            team=given["team"],
            principal=given["principal"],
            counts_at=datetime.combine(day, time(12), UTC) if day is not None else None,
        )
