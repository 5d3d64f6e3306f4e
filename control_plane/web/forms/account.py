"""Sign-in, profile, password, second factor."""

from typing import Any

from django import forms

from control_plane.accounts.models import Theme, User
from control_plane.web.forms.zones import ZoneField


class SignInForm(forms.Form):
    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class EmailForm(forms.Form):
    """The first step where single sign-on is used."""

    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )


class CodeForm(forms.Form):
    """A code of the authenticator app, or a recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="The six digits that your authenticator app shows; or one of your recovery codes.",
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "class": "mono", "spellcheck": "false"}
        ),
    )


class ConfirmIdentityForm(forms.Form):
    """The password once more, and a code of the authenticator app where one is set up."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="The six digits that your authenticator app shows; or one of your recovery codes.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, asks_code: bool, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asks_code = asks_code
        if not asks_code:
            del self.fields["code"]


class ReassureForm(forms.Form):
    """The password once more, before something that guards the account changes."""

    current = forms.CharField(
        label="Your password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class ProfileForm(forms.Form):
    name = forms.CharField(max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    time_zone = ZoneField(
        help_text="Every time in the console is written in it; days of “today” and “this month” begin by it.",
    )
    theme = forms.ChoiceField(
        choices=[(Theme.SYSTEM, "As the system says"), (Theme.LIGHT, "Light"), (Theme.DARK, "Dark")],
        widget=forms.RadioSelect,
    )

    @classmethod
    def of(cls, user: User) -> "ProfileForm":
        return cls(initial={"name": user.name, "time_zone": user.time_zone, "theme": user.theme})


class PasswordForm(forms.Form):
    current = forms.CharField(
        label="Current password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=1000,
        help_text="At least 12 characters. Other sessions of yours are signed out.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
