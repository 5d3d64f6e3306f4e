"""Within what people mint keys of their own."""

from django import forms

from control_plane.keys.models import KeyRules
from control_plane.web.forms.keys import lines_of


class KeyRulesForm(forms.Form):
    """Within what people mint keys of their own."""

    members_may_mint = forms.BooleanField(required=False, label="People mint keys of their own")
    max_personal_keys = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1000,
        label="Keys a person may hold at a time",
        help_text="Keys beyond it live on; no new one is minted until some are gone.",
    )
    max_personal_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3660,
        label="Days a personal key lives at most",
        help_text="For keys minted from now on.",
    )
    personal_models = forms.CharField(
        required=False,
        label="Models of personal keys",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "claude-*", "class": "mono", "spellcheck": "false"}),
        help_text="Names, one a line; * stands for anything. Bites at once, on keys that exist too. Empty: all.",
    )
    reason = forms.CharField(
        max_length=300, required=False, help_text="Stands in the audit for good.", widget=forms.TextInput()
    )

    def clean_personal_models(self) -> list[str]:
        return lines_of(self.cleaned_data["personal_models"])

    @classmethod
    def of(cls, rules: KeyRules) -> "KeyRulesForm":
        return cls(
            initial={
                "members_may_mint": rules.members_may_mint,
                "max_personal_keys": rules.max_personal_keys,
                "max_personal_days": rules.max_personal_days,
                "personal_models": "\n".join(rules.personal_models),
            }
        )
