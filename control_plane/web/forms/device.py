"""Approving a command line that wants to sign in."""

from collections.abc import Sequence
from typing import Any

from django import forms

from control_plane.identity.device.services import DAY_S, HOUR_S
from control_plane.organizations.models import Organization

LIFETIMES = (
    (8 * HOUR_S, "8 hours"),
    (DAY_S, "1 day"),
    (7 * DAY_S, "7 days"),
    (30 * DAY_S, "30 days"),
    (90 * DAY_S, "90 days"),
)


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=20,
        label="Code",
        widget=forms.TextInput(
            attrs={
                "class": "mono",
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "placeholder": "WDJB-MJHT",
                "autofocus": True,
            }
        ),
        help_text="Eight letters, as your terminal shows them.",
    )


class ApproveForm(forms.Form):
    code = forms.CharField(max_length=20, widget=forms.HiddenInput)
    organization = forms.ChoiceField(help_text="Keys and set-ups made from that machine belong to it.")
    lifetime = forms.TypedChoiceField(coerce=int, label="Lasts", help_text="Then that machine has to sign in again.")

    def __init__(self, organizations: Sequence[Organization], wanted_s: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organization, lifetime = self.fields["organization"], self.fields["lifetime"]
        assert isinstance(organization, forms.ChoiceField)
        assert isinstance(lifetime, forms.ChoiceField)
        organization.choices = [(str(one.id), one.name) for one in organizations]
        organization.initial = str(organizations[0].id)
        if len(organizations) == 1:
            organization.widget = forms.HiddenInput()
        # What was asked for is the longest that is offered: a person gives less, never more.
        offered = [(seconds, words) for seconds, words in LIFETIMES if seconds <= wanted_s]
        lifetime.choices = offered or [LIFETIMES[0]]
        lifetime.initial = lifetime.choices[-1][0]
