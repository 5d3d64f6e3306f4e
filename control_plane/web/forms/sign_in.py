"""Connections to identity providers."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.forms import BaseFormSet, formset_factory

from control_plane.accounts.models import User
from control_plane.identity.failures import ProviderUnreachable
from control_plane.identity.models import ConnectionKind, IdentityConnection
from control_plane.identity.saml import ProviderMetadata, fetched_metadata, read_metadata
from control_plane.identity.services import Mapping, OidcFacts, SamlFacts
from control_plane.organizations.models import Role, Team
from control_plane.web.forms.keys import lines_of
from control_plane.web.sign_in_hints import HINTS

MONO = {"class": "mono", "spellcheck": "false", "autocomplete": "off"}
ROLE_CHOICES = [(role.value, Role(role).label.capitalize()) for role in Role]
FREE_ROWS = 3


class _ConnectionFields(forms.Form):
    """What both protocols share."""

    vendor = forms.ChoiceField(
        choices=[(hint.vendor, hint.title) for hint in HINTS], label="Product", help_text="Chooses the hints beside."
    )
    name = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs={"placeholder": "Okta"}),
        help_text="The button on the sign-in page says: Continue with this name.",
    )
    domains = forms.CharField(
        label="E-mail domains",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "example.com", **MONO}),
        help_text="One a line. People with such an address are led to this provider; only they may come through it.",
    )
    email_claim = forms.CharField(
        required=False,
        max_length=200,
        label="Claim with the e-mail",
        widget=forms.TextInput(attrs=MONO),
        help_text="Empty: the usual one.",
    )
    group_claim = forms.CharField(
        required=False,
        max_length=200,
        initial="groups",
        label="Claim with the groups",
        widget=forms.TextInput(attrs=MONO),
    )
    default_role = forms.ChoiceField(
        choices=ROLE_CHOICES,
        initial=Role.MEMBER,
        label="Role of new people",
        help_text="Unless a group gives another. Only an owner may choose more than the own role.",
    )
    allows_new_people = forms.BooleanField(
        required=False,
        initial=True,
        label="Let new people in",
        help_text="Off: only those who were added as members, by hand or by SCIM.",
    )

    def clean_domains(self) -> list[str]:
        return lines_of(self.cleaned_data["domains"])

    def clean_default_role(self) -> Role:
        return Role(self.cleaned_data["default_role"])

    @property
    def shared(self) -> dict[str, Any]:
        """The fields that both protocols have, as the services take them."""
        names = ("vendor", "name", "domains", "email_claim", "group_claim", "default_role", "allows_new_people")
        return {name: self.cleaned_data[name] for name in names}


class OidcForm(_ConnectionFields):
    issuer = forms.CharField(
        max_length=300,
        widget=forms.TextInput(attrs={"placeholder": "https://example.okta.com", **MONO}),
        help_text="Its discovery document must lie below it, at /.well-known/openid-configuration.",
    )
    client_id = forms.CharField(label="Client id", max_length=300, widget=forms.TextInput(attrs=MONO))
    secret = forms.CharField(
        required=False,
        label="Client secret",
        max_length=2000,
        widget=forms.PasswordInput(attrs=MONO),
        help_text="Encrypted at rest; no page, log or export ever shows it.",
    )
    field_order = ("vendor", "name", "issuer", "client_id", "secret", "domains")

    def facts(self, *, is_new: bool) -> OidcFacts:
        """As the services take it. An empty secret leaves the present one as it is."""
        secret = self.cleaned_data["secret"]
        return OidcFacts(
            self.cleaned_data["issuer"], self.cleaned_data["client_id"], secret if secret or is_new else None
        )


class SamlForm(_ConnectionFields):
    metadata_url = forms.CharField(
        required=False,
        label="Address of its metadata",
        max_length=300,
        widget=forms.TextInput(attrs={"placeholder": "https://example.okta.com/app/…/sso/saml/metadata", **MONO}),
        help_text="Read once now. Or paste the document below.",
    )
    metadata = forms.CharField(
        required=False,
        label="Metadata",
        widget=forms.Textarea(attrs={"rows": 5, "placeholder": "<EntityDescriptor …", **MONO}),
    )
    field_order = ("vendor", "name", "metadata_url", "metadata", "domains")

    read: ProviderMetadata | None = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            if cleaned.get("metadata"):
                self.read = read_metadata(cleaned["metadata"])
            elif cleaned.get("metadata_url"):
                self.read = fetched_metadata(cleaned["metadata_url"])
        except ProviderUnreachable as failure:
            self.add_error("metadata_url", str(failure))
        except ValueError as failure:
            self.add_error("metadata", str(failure))
        return cleaned

    def facts(self, *, is_new: bool) -> SamlFacts | None:
        """As the services take it; None: leave it as it is."""
        if self.read is None:
            return None
        fetched = "" if self.cleaned_data.get("metadata") else self.cleaned_data.get("metadata_url", "")
        return SamlFacts(self.read, fetched)


def initial_of(connection: IdentityConnection) -> dict[str, Any]:
    """A connection as its form shows it; the secret is not in it."""
    return {
        "vendor": connection.vendor or "other",
        "name": connection.name,
        "domains": "\n".join(row.domain for row in connection.domains.all()),
        "email_claim": connection.email_claim,
        "group_claim": connection.group_claim,
        "default_role": connection.default_role,
        "allows_new_people": connection.allows_new_people,
        "issuer": connection.issuer,
        "client_id": connection.client_id,
        # SAML metadata is read again only when somebody asks for it by typing its address.
        "metadata_url": "",
    }


def form_of(kind: str) -> type[OidcForm] | type[SamlForm]:
    return SamlForm if kind == ConnectionKind.SAML else OidcForm


class MappingForm(forms.Form):
    """One group and what it gives."""

    group = forms.CharField(required=False, max_length=300, widget=forms.TextInput(attrs=MONO))
    gives = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, teams: Sequence[Team] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.teams = {team.id: team for team in teams}
        self.fields["gives"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            ("", "nothing"),
            ("Team", [(f"team:{team.id}", team.name) for team in teams]),
            ("Role", [(f"role:{value}", label) for value, label in ROLE_CHOICES]),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("group") and not cleaned.get("gives"):
            self.add_error("gives", "Choose a team or a role.")
        if cleaned.get("gives") and not cleaned.get("group"):
            self.add_error("group", "Name the group as the identity provider sends it.")
        return cleaned

    @property
    def mapping(self) -> Mapping | None:
        """None: an empty row."""
        if not self.cleaned_data.get("group"):
            return None
        kind, _, value = self.cleaned_data["gives"].partition(":")
        if kind == "team":
            return Mapping(self.cleaned_data["group"], team=self.teams[UUID(value)])
        return Mapping(self.cleaned_data["group"], role=Role(value))


MappingFormSet: "type[BaseFormSet[MappingForm]]" = formset_factory(MappingForm, extra=FREE_ROWS, max_num=503)


class EnforceForm(forms.Form):
    """Whose password still counts."""

    break_glass_owner = forms.ChoiceField(
        label="Break-glass owner",
        help_text="An owner with a password and an authenticator app, who gets in when the provider is down.",
    )
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, owners: Sequence[User] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owners = {str(owner.id): owner for owner in owners}
        self.fields["break_glass_owner"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            (str(owner.id), f"{owner.display_name} ({owner.email})") for owner in owners
        ]

    @property
    def owner(self) -> User:
        return self.owners[self.cleaned_data["break_glass_owner"]]
