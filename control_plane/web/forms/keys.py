"""Minting, changing, rotating and revoking keys."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from control_plane.keys.models import VirtualKey
from control_plane.keys.services import Rotation
from control_plane.organizations.models import Organization, ServiceAccount, Team
from control_plane.web.key_words import ROUTE_CHOICES, KeyWish, days, span

NEVER = "never"
ON_DAY = "day"
KEEP = "keep"
ENDS_SOON = timedelta(days=14)
BY_EXPIRY, BY_SCHEDULE = "expiry", "schedule"
EXPIRIES = (
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    (NEVER, "Never"),
)
GRACES = (("0", "At once"), ("3600", "After an hour"), ("86400", "After a day"), ("604800", "After a week"))
SCHEDULE_GRACES = (("0", "Not at all"), ("86400", "A day"), ("604800", "A week"), ("1209600", "Two weeks"))


def lines_of(text: str) -> list[str]:
    """Names one a line, or with commas between."""
    return [part.strip() for line in text.splitlines() for part in line.split(",") if part.strip()]


def tags_of(text: str) -> dict[str, str]:
    """`name=value` one a line. Raises forms.ValidationError naming the first line that is not."""
    tags: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise forms.ValidationError(f"“{line.strip()[:60]}” is not name=value.")
        tags[name.strip()] = value.strip()
    return tags


def day_after(chosen: str, until: date | None) -> datetime | None:
    """The instant that an expiry field names; None: never. A day ends with its last second, in the person's zone."""
    if chosen == NEVER:
        return None
    if chosen == ON_DAY:
        assert until is not None
        return timezone.make_aware(datetime.combine(until, time(23, 59, 59)))
    return timezone.now() + timedelta(days=int(chosen))


def expiries_within(most_days: int | None) -> tuple[tuple[str, str], ...]:
    """The choices of an expiry, none beyond the organization's rule."""
    if most_days is None:
        return (*EXPIRIES[:-1], (ON_DAY, "On a day…"), EXPIRIES[-1])
    shorter = tuple(each for each in EXPIRIES if each[0] != NEVER and int(each[0]) < most_days)
    longest = (str(most_days), f"In {days(most_days)}, the longest here")
    return (*shorter, longest, (ON_DAY, "On a day…"))


class ScopeForm(forms.Form):
    """What a key may be used for: models, tools, networks, tags. Shared by minting and editing."""

    name = forms.CharField(
        max_length=100, help_text="What it is for, so that you know it again: laptop, desktop, review bot."
    )
    models = forms.CharField(
        required=False,
        label="Models",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "claude-*", "class": "mono", "spellcheck": "false"}),
        help_text="Names it may use, one a line; * stands for anything. Empty: all that you may use.",
    )
    routes = forms.MultipleChoiceField(
        choices=ROUTE_CHOICES,
        required=False,
        label="Works with",
        widget=forms.CheckboxSelectMultiple(attrs={"grid": True}),
        help_text="The protocols a tool may speak with this key. None ticked: all of them.",
    )
    source_networks = forms.CharField(
        required=False,
        label="From these networks",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "10.0.0.0/8", "class": "mono", "spellcheck": "false"}),
        help_text="Addresses or networks, one a line. A request from elsewhere is refused. Empty: from anywhere.",
    )
    tags = forms.CharField(
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 2, "placeholder": "project=checkout", "class": "mono", "spellcheck": "false"}
        ),
        help_text="name=value, one a line. They stand on every request of this key and win over what a tool says.",
    )
    expires = forms.ChoiceField(choices=EXPIRIES, initial="90", label="Expires")
    until = forms.DateField(
        required=False,
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date", "data-needed": True}),
    )

    def limit_expiry(self, most_days: int | None) -> None:
        """Offer no end that the organization's rule for personal keys would refuse."""
        choices = expiries_within(most_days)
        self._offer(choices, "90" if "90" in dict(choices) else choices[-2][0])

    def _offer(self, choices: tuple[tuple[str, str], ...], initial: str) -> None:
        self.fields["expires"] = forms.ChoiceField(choices=choices, initial=initial, label="Expires")

    def clean_models(self) -> list[str]:
        return lines_of(self.cleaned_data["models"])

    def clean_source_networks(self) -> list[str]:
        return lines_of(self.cleaned_data["source_networks"])

    def clean_tags(self) -> dict[str, str]:
        return tags_of(self.cleaned_data["tags"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("expires") == ON_DAY and not cleaned.get("until") and "until" not in self.errors:
            self.add_error("until", "Choose the last day on which it works.")
        return cleaned

    @property
    def expires_at(self) -> datetime | None:
        return day_after(self.cleaned_data["expires"], self.cleaned_data.get("until"))

    @property
    def rotation(self) -> Rotation | None:
        """People's own keys have no schedule."""
        return None


class MintForm(ScopeForm):
    """A key for oneself."""

    team = forms.ModelChoiceField(
        queryset=Team.objects.none(), help_text="Who is charged for what this key does, for its whole life."
    )

    def __init__(self, organization: Organization, teams: list[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit_expiry(None)
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = Team.objects.filter(organization=organization, id__in=[one.id for one in teams])
        team.empty_label = None if len(teams) == 1 else "Choose a team"
        if len(teams) == 1:
            team.initial = teams[0].id

    def _proposed(self) -> dict[str, Any]:
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        proposed = team.queryset.filter(id=team.initial).first() if team.queryset and team.initial else None
        return {"expires": self.fields["expires"].initial, "team": proposed}

    @property
    def wish(self) -> KeyWish:
        """What is asked for so far: of an empty form what it proposes; fields with mistakes count as left empty."""
        given = getattr(self, "cleaned_data", None) or self._proposed()
        team = given.get("team")
        rotation = self.rotation if self.is_bound else None
        knows_end = given.get("expires") and (given["expires"] != ON_DAY or given.get("until"))
        return KeyWish(
            given.get("models", ()),
            given.get("routes", ()),
            given.get("source_networks", ()),
            day_after(given["expires"], given.get("until")) if knows_end and rotation is None else None,
            rotation,
            team.name if team is not None else "",
        )


class ScheduleFields(forms.Form):
    """A rotation schedule in place of an end, for keys of service accounts."""

    ends = forms.ChoiceField(
        choices=(
            (BY_EXPIRY, "It ends by itself, or never"),
            (BY_SCHEDULE, "On a rotation schedule: somebody is reminded, and it ends if nobody replaces it"),
        ),
        initial=BY_EXPIRY,
        required=False,
        label="How long it lives",
        widget=forms.RadioSelect,
    )
    every_days = forms.IntegerField(
        min_value=1,
        max_value=3660,
        required=False,
        initial=90,
        label="Replace every … days",
        widget=forms.NumberInput(attrs={"data-needed": True}),
    )
    grace_seconds = forms.TypedChoiceField(
        choices=SCHEDULE_GRACES,
        coerce=int,
        empty_value=None,
        required=False,
        initial="604800",
        widget=forms.Select(attrs={"data-needed": True}),
        label="An overdue key works on for",
        help_text="Then it stops by itself. This is also the grace when it is rotated.",
    )

    def clean_every_days(self) -> int | None:
        every_days: int | None = self.cleaned_data["every_days"]
        if self.cleaned_data.get("ends") == BY_SCHEDULE and every_days is None:
            raise forms.ValidationError("Say after how many days it is replaced.")
        return every_days

    def chosen_rotation(self) -> Rotation | None:
        given = self.cleaned_data
        if given.get("ends") != BY_SCHEDULE or not given.get("every_days"):
            return None
        return Rotation(given["every_days"], given.get("grace_seconds") or 0)


class ServiceKeyForm(ScheduleFields, MintForm):
    """A key for a service account, charged to the account's team."""

    service_account = forms.ModelChoiceField(queryset=ServiceAccount.objects.none(), label="Service account")
    field_order = ("service_account", "name", "team")

    def __init__(self, organization: Organization, teams: list[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(organization, teams, *args, **kwargs)
        account = self.fields["service_account"]
        assert isinstance(account, forms.ModelChoiceField)
        account.queryset = ServiceAccount.objects.filter(organization=organization, is_active=True)

    @property
    def rotation(self) -> Rotation | None:
        return self.chosen_rotation()

    @property
    def wish(self) -> KeyWish:
        wish = super().wish
        account = getattr(self, "cleaned_data", {}).get("service_account")
        return wish if wish.team or account is None else replace(wish, team=account.team.name)


class KeyEditForm(ScopeForm):
    """What of a key may change after it was made: its name, scope, tags and end."""

    def __init__(self, key: VirtualKey, most_days: int | None, *args: Any, **kwargs: Any) -> None:
        now = "never" if key.expires_at is None else f"{timezone.localtime(key.expires_at):%-d %b %Y}"
        kwargs["initial"] = {
            "name": key.name,
            "models": "\n".join(key.allowed_models),
            "routes": list(key.allowed_routes),
            "source_networks": "\n".join(key.source_networks),
            "tags": "\n".join(f"{name}={value}" for name, value in key.tags.items()),
            "ends": BY_EXPIRY if key.rotation_days is None else BY_SCHEDULE,
            "every_days": key.rotation_days or 90,
            "grace_seconds": str(key.rotation_grace_s),
            **kwargs.get("initial", {}),
        }
        super().__init__(*args, **kwargs)
        left = None if most_days is None else max(1, most_days - (timezone.now() - key.created_at).days)
        choices = expiries_within(left)
        if key.rotation_days is None:
            self._offer(((KEEP, f"As it is: {now}"), *choices), KEEP)
        else:
            self._offer(choices, "90")
        self.key = key

    @property
    def keeps_end(self) -> bool:
        return bool(self.cleaned_data["expires"] == KEEP)

    @property
    def expires_at(self) -> datetime | None:
        return self.key.expires_at if self.keeps_end else super().expires_at


class ServiceKeyEditForm(ScheduleFields, KeyEditForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        grace = self.fields["grace_seconds"]
        assert isinstance(grace, forms.TypedChoiceField)
        present = self.key.rotation_grace_s
        if str(present) not in dict(SCHEDULE_GRACES):
            grace.choices = [*SCHEDULE_GRACES, (str(present), span(present).capitalize())]

    @property
    def rotation(self) -> Rotation | None:
        return self.chosen_rotation()


class RotateForm(forms.Form):
    grace_seconds = forms.TypedChoiceField(
        choices=GRACES,
        coerce=int,
        initial="86400",
        label="The old key stops",
        widget=forms.RadioSelect,
        help_text="Time to put the new key everywhere. Both work until then.",
    )

    expires = forms.ChoiceField(choices=(), label="The new key ends")
    until = forms.DateField(
        required=False, label="Last day", widget=forms.DateInput(attrs={"type": "date", "data-needed": True})
    )

    def __init__(self, key: VirtualKey, most_days: int | None, *args: Any, **kwargs: Any) -> None:
        """most_days: how long a key may live by the rules that bind whoever rotates it; None: as long as they like."""
        super().__init__(*args, **kwargs)
        if key.rotation_days is not None:
            self._follow_schedule(key.rotation_grace_s)
            return
        same = "Never, like the old one"
        if key.expires_at is not None:
            same = f"{timezone.localtime(key.expires_at):%-d %b %Y}, like the old one"
        choices = expiries_within(most_days)
        initial = KEEP
        if key.expires_at is not None and key.expires_at - timezone.now() <= ENDS_SOON:
            # A successor that ends together with its predecessor would help nobody.
            lived = (key.expires_at - key.created_at).days
            lengths = [value for value, _ in choices if value.isdigit()]
            initial = min(lengths, key=lambda value: abs(int(value) - lived))
        self.fields["expires"] = forms.ChoiceField(
            choices=((KEEP, same), *choices), initial=initial, required=False, label="The new key ends"
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("expires") == ON_DAY and not cleaned.get("until") and "until" not in self.errors:
            self.add_error("until", "Choose the last day on which it works.")
        return cleaned

    @property
    def keeps_end(self) -> bool:
        """Whether the successor ends when its predecessor would have, or by its schedule."""
        return self.cleaned_data.get("expires", "") in ("", KEEP)

    @property
    def expires_at(self) -> datetime | None:
        return day_after(self.cleaned_data["expires"], self.cleaned_data.get("until"))

    def _follow_schedule(self, grace_s: int) -> None:
        del self.fields["expires"], self.fields["until"]
        words = f"After {span(grace_s)}" if grace_s else "At once"
        others = [each for each in GRACES if each[0] != str(grace_s)]
        self.fields["grace_seconds"] = forms.TypedChoiceField(
            choices=[(str(grace_s), f"{words}, as its schedule says"), *others],
            coerce=int,
            initial=str(grace_s),
            label="The old key stops",
            widget=forms.RadioSelect,
            help_text="Time to put the new key everywhere. Both work until then.",
        )


class ConfirmForm(forms.Form):
    """Danger, confirmed by typing a name."""

    confirm = forms.CharField(max_length=300, required=False)
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, expected: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        self.fields["confirm"].label = f"Type {expected} to confirm"
        self.fields["confirm"].widget.attrs |= {
            "data-confirm": expected,
            "data-needed": True,
            "autocomplete": "off",
            "spellcheck": "false",
            "class": "mono",
        }

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.expected:
            raise forms.ValidationError(f"Type {self.expected} exactly as it is written here.")
        return typed


class RevokeForm(ConfirmForm):
    reason = forms.CharField(
        max_length=300,
        help_text="Stands in the audit for good: lost laptop, left the team, leaked in a log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    cut_streams = forms.BooleanField(
        required=False, label="Also cut answers that are running now", help_text="For a key that leaked."
    )
    field_order = ("reason", "cut_streams", "confirm")


class BulkRevokeForm(RevokeForm):
    """Several keys at once, confirmed by typing how many."""

    def __init__(self, number: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(str(number), *args, **kwargs)
        self.fields["confirm"].label = f"Type how many keys end: {number}"
