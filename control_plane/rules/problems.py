"""Everything that is wrong with a rule, told at once: by field, each with what would be right."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from django.core.exceptions import ValidationError


class Problems:
    """Collects what is wrong. A field is written as forms, REST and YAML name it: `when.subjects[1]`."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, field: str, message: str) -> None:
        self._found.setdefault(field, []).append(message)

    def add_all(self, failure: ValidationError) -> None:
        """Take over what another check found."""
        found: Mapping[str, list[str]] = (
            failure.message_dict if hasattr(failure, "error_dict") else {"": failure.messages}
        )
        for field, messages in found.items():
            for message in messages:
                self.add(field, message)

    @property
    def fields(self) -> Collection[str]:
        return self._found.keys()

    @property
    def by_field(self) -> dict[str, list[str]]:
        return {field: list(messages) for field, messages in self._found.items()}

    def raise_any(self) -> None:
        """Raise ValidationError with all of them, if there are any."""
        if self._found:
            raise ValidationError(self.by_field)


def shown(value: object) -> str:
    """A value from outside, short enough for a sentence."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text[:60] + "…" if len(text) > 60 else text)


def did_you_mean(text: str, known: Collection[str]) -> str:
    """` Did you mean …?`, where something known is near."""
    near = get_close_matches(text, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""
