"""Minting, rotating and revoking keys."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from control_plane.organizations.models import Organization, ServiceAccount, Team

NEVER = "never"
ON_DAY = "day"
EXPIRIES = (
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    (NEVER, "Never"),
)
GRACES = (("0", "At once"), ("3600", "After an hour"), ("86400", "After a day"), ("604800", "After a week"))


def lines_of(text: str) -> list[str]:
    """Names one a line, or with commas between."""
    return [part.strip() for line in text.splitlines() for part in line.split(",") if part.strip()]


def tags_of(text: str) -> dict[str, str]:
    """`name=value` one a line. Raises forms.ValidationError naming the first line that is not."""
    tags: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise forms.ValidationError(f"“{line.strip()[:60]}” is not name=value.")
        tags[name.strip()] = value.strip()
    return tags


class MintForm(forms.Form):
    """A key for oneself."""

    name = forms.CharField(
        max_length=100, help_text="What it is for, so that you know it again: laptop, desktop, review bot."
    )
    team = forms.ModelChoiceField(
        queryset=Team.objects.none(), help_text="Who is charged for what this key does, for its whole life."
    )
    models = forms.CharField(
        required=False,
        label="Models",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "claude-*", "class": "mono", "spellcheck": "false"}),
        help_text="Names it may use, one a line; * stands for anything. Empty: all that you may use.",
    )
    expires = forms.ChoiceField(choices=EXPIRIES, initial="90", label="Expires")
    tags = forms.CharField(
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 2, "placeholder": "project=checkout", "class": "mono", "spellcheck": "false"}
        ),
        help_text="name=value, one a line. They stand on every request of this key and win over what a tool says.",
    )

    def __init__(self, organization: Organization, teams: list[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = Team.objects.filter(organization=organization, id__in=[one.id for one in teams])
        team.empty_label = None if len(teams) == 1 else "Choose a team"
        if len(teams) == 1:
            team.initial = teams[0].id

    def clean_models(self) -> list[str]:
        return lines_of(self.cleaned_data["models"])

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])

    @property
    def expires_at(self) -> datetime | None:
        chosen = self.cleaned_data["expires"]
        return None if chosen == NEVER else timezone.now() + timedelta(days=int(chosen))


class ServiceKeyForm(MintForm):
    """A key for a service account, charged to the account's team."""

    service_account = forms.ModelChoiceField(queryset=ServiceAccount.objects.none(), label="Service account")
    field_order = ("service_account", "name", "team")

    def __init__(self, organization: Organization, teams: list[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(organization, teams, *args, **kwargs)
        account = self.fields["service_account"]
        assert isinstance(account, forms.ModelChoiceField)
        account.queryset = ServiceAccount.objects.filter(organization=organization, is_active=True)


class RotateForm(forms.Form):
    grace_seconds = forms.TypedChoiceField(
        choices=GRACES,
        coerce=int,
        initial="86400",
        label="The old key stops",
        widget=forms.RadioSelect,
        help_text="Time to put the new key everywhere. Both work until then.",
    )


class ConfirmForm(forms.Form):
    """Danger, confirmed by typing a name."""

    confirm = forms.CharField(max_length=300, required=False)
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, expected: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        self.fields["confirm"].label = f"Type {expected} to confirm"
        self.fields["confirm"].widget.attrs |= {
            "data-confirm": expected,
            "data-needed": True,
            "autocomplete": "off",
            "spellcheck": "false",
            "class": "mono",
        }

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.expected:
            raise forms.ValidationError(f"Type {self.expected} exactly as it is written here.")
        return typed


class RevokeForm(ConfirmForm):
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good: lost laptop, left the team, leaked in a log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    cut_streams = forms.BooleanField(
        required=False, label="Also cut answers that are running now", help_text="For a key that leaked."
    )
    field_order = ("reason", "cut_streams", "confirm")
