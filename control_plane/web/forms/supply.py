"""Providers and the names that lead to their models."""

from typing import Any

from django import forms

from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.services import NO_CREDENTIAL, CredentialChoice, ProviderLimits, limits_of
from control_plane.credentials.vendors import vendors
from control_plane.organizations.models import Organization
from control_plane.web.forms.keys import lines_of

SOURCES = (
    (CredentialSource.VALUE, "Paste it here; it is sealed and never shown again"),
    (CredentialSource.ENV, "From an environment variable of the control plane"),
    (CredentialSource.FILE, "From a file the control plane can read"),
    (CredentialSource.PASSTHROUGH, "Passed through from the caller: people sign in with their own subscription"),
    (CredentialSource.NONE, "None: the provider asks for none"),
)


LIMITS = ("concurrent_requests", "requests_per_minute", "tokens_per_minute")


class VendorSelect(forms.Select):
    """Tells the script each vendor's public address."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        vendor = vendors().get(str(value))
        if vendor is not None:
            option["attrs"]["data-value"] = vendor.base_url or "https://models.example.internal"
        return option


class CredentialFields(forms.Form):
    """Where a credential comes from, and what it is or is called."""

    source = forms.ChoiceField(
        choices=SOURCES, widget=forms.RadioSelect, initial=CredentialSource.VALUE, label="Credential"
    )
    secret = forms.CharField(
        required=False,
        label="API key",
        max_length=64 * 1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "mono", "data-needed": True}),
        help_text="Encrypted at rest; only pods can open it. No page, log or export ever shows it.",
    )
    reference = forms.CharField(
        required=False,
        label="Name of the variable, or path of the file",
        max_length=300,
        widget=forms.TextInput(
            attrs={"placeholder": "ANTHROPIC_API_KEY", "class": "mono", "spellcheck": "false", "data-needed": True}
        ),
        help_text="Only what the deployment allows: SWITCHYARD_CREDENTIAL_ENV, SWITCHYARD_CREDENTIAL_DIR.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        source = cleaned.get("source")
        if source == CredentialSource.VALUE and not cleaned.get("secret"):
            self.add_error("secret", "Paste the API key, or choose another way.")
        if source in (CredentialSource.ENV, CredentialSource.FILE) and not cleaned.get("reference"):
            self.add_error("reference", "Name the variable or the file.")
        return cleaned

    @property
    def choice(self) -> CredentialChoice:
        source = CredentialSource(self.cleaned_data["source"])
        match source:
            case CredentialSource.VALUE:
                return CredentialChoice(source, self.cleaned_data["secret"])
            case CredentialSource.ENV | CredentialSource.FILE:
                return CredentialChoice(source, self.cleaned_data["reference"])
            case CredentialSource.PASSTHROUGH:
                return CredentialChoice(source)
            case _:
                return NO_CREDENTIAL


class LimitFields(forms.Form):
    """What protects an account, or a machine of one's own; for all callers together."""

    concurrent_requests = forms.IntegerField(
        required=False, min_value=0, label="Requests at the same time", help_text="Empty: no limit."
    )
    requests_per_minute = forms.IntegerField(required=False, min_value=0, label="Requests a minute")
    tokens_per_minute = forms.IntegerField(required=False, min_value=0, label="Tokens a minute")

    @property
    def limits(self) -> ProviderLimits:
        given = self.cleaned_data
        return ProviderLimits(*(given[name] or 0 for name in LIMITS))


class ProviderForm(LimitFields, CredentialFields):
    """A new provider."""

    vendor = forms.ChoiceField(
        choices=lambda: [(vendor.name, vendor.display_name) for vendor in vendors().values()],
        widget=VendorSelect(attrs={"data-fills": "base_url"}),
    )
    name = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs={"placeholder": "anthropic-main", "class": "mono", "spellcheck": "false"}),
        help_text="Lower case; stands in reports and in front of model ids: anthropic-main/claude-sonnet-4-6.",
    )
    base_url = forms.CharField(
        required=False,
        label="Address",
        max_length=300,
        widget=forms.TextInput(
            attrs={"placeholder": "https://api.anthropic.com", "class": "mono", "spellcheck": "false"}
        ),
        help_text="Empty: the vendor's public one. A compatible server of your own has none: http://10.0.0.5:8000/v1.",
    )
    models = forms.CharField(
        required=False,
        initial="*",
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono", "spellcheck": "false"}),
        help_text="Which model ids this account serves, one a line. * is all.",
    )
    account = forms.CharField(required=False, max_length=100, help_text="How people call the upstream account.")
    region = forms.CharField(required=False, max_length=60)
    external = forms.TypedChoiceField(
        choices=(
            ("", "As its address says"),
            ("yes", "Outside your own networks: prompts leave the house"),
            ("no", "Inside your own networks"),
        ),
        coerce=lambda value: value == "yes",
        empty_value=None,
        required=False,
        label="Where it is",
        help_text="Access rules can deny what is outside.",
    )
    field_order = ("vendor", "name", "base_url", "source", "secret", "reference", "models", "account", "region")

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        # Here too, so that it is told together with what is wrong elsewhere.
        Provider._meta.get_field("name").run_validators(name)
        return name

    def clean_models(self) -> list[str]:
        return lines_of(self.cleaned_data["models"]) or ["*"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        vendor = vendors().get(cleaned.get("vendor", ""))
        if vendor is not None and not vendor.base_url and not cleaned.get("base_url"):
            self.add_error("base_url", f"{vendor.display_name} has no public address; state one.")
        return cleaned


class ProviderEditForm(LimitFields):
    """What can change without a new credential."""

    name = forms.CharField(max_length=60, widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"}))
    base_url = forms.CharField(
        label="Address",
        max_length=300,
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"}),
        help_text="Another address needs the credential again: replace both in one step.",
    )
    models = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false"}),
        help_text="Which model ids this account serves, one a line. * is all.",
    )
    account = forms.CharField(required=False, max_length=100)
    region = forms.CharField(required=False, max_length=60)
    external = forms.BooleanField(
        required=False,
        label="Outside your own networks",
        help_text="Prompts leave the house. Access rules can deny what is outside.",
    )
    is_active = forms.BooleanField(
        required=False, label="In use", help_text="Off: pods stop using it within seconds; nothing is deleted."
    )
    field_order = ("name", "base_url", "models", "account", "region", *LIMITS, "external", "is_active")

    @classmethod
    def of(cls, provider: Provider) -> "ProviderEditForm":
        return cls(
            initial={
                "name": provider.name,
                "base_url": provider.base_url,
                "models": "\n".join(provider.served_models),
                "account": provider.account,
                "region": provider.region,
                "is_active": provider.is_active,
                "external": provider.is_external,
                **{name: getattr(limits_of(provider), name) or None for name in LIMITS},
            }
        )

    def clean_models(self) -> list[str]:
        return lines_of(self.cleaned_data["models"])

    @property
    def facts(self) -> dict[str, Any]:
        """What the service takes."""
        names = ("name", "base_url", "models", "account", "region", "external", "is_active")
        return {name: self.cleaned_data[name] for name in names} | {"limits": self.limits}


class CredentialForm(CredentialFields):
    """A new credential for a provider, and its address in the same step where that changes too."""

    base_url = forms.CharField(
        label="Address", max_length=300, widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"})
    )
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good: the yearly rotation, leaked in a log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("base_url", "source", "secret", "reference", "reason")


class VirtualModelForm(forms.Form):
    """A name that clients may use, and where it leads."""

    name = forms.CharField(
        max_length=150,
        widget=forms.TextInput(attrs={"placeholder": "claude-sonnet-4-6", "class": "mono", "spellcheck": "false"}),
        help_text="What tools ask for.",
    )
    provider = forms.ModelChoiceField(queryset=Provider.objects.none(), empty_label="Choose a provider")
    model = forms.CharField(
        max_length=200,
        widget=forms.TextInput(
            attrs={"placeholder": "claude-sonnet-4-6", "class": "mono", "spellcheck": "false", "list": "known-models"}
        ),
        help_text="As its vendor names it.",
    )

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        provider = self.fields["provider"]
        assert isinstance(provider, forms.ModelChoiceField)
        provider.queryset = Provider.objects.filter(organization=organization)
