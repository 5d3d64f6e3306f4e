"""The stages of a budget as rows of a form: at how much of the limit what is done, and who is told."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from control_plane.web.forms.rule_text import MONO, words

ALERT, DOWNGRADE, BLOCK = "alert", "downgrade", "block"
ACTIONS = ((ALERT, "tell people"), (DOWNGRADE, "move to a cheaper model"), (BLOCK, "stop"))
MOST_STAGES = 8
PREFIX = "stages"
_ROW = re.compile(rf"{PREFIX}-(\d{{1,3}})-at")


class StageForm(forms.Form):
    """One stage. Which of the fields count is up to what it does."""

    at = forms.CharField(
        required=False,
        max_length=10,
        label="At",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "class": "stage-at", "autocomplete": "off"}),
    )
    do = forms.ChoiceField(choices=ACTIONS, label="Do")
    notify = forms.CharField(
        required=False,
        max_length=500,
        label="Who is told",
        widget=forms.TextInput(attrs={"placeholder": "team_lead, cost_centre_owner, channel:finance", **MONO}),
    )
    to = forms.CharField(
        required=False,
        max_length=1000,
        label="To the first of these that can be used",
        widget=forms.TextInput(attrs={"placeholder": "claude-haiku-4-5, gpt-5.1-mini", **MONO}),
    )
    uncached_below = forms.CharField(
        required=False,
        max_length=20,
        label="Only turns with fewer uncached input tokens than",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "placeholder": "all turns", "autocomplete": "off"}),
    )
    cache_aware = forms.BooleanField(
        required=False,
        initial=True,
        label="Only where the cheaper model is cheaper for the turn, its cold cache counted",
    )

    @property
    def number(self) -> str:
        return str(self.prefix).rpartition("-")[2]

    @property
    def spec(self) -> dict[str, Any]:
        given = self.cleaned_data
        stage: dict[str, Any] = {"at": given.get("at", "").removesuffix("%").strip(), "do": given.get("do", "")}
        if told := words(given.get("notify", "")):
            stage["notify"] = told
        if stage["do"] == DOWNGRADE:
            if to := words(given.get("to", "")):
                stage["to"] = to
            stage["cache_aware"] = bool(given.get("cache_aware"))
            if below := given.get("uncached_below", "").replace(",", "").strip():
                stage["when"] = {"uncached_input_tokens_below": below}
        return stage


def posted_stages(data: Mapping[str, Any]) -> list[StageForm]:
    """The rows that were sent, in their order."""
    numbers = sorted({int(found[1]) for name in data if (found := _ROW.fullmatch(name))})
    return [StageForm(data, prefix=f"{PREFIX}-{number}") for number in numbers[: MOST_STAGES + 1]]


def shown_stages(stages: Sequence[Mapping[str, Any]]) -> list[StageForm]:
    """Rows for the stages of a rule."""
    return [StageForm(initial=_initial(stage), prefix=f"{PREFIX}-{number}") for number, stage in enumerate(stages)]


def empty_stage() -> StageForm:
    """The row that the script adds; it puts the number in."""
    return StageForm(prefix=f"{PREFIX}-__n__", initial={"do": ALERT})


def _initial(stage: Mapping[str, Any]) -> dict[str, Any]:
    when = stage.get("when") or {}
    return {
        "at": stage.get("at", ""),
        "do": stage.get("do", ALERT),
        "notify": ", ".join(stage.get("notify", ())),
        "to": ", ".join(stage.get("to", ())),
        "uncached_below": when.get("uncached_input_tokens_below", ""),
        "cache_aware": stage.get("cache_aware", True),
    }
