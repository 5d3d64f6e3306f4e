"""Members, teams, service accounts, the organization itself."""

from typing import Any

from django import forms

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization, Role, ServiceAccount, Team
from control_plane.organizations.selectors import memberships_of
from control_plane.web.forms.keys import tags_of

ROLES = ((Role.MEMBER, "Member: own keys, own usage"), (Role.ADMIN, "Admin: everything in this organization"))


def tags_field() -> forms.CharField:
    return forms.CharField(
        required=False,
        label="Tags",
        widget=forms.Textarea(
            attrs={"rows": 2, "placeholder": "project=checkout", "class": "mono", "spellcheck": "false"}
        ),
        help_text="name=value, one a line. They stand on every request and win over what a tool says.",
    )


def tags_text(tags: dict[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in tags.items())


class MemberAddForm(forms.Form):
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    name = forms.CharField(max_length=200, required=False)
    password = forms.CharField(
        strip=False,
        max_length=1000,
        label="First password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. They change it under Profile.",
    )
    role = forms.ChoiceField(choices=ROLES, initial=Role.MEMBER, widget=forms.RadioSelect)
    teams = forms.ModelMultipleChoiceField(
        queryset=Team.objects.none(), required=False, widget=forms.CheckboxSelectMultiple(attrs={"grid": True})
    )

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = self.fields["teams"]
        assert isinstance(teams, forms.ModelMultipleChoiceField)
        teams.queryset = Team.objects.filter(organization=organization)


class MemberForm(forms.Form):
    role = forms.ChoiceField(choices=ROLES, widget=forms.RadioSelect)
    teams = forms.ModelMultipleChoiceField(
        queryset=Team.objects.none(), required=False, widget=forms.CheckboxSelectMultiple(attrs={"grid": True})
    )
    tags = tags_field()

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = self.fields["teams"]
        assert isinstance(teams, forms.ModelMultipleChoiceField)
        teams.queryset = Team.objects.filter(organization=organization)

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])


class TeamForm(forms.Form):
    name = forms.CharField(max_length=100)
    cost_centre = forms.CharField(max_length=100, required=False, label="Cost centre")
    lead = forms.ModelChoiceField(queryset=User.objects.none(), required=False, empty_label="Nobody yet")
    tags = tags_field()

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lead = self.fields["lead"]
        assert isinstance(lead, forms.ModelChoiceField)
        lead.queryset = User.objects.filter(memberships__in=memberships_of(organization)).order_by("email")

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])


class ServiceAccountForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="The tool, CI job or application: review-bot, nightly-build.")
    team = forms.ModelChoiceField(queryset=Team.objects.none(), help_text="Charged for what its keys do.")
    description = forms.CharField(max_length=500, required=False)
    tags = tags_field()

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = Team.objects.filter(organization=organization)
        if len(team.queryset) == 1:
            team.empty_label = None

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])

    @classmethod
    def of(cls, account: ServiceAccount) -> "ServiceAccountForm":
        return cls(
            account.organization,
            initial={
                "name": account.name,
                "team": account.team_id,
                "description": account.description,
                "tags": tags_text(account.tags),
            },
        )


class OrganizationForm(forms.Form):
    name = forms.CharField(max_length=200)
    gateway_public_url = forms.URLField(
        required=False,
        label="Gateway address",
        assume_scheme="https",
        widget=forms.URLInput(attrs={"class": "mono", "spellcheck": "false"}),
        help_text="What tools are pointed at. Every set-up panel shows it. Empty: the deployment's own.",
    )
    contact = forms.CharField(
        max_length=254,
        required=False,
        help_text="Whom a refused person may ask; it stands in the refusal: #ai-platform, platform@example.com.",
    )

    @classmethod
    def of(cls, organization: Organization) -> "OrganizationForm":
        return cls(
            initial={
                "name": organization.name,
                "gateway_public_url": organization.gateway_public_url,
                "contact": organization.contact,
            }
        )
