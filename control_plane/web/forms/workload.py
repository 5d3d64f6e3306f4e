"""Which CI jobs may act as a service account."""

import json
from typing import Any

from django import forms

from control_plane.identity.workload.models import WorkloadTrust
from control_plane.identity.workload.patterns import SHARED_ISSUERS
from control_plane.identity.workload.services import TrustFacts

LIFETIMES = ((900, "15 minutes"), (1800, "30 minutes"), (3600, "1 hour"))


class TrustForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="Stands in the names of its keys: deploy of shop, nightly build.")
    issuer = forms.CharField(
        max_length=300,
        help_text="As its tokens say it: https://token.actions.githubusercontent.com, or your GitLab's own address.",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "list": "known-issuers"}),
    )
    audience = forms.CharField(
        max_length=300,
        help_text="What the job asks its token for. Best this console's own address.",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"}),
    )
    conditions = forms.CharField(
        label="Only jobs whose token says",
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "class": "mono",
                "spellcheck": "false",
                "placeholder": "repository=acme/shop\nref=refs/heads/main\nref=refs/heads/release-*",
            }
        ),
        help_text="claim=value, one a line; a claim named twice may be either. * stops at a slash, ** does not.",
    )
    models = forms.CharField(
        required=False,
        label="Models",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "placeholder": "claude-*, gpt-5.1"}),
        help_text="Names or globs its keys may ask for, with commas between. Empty: all.",
    )
    lifetime = forms.TypedChoiceField(coerce=int, choices=LIFETIMES, initial=3600, label="Keys live")
    pinned_keys = forms.CharField(
        required=False,
        label="Public keys (JWKS)",
        widget=forms.Textarea(
            attrs={"rows": 3, "class": "mono", "spellcheck": "false", "placeholder": '{"keys": […]}'}
        ),
        help_text="Only where the issuer cannot be reached from here. Otherwise its keys are read from it.",
    )
    is_active = forms.BooleanField(required=False, initial=True, label="In use")

    @classmethod
    def of(cls, trust: WorkloadTrust) -> "TrustForm":
        lines = [f"{claim}={pattern}" for claim, patterns in trust.conditions.items() for pattern in patterns]
        form = cls(
            initial={
                "name": trust.name,
                "issuer": trust.issuer,
                "audience": trust.audience,
                "conditions": "\n".join(lines),
                "models": ", ".join(trust.allowed_models),
                "lifetime": trust.lifetime_s,
                "pinned_keys": "" if trust.pinned_keys is None else json.dumps(trust.pinned_keys),
                "is_active": trust.is_active,
            }
        )
        form.offer(trust.lifetime_s)
        return form

    def offer(self, lifetime_s: int) -> None:
        """Offer a length that REST gave and this list does not have."""
        field = self.fields["lifetime"]
        assert isinstance(field, forms.TypedChoiceField)
        if lifetime_s not in dict(LIFETIMES):
            field.choices = [(lifetime_s, f"{lifetime_s} seconds"), *LIFETIMES]

    def clean_conditions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in self.cleaned_data["conditions"].splitlines():
            if not line.strip():
                continue
            claim, equals, pattern = (part.strip() for part in line.partition("="))
            if not equals or not claim or not pattern:
                raise forms.ValidationError(f"“{line.strip()[:60]}” is not claim=value.")
            found.setdefault(claim, []).append(pattern)
        return found

    def clean_pinned_keys(self) -> Any:
        text = self.cleaned_data["pinned_keys"].strip()
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError as failure:
            raise forms.ValidationError("This is no JSON.") from failure

    @property
    def facts(self) -> TrustFacts:
        """What was entered; of a valid form."""
        given = self.cleaned_data
        return TrustFacts(
            name=given["name"],
            issuer=given["issuer"],
            audience=given["audience"],
            conditions=given["conditions"],
            pinned_keys=given["pinned_keys"],
            models=[text.strip() for text in given["models"].split(",") if text.strip()],
            lifetime_s=given["lifetime"],
            is_active=given["is_active"],
        )

    @property
    def known_issuers(self) -> tuple[str, ...]:
        return tuple(SHARED_ISSUERS)
