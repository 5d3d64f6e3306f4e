"""Bringing a policy file to the console."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from control_plane.declarative.parsing import MOST_BYTES


class FileForm(forms.Form):
    """A file, pasted or uploaded."""

    text = forms.CharField(
        required=False,
        strip=False,
        max_length=MOST_BYTES,
        label="Policy file",
        widget=forms.Textarea(
            attrs={
                "rows": 16,
                "class": "mono",
                "spellcheck": "false",
                "data-needed": True,
                "placeholder": 'kind: Team\nmetadata: {name: platform}\nspec: {cost_centre: "4711"}',
            }
        ),
        help_text="One or several documents with --- between. What is in no document stays as it is.",
    )
    upload = forms.FileField(
        required=False,
        allow_empty_file=True,
        label="Or upload it",
        widget=forms.ClearableFileInput(attrs={"accept": ".yaml,.yml,.json", "data-needed": True}),
    )
    prunes = forms.BooleanField(
        required=False,
        label="Take away what is in no document",
        help_text="The file is the whole policy then, people and teams included.",
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        upload = given.get("upload")
        if upload is not None:
            if upload.size > MOST_BYTES:
                raise ValidationError({"upload": f"A policy file has at most {MOST_BYTES // (1024 * 1024)} MiB."})
            try:
                given["text"] = upload.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                raise ValidationError({"upload": "This is no UTF-8 text."}) from None
        if not given.get("text", "").strip() and not self.errors:
            raise ValidationError({"text": "Paste a file, or upload one."})
        return given


class ApplyForm(forms.Form):
    """Yes to a plan that was shown."""

    text = forms.CharField(strip=False, max_length=MOST_BYTES, widget=forms.HiddenInput)
    prunes = forms.BooleanField(required=False, widget=forms.HiddenInput)
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    is_confirmed = forms.BooleanField(required=False, label="Yes, take away a great part of it")
    reason = forms.CharField(max_length=300, required=False, help_text="Stands in the audit for good.")
    source = forms.CharField(
        max_length=200,
        required=False,
        label="Source",
        help_text="A commit or the like, if this file comes from a repository: later edits here are shown as drift.",
    )


class RestoreForm(forms.Form):
    """Going back to an earlier revision."""

    takes_people = forms.BooleanField(
        required=False,
        label="Also take away people, teams and service accounts that came after it",
        help_text="People who are taken away lose their keys for good.",
    )
    is_confirmed = forms.BooleanField(required=False, label="Yes, also if it takes away a great part")
