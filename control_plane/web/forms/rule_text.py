"""Lists that people type: names one a line, `key=value` one a line. What they mean is judged by the services."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

MONO = {"class": "mono", "spellcheck": "false", "autocomplete": "off"}


def lines(text: str) -> list[str]:
    """One name a line; names may hold commas."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def words(text: str) -> list[str]:
    """Names with commas or lines between."""
    return [part.strip() for line in text.splitlines() for part in line.split(",") if part.strip()]


def metadata(text: str) -> dict[str, list[str]]:
    """`key=value, value` one a line. Raises forms.ValidationError naming the first line that is not."""
    found: dict[str, list[str]] = {}
    for line in lines(text):
        key, sign, values = line.partition("=")
        if not sign or not key.strip() or not words(values):
            raise forms.ValidationError(f"“{line[:60]}” is not key=value. Right: environment=dev, ci.")
        found.setdefault(key.strip(), []).extend(words(values))
    return found


def metadata_text(given: Mapping[str, Sequence[str] | str]) -> str:
    return "\n".join(
        f"{key}={values if isinstance(values, str) else ', '.join(values)}" for key, values in given.items()
    )


class LinesField(forms.CharField):
    """Names one a line; cleans to a list."""

    def __init__(self, *, rows: int = 2, placeholder: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("max_length", 20_000)
        super().__init__(widget=forms.Textarea(attrs={"rows": rows, "placeholder": placeholder, **MONO}), **kwargs)

    def clean(self, value: Any) -> Any:
        return lines(super().clean(value))


class MetadataField(LinesField):
    """`key=value` one a line; cleans to a mapping of lists."""

    def clean(self, value: Any) -> Any:
        return metadata(forms.CharField.clean(self, value))


class AmountField(forms.CharField):
    """An amount or a number as it was typed: services read it, and say what would be right. "$" and spaces are fine."""

    def __init__(self, *, placeholder: str = "", unit: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 30)
        self.unit = unit
        widget = forms.TextInput(attrs={"inputmode": "decimal", "placeholder": placeholder, "autocomplete": "off"})
        super().__init__(widget=widget, **kwargs)

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        return text.removeprefix("$").replace(",", "").replace(" ", "")
