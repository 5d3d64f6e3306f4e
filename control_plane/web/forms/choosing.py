"""Fields that name people and teams: a choice among a few, a text where there are too many to be listed on a page."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization, Team
from control_plane.web.forms.keys import lines_of

MOST_OFFERED = 60


def offers_all(rows: QuerySet[Any]) -> bool:
    """Whether so few rows are there that each can be offered."""
    return len(rows.order_by().values_list("pk", flat=True)[: MOST_OFFERED + 1]) <= MOST_OFFERED


class PersonField(forms.CharField):
    """A member of the organization, by e-mail; cleans to the person, or None."""

    def __init__(self, organization: Organization, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)
        self.widget.attrs |= {"autocomplete": "off", "spellcheck": "false", "placeholder": "name@example.com"}
        self._people = User.objects.filter(memberships__organization=organization)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, UUID):
            return self._people.filter(id=value).values_list("email", flat=True).first() or ""
        return value

    def clean(self, value: Any) -> Any:
        text = super().clean(value).lower()
        if not text:
            return None
        found = self._people.filter(email=text).first()
        if found is None:
            raise forms.ValidationError("Nobody here has this e-mail. Add the person under Members first.")
        return found


class TeamsField(forms.CharField):
    """Teams by name, one a line; cleans to the teams."""

    def __init__(self, organization: Organization, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **kwargs)
        self._teams = Team.objects.filter(organization=organization)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return "\n".join(self._teams.filter(id__in=value).order_by("name").values_list("name", flat=True))
        return value

    def clean(self, value: Any) -> Any:
        names = lines_of(super().clean(value))
        found = {team.name: team for team in self._teams.filter(name__in=names)}
        if unknown := [name for name in names if name not in found]:
            raise forms.ValidationError(f"There is no team {', '.join(unknown)}.")
        return list(found.values())


def person_field(organization: Organization, *, label: str) -> forms.Field:
    people = User.objects.filter(memberships__organization=organization)
    if offers_all(people):
        return forms.ModelChoiceField(
            queryset=people.order_by("email"), required=False, empty_label="Nobody yet", label=label
        )
    return PersonField(organization, required=False, label=label, help_text="E-mail of a member.")


def teams_field(organization: Organization) -> forms.Field:
    teams = Team.objects.filter(organization=organization)
    if offers_all(teams):
        return forms.ModelMultipleChoiceField(
            queryset=teams, required=False, widget=forms.CheckboxSelectMultiple(attrs={"grid": True})
        )
    return TeamsField(organization, required=False, label="Teams", help_text="Names, one a line.")
