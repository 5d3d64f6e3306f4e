"""Rules as forms: what is typed becomes the spec that a policy file would hold, and the same services check both."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from control_plane.rules.conditions import DAYS, days_text
from control_plane.rules.models import Mode
from control_plane.web.forms.rule_text import MONO, LinesField, MetadataField, lines, metadata_text
from control_plane.web.key_words import ROUTE_CHOICES

MODES = (
    (Mode.SHADOW, "Shadow: decided, counted and shown like an enforced rule, and obeyed by nobody. Begin with this."),
    (Mode.ENFORCE, "Enforce: pods obey it within seconds."),
    (Mode.OFF, "Off: kept here, told to no pod."),
)
EXCEPT = "except_"
EXCEPTABLE = ("subjects", "models", "metadata", "clients")
"""Parts of `when.not` that the form shows; others of a rule stay as they are."""


class RuleForm(forms.Form):
    """The head of every rule. kept_not: exceptions of an existing rule that no field shows."""

    mode = forms.ChoiceField(choices=MODES, initial=Mode.SHADOW, widget=forms.RadioSelect, label="What becomes of it")
    name = forms.CharField(
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": "engineer-daily", **MONO}),
        help_text="Lower case, dashes. It stands in refusals, headers and reports.",
    )
    description = forms.CharField(
        required=False,
        max_length=500,
        label="What it is for",
        help_text="For whoever wonders about it in a year.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    subjects = LinesField(
        label="Who",
        placeholder="team:platform",
        help_text="One a line: team:…, user:…, service_account:…, key:…, role:…, kind:…. Empty: everybody.",
    )
    models = LinesField(
        label="Which models",
        placeholder="*opus*",
        help_text="One a line; * stands for anything. The name that was asked for or the model behind it. Empty: all.",
    )
    metadata = MetadataField(
        label="With metadata",
        placeholder="environment=dev, ci",
        help_text="key=value, one key a line, commas between alternatives. Empty: whatever it says.",
    )
    clients = LinesField(
        label="From tools", placeholder="claude-code", help_text="One a line; * stands for anything. Empty: all tools."
    )
    protocols = forms.MultipleChoiceField(
        choices=ROUTE_CHOICES,
        required=False,
        label="In these protocols",
        widget=forms.CheckboxSelectMultiple(attrs={"grid": True}),
        help_text="None ticked: all.",
    )
    hours = forms.CharField(
        required=False,
        max_length=500,
        label="During these hours",
        widget=forms.TextInput(attrs={"placeholder": "Mon-Fri 09:00-18:00 Europe/Berlin", **MONO}),
        help_text="Days, hours and a time zone. Empty: always.",
    )
    except_subjects = LinesField(label="But not for", placeholder="user:ada@example.com", help_text="As above.")
    except_models = LinesField(label="But not for models", placeholder="claude-haiku-*", help_text="As above.")
    except_metadata = MetadataField(
        label="But not with metadata", placeholder="environment=prod", help_text="As above."
    )
    except_clients = LinesField(label="But not from tools", placeholder="aider", help_text="As above.")
    contact = forms.CharField(
        required=False,
        max_length=254,
        label="Whom a refused person may ask",
        help_text="Stands in the refusal. Empty: the organization's contact.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = forms.CharField(
        max_length=300,
        required=False,
        label="Reason for the change",
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    ERRORS: ClassVar[Mapping[str, str]] = {}
    """Fields of this kind's spec by the field of the form that they stand in, where the names differ."""

    def __init__(self, *args: Any, kept_not: object = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept_not = kept_not

    @property
    def hides_exceptions(self) -> bool:
        """Whether the rule has exceptions that only a file can say."""
        return isinstance(self.kept_not, list)

    @property
    def spec(self) -> dict[str, Any]:
        """What was typed, as a policy file would say it; a field with a mistake counts as left empty."""
        given = self.cleaned_data
        found: dict[str, Any] = {"mode": given.get("mode") or Mode.SHADOW.value}
        for name in ("description", "contact"):
            if given.get(name):
                found[name] = given[name]
        if when := self._when():
            found["when"] = when
        return found | self.spec_of_kind()

    def spec_of_kind(self) -> dict[str, Any]:
        """The fields of this kind alone."""
        raise NotImplementedError

    def initial_of_kind(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def fill(self, name: str, spec: Mapping[str, Any]) -> None:
        """Show a rule as it is."""
        when = dict(spec.get("when") or {})
        excluded = when.pop("not", None)
        shown: dict[str, Any] = {"name": name, "mode": spec.get("mode", Mode.ENFORCE.value)}
        shown |= {key: spec.get(key, "") for key in ("description", "contact")} | _condition_initial(when, "")
        self.kept_not = excluded if isinstance(excluded, list) else None
        if isinstance(excluded, Mapping):
            shown |= _condition_initial({key: excluded[key] for key in excluded if key in EXCEPTABLE}, EXCEPT)
            self.kept_not = {key: excluded[key] for key in excluded if key not in EXCEPTABLE} or None
        self.initial = {**self.initial, **shown, **self.initial_of_kind(spec)}

    def show_failure(self, failure: ValidationError) -> None:
        """Put what a service refused where it was typed."""
        found = failure.message_dict if hasattr(failure, "error_dict") else {NON_FIELD_ERRORS: failure.messages}
        for path, messages in found.items():
            for message in messages:
                self.show_problem(path, message)

    def show_problem(self, path: str, message: str) -> None:
        field = self._field_of(path)
        if field is None:
            # What no field shows is told with its place.
            said = message if path in ("", NON_FIELD_ERRORS) else f"{path}: {message}"
            self.add_error(None, said)
        else:
            self.add_error(field, message)

    def place_of(self, path: str) -> str:
        """How the form calls a place of a spec; where no field shows it, the place itself."""
        field = self._field_of(path)
        return path if field is None else str(self[field].label)

    def _field_of(self, path: str) -> str | None:
        for prefix, field in self.ERRORS.items():
            if path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")):
                return field if field in self.fields else None
        head, _, rest = path.partition(".")
        if head == "when":
            part, _, rest = rest.partition(".")
            if part.startswith("not"):
                part = EXCEPT + rest
            head = part
        name = head.partition("[")[0].partition(".")[0]
        return name if name in self.fields else None

    def _when(self) -> dict[str, Any]:
        given = self.cleaned_data
        names = ("subjects", "models", "metadata", "clients", "protocols", "hours")
        when = {name: given[name] for name in names if given.get(name)}
        if self.hides_exceptions:
            return {**when, "not": self.kept_not}
        excluded = {name: given[EXCEPT + name] for name in EXCEPTABLE if given.get(EXCEPT + name)}
        if isinstance(self.kept_not, Mapping):
            excluded |= self.kept_not
        return {**when, "not": excluded} if excluded else when


class GroupedRuleForm(RuleForm):
    """A rule that may stand in a group."""

    group = forms.CharField(
        required=False,
        max_length=100,
        label="Group",
        widget=forms.TextInput(attrs={"placeholder": "daily-allowance", "list": "known-groups", **MONO}),
        help_text="Of the rules of a group only the most specific one that fits applies: key, then person or service "
        "account, then team, then role, then everybody. Empty: it stands for itself.",
    )

    @property
    def spec(self) -> dict[str, Any]:
        found = super().spec
        if group := self.cleaned_data.get("group"):
            found["group"] = group
        return found

    def fill(self, name: str, spec: Mapping[str, Any]) -> None:
        super().fill(name, spec)
        self.initial["group"] = spec.get("group", "")


def _condition_initial(condition: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("subjects", "models", "clients"):
        if name in condition:
            found[prefix + name] = "\n".join(_listed(condition[name]))
    if "metadata" in condition:
        found[f"{prefix}metadata"] = metadata_text(condition["metadata"])
    if "protocols" in condition:
        found[f"{prefix}protocols"] = _listed(condition["protocols"])
    if "hours" in condition:
        found[f"{prefix}hours"] = _hours_text(condition["hours"])
    return found


def _listed(value: Any) -> list[str]:
    return lines(value) if isinstance(value, str) else list(value)


def _hours_text(hours: Any) -> str:
    """As it is typed: `Mon-Fri 09:00-18:00, Sat 10:00-14:00 Europe/Berlin`."""
    if isinstance(hours, str):
        return hours
    windows = [
        # A window for each run of days: a comma stands between windows, not between days.
        f"{run} {each['from']}-{each['until']}"
        for each in hours.get("windows", ())
        for run in days_text(each.get("days") or DAYS).split(", ")
    ]
    return f"{', '.join(windows)} {hours.get('timezone', 'UTC')}"
