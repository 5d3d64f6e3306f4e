"""Members, teams, service accounts, the organization itself."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from control_plane.organizations.models import BudgetStatus, Membership, Organization, Role, ServiceAccount, Team
from control_plane.organizations.published import ROLE_WORDS
from control_plane.organizations.roles import Standing
from control_plane.organizations.services import may_give
from control_plane.web.forms.choosing import PersonField, person_field, teams_field
from control_plane.web.forms.keys import tags_of


def role_choices(standing: Standing, *, now: Role | None = None) -> list[tuple[str, str]]:
    """The roles this person may give, most powerful last, and the one that somebody has."""
    return [
        (role.value, f"{role.label.capitalize()}: {ROLE_WORDS[role]}")
        for role in reversed(Role)
        if role == now or may_give(standing, role)
    ]


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
    role = forms.ChoiceField(initial=Role.MEMBER, widget=forms.RadioSelect)

    def __init__(self, organization: Organization, standing: Standing, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(
            choices=role_choices(standing), initial=Role.MEMBER, widget=forms.RadioSelect
        )
        self.fields["teams"] = teams_field(organization)


class MemberForm(forms.Form):
    tags = tags_field()

    def __init__(self, membership: Membership, standing: Standing, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = role_choices(standing, now=Role(membership.role))
        self.fields["role"] = forms.ChoiceField(choices=choices, widget=forms.RadioSelect)
        self.fields["teams"] = teams_field(membership.organization)

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])


class TeamForm(forms.Form):
    name = forms.CharField(max_length=100)
    cost_centre = forms.CharField(max_length=100, required=False, label="Cost centre")
    tags = tags_field()

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["lead"] = person_field(organization, label="Lead")
        if not self.fields["lead"].help_text:
            self.fields["lead"].help_text = "A plain member who leads a team becomes a team lead."

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])


class ServiceAccountForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="The tool, CI job or application: review-bot, nightly-build.")
    team = forms.ModelChoiceField(queryset=Team.objects.none(), help_text="Charged for what its keys do.")
    description = forms.CharField(max_length=500, required=False)
    tags = tags_field()

    def __init__(self, teams: QuerySet[Team], *args: Any, **kwargs: Any) -> None:
        """teams: those this person may make accounts for."""
        super().__init__(*args, **kwargs)
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = teams
        if len(team.queryset) == 1:
            team.empty_label = None

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])

    @classmethod
    def of(cls, account: ServiceAccount, teams: QuerySet[Team]) -> "ServiceAccountForm":
        return cls(
            teams,
            initial={
                "name": account.name,
                "team": account.team_id,
                "description": account.description,
                "tags": tags_text(account.tags),
            },
        )


class TeamPersonForm(forms.Form):
    """Somebody of the organization to be put into a team."""

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"] = PersonField(
            organization, label="E-mail", help_text="Of somebody who is a member of the organization already."
        )


class BulkRoleForm(forms.Form):
    def __init__(self, standing: Standing, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(choices=role_choices(standing), widget=forms.RadioSelect)


class BulkTeamForm(forms.Form):
    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"] = forms.ModelChoiceField(queryset=Team.objects.filter(organization=organization))


class DelegationForm(forms.Form):
    """What team leads may do for the teams they lead."""

    leads_may_set_budgets = forms.BooleanField(
        required=False, label="Set budgets for their own teams, below the team's own"
    )
    leads_may_mint_service_keys = forms.BooleanField(
        required=False, label="Make service accounts of their teams, and mint keys for them"
    )
    leads_may_add_members = forms.BooleanField(
        required=False, label="Put members of the organization into their teams, and take them out"
    )

    @classmethod
    def of(cls, organization: Organization) -> "DelegationForm":
        return cls(initial={name: getattr(organization, name) for name in cls.base_fields})


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
    budget_status = forms.ChoiceField(
        choices=(
            (BudgetStatus.AUTO, "As makes each tool stop and show our sentence; mostly 402"),
            (BudgetStatus.ALWAYS_429, "429 always, for automation that counts 429s"),
        ),
        required=False,
        label="Status of a spent budget",
    )

    def clean_budget_status(self) -> str | None:
        """Left out: it stays as it is."""
        return self.cleaned_data["budget_status"] or None

    @classmethod
    def of(cls, organization: Organization) -> "OrganizationForm":
        return cls(
            initial={
                "name": organization.name,
                "gateway_public_url": organization.gateway_public_url,
                "contact": organization.contact,
                "budget_status": organization.budget_status,
            }
        )
