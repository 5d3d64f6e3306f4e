"""Tokens of identity providers, and what their groups give."""

from datetime import datetime, timedelta

from django import forms
from django.http import QueryDict
from django.utils import timezone

from control_plane.identity.scim.models import GRANTABLE_ROLES
from control_plane.organizations.models import Role
from control_plane.organizations.published import ROLE_WORDS
from control_plane.organizations.roles import Standing
from control_plane.organizations.services import may_give

NEVER = "never"
EXPIRIES = ((NEVER, "Never"), ("365", "In a year"), ("90", "In 90 days"))


class TokenForm(forms.Form):
    """A token for an identity provider."""

    name = forms.CharField(max_length=100, help_text="Which directory presents it: Entra, Okta, Okta preview.")
    expires = forms.ChoiceField(
        choices=EXPIRIES,
        initial=NEVER,
        label="Expires",
        help_text="When it does, people who leave are not taken out any more until the directory has a new one.",
    )

    @property
    def expires_at(self) -> datetime | None:
        chosen = self.cleaned_data["expires"]
        return None if chosen == NEVER else timezone.now() + timedelta(days=int(chosen))


class GroupRoleForm(forms.Form):
    """What being in a group gives besides its team."""

    role = forms.ChoiceField(
        required=False,
        label="Role",
        help_text="The strongest of a person's groups counts. Whoever leaves the group is a member again; owners and "
        "those who have more by another way are left alone.",
    )
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, standing: Standing, now: str, data: QueryDict | None) -> None:
        super().__init__(data, initial={"role": now})
        given = [role for role in reversed(GRANTABLE_ROLES) if role.value == now or may_give(standing, role)]
        self.fields["role"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            ("", "None: only the team"),
            *((role.value, f"{role.label.capitalize()}: {ROLE_WORDS[role]}") for role in given),
        ]

    @property
    def chosen_role(self) -> Role | None:
        chosen = self.cleaned_data["role"]
        return Role(chosen) if chosen else None
