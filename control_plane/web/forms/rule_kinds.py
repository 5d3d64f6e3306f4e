"""The fields of each kind of rule, and what they are in a spec."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from control_plane.budgets.models import Bound, Counts, Grace, Outage, Period
from control_plane.limits.models import Unit
from control_plane.limits.services import FLAGS
from control_plane.organizations.models import Organization
from control_plane.organizations.reach import teams_within
from control_plane.organizations.roles import Permission, Standing, can
from control_plane.web.forms.choosing import MOST_OFFERED
from control_plane.web.forms.rule_text import MONO, AmountField, LinesField
from control_plane.web.forms.rules import GroupedRuleForm, RuleForm
from control_plane.web.forms.stages import StageForm, empty_stage, posted_stages, shown_stages
from control_plane.web.forms.zones import ZoneField

PER = (
    ("principal", "Person or service account"),
    ("user", "Person"),
    ("service_account", "Service account"),
    ("team", "Team"),
    ("key", "Key"),
    ("model", "Model"),
    ("provider", "Provider"),
    ("session", "Session"),
)
PER_METADATA = "metadata."
ORDINARY_STAGES = ({"at": 80, "do": "alert", "notify": ["team_lead"]}, {"at": 100, "do": "block"})
"""What a budget does where nobody says."""
ACCESS_PARTS = ("models", "providers", "regions")
EVERYTHING, SOME, NOTHING = "everything", "some", "nothing"
UNITS = (
    ("Requests", ("requests_per_minute", "requests_per_hour", "requests_per_day")),
    ("Tokens, in and out", ("tokens_per_minute", "tokens_per_hour", "tokens_per_day")),
    ("Input tokens", ("input_tokens_per_minute", "input_tokens_per_hour", "input_tokens_per_day")),
    ("Output tokens", ("output_tokens_per_minute", "output_tokens_per_hour", "output_tokens_per_day")),
    ("At the same time", ("concurrent_requests",)),
)
PERIODS = (
    (Period.MINUTE, "a minute"),
    (Period.HOUR, "an hour"),
    (Period.DAY, "a day"),
    (Period.WEEK, "a week"),
    (Period.MONTH, "a month"),
    (Period.QUARTER, "a quarter"),
    (Period.LIFETIME, "in all, for ever"),
)
CALENDAR = "day|week|month|quarter"
"""Periods that begin by a zone's calendar, for `data-shown-for`."""
BOUNDS = (
    (
        Bound.CALIBRATED,
        "Calibrated: each request is held at what 999 of 1,000 such requests stayed below. "
        "The line may be passed by the amount shown here, and people get nearly all of their budget.",
    ),
    (
        Bound.STRICT,
        "Strict: each request is held at the worst it could cost. "
        "The line is never passed, and the last part of a budget often stays unused.",
    ),
)
OUTAGES = (
    (Outage.BOUNDED, "Go on within an allowance that pods were given before"),
    (Outage.DENY, "Refuse what this budget is about"),
    (Outage.ALLOW, "Go on without counting"),
)
GRACES = (
    (Grace.NONE, "Nobody goes on past the line"),
    (Grace.TURN, "A tool loop that was running may finish, within an extra amount"),
)


class PerFields(forms.Form):
    """What has a counter of its own."""

    per = forms.MultipleChoiceField(
        choices=PER,
        required=False,
        label="Counted apart for each",
        widget=forms.CheckboxSelectMultiple(attrs={"grid": True}),
        help_text="None ticked: one counter for all together. Several: one for each combination.",
    )
    per_metadata = forms.CharField(
        required=False,
        max_length=300,
        label="And for each value of metadata",
        widget=forms.TextInput(attrs={"placeholder": "project", **MONO}),
        help_text="Keys of metadata, with commas between.",
    )

    @property
    def chosen_per(self) -> list[str]:
        keys = [key.strip() for key in self.cleaned_data.get("per_metadata", "").split(",") if key.strip()]
        return [*self.cleaned_data.get("per", ()), *(f"{PER_METADATA}{key}" for key in keys)]


def per_initial(per: Iterable[str]) -> dict[str, Any]:
    given = list(per)
    return {
        "per": [one for one in given if not one.startswith(PER_METADATA)],
        "per_metadata": ", ".join(one.removeprefix(PER_METADATA) for one in given if one.startswith(PER_METADATA)),
    }


class AccessRuleForm(RuleForm):
    allows = forms.ChoiceField(
        choices=(
            (EVERYTHING, "Lets everything through"),
            (SOME, "Lets through only what is named"),
            (NOTHING, "Lets nothing through by itself: it only denies"),
        ),
        initial=SOME,
        widget=forms.RadioSelect,
        label="What it does",
    )
    allow_models = LinesField(
        label="Models it lets through",
        placeholder="claude-haiku-*",
        help_text="Names or globs, one a line, of what is asked for or of the model behind it. Empty: all.",
    )
    allow_providers = LinesField(label="Providers it lets through", placeholder="anthropic-*", help_text="Empty: all.")
    allow_regions = LinesField(label="Regions it lets through", placeholder="eu-*", help_text="Empty: all.")
    allow_internal = forms.BooleanField(
        required=False, label="Only providers inside your own networks: prompts do not leave the house"
    )
    deny_models = LinesField(
        label="Models it denies",
        placeholder="*opus*",
        help_text="A denial wins over everything that any rule lets through, fallbacks included.",
    )
    deny_providers = LinesField(label="Providers it denies", placeholder="openai-*")
    deny_regions = LinesField(label="Regions it denies", placeholder="us-*")
    deny_external = forms.BooleanField(required=False, label="It denies providers outside your own networks")

    PARTS = ACCESS_PARTS
    ERRORS = {f"{verb}.{part}": f"{verb}_{part}" for verb in ("allow", "deny") for part in ACCESS_PARTS} | {
        "allow.external": "allow_internal",
        "deny.external": "deny_external",
        "allow": "allows",
        "deny": "deny_models",
    }

    def spec_of_kind(self) -> dict[str, Any]:
        given, found = self.cleaned_data, dict[str, Any]()
        if given.get("allows") == EVERYTHING:
            found["allow"] = {}
        elif given.get("allows") == SOME:
            found["allow"] = self._parts("allow") | ({"external": False} if given.get("allow_internal") else {})
        denied = self._parts("deny") | ({"external": True} if given.get("deny_external") else {})
        return found | ({"deny": denied} if denied else {})

    def initial_of_kind(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        allow, deny = spec.get("allow"), spec.get("deny") or {}
        found: dict[str, Any] = {
            "allows": NOTHING if allow is None else SOME if allow else EVERYTHING,
            "allow_internal": (allow or {}).get("external") is False,
            "deny_external": deny.get("external") is True,
        }
        for part in self.PARTS:
            found[f"allow_{part}"] = "\n".join((allow or {}).get(part, ()))
            found[f"deny_{part}"] = "\n".join(deny.get(part, ()))
        return found

    def _parts(self, verb: str) -> dict[str, Any]:
        given = self.cleaned_data
        return {part: given[f"{verb}_{part}"] for part in self.PARTS if given.get(f"{verb}_{part}")}


class RateLimitForm(PerFields, GroupedRuleForm):
    limit = AmountField(label="At most", placeholder="60")
    unit = forms.ChoiceField(
        choices=[(label, [(unit, str(Unit(unit).label).lower()) for unit in units]) for label, units in UNITS],
        initial=Unit.REQUESTS_PER_MINUTE,
        label="Of what",
    )
    burst = AmountField(
        required=False,
        label="So many at once",
        placeholder="as many as the limit",
        help_text="Then one after the other, evenly. Not for days.",
    )
    timezone = ZoneField(label="Days begin at midnight in", initial="UTC", required=False)

    def spec_of_kind(self) -> dict[str, Any]:
        given = self.cleaned_data
        unit = given.get("unit", "")
        found: dict[str, Any] = {"limit": given.get("limit", ""), "unit": unit}
        if given.get("burst") and unit.endswith(("_per_minute", "_per_hour")):
            found["burst"] = given["burst"]
        if unit.endswith("_per_day") and given.get("timezone"):
            found["timezone"] = given["timezone"]
        return found | ({"per": self.chosen_per} if self.chosen_per else {})

    def initial_of_kind(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "limit": spec.get("limit", ""),
            "unit": spec.get("unit", ""),
            "burst": spec.get("burst") or "",
            "timezone": spec.get("timezone") or "UTC",
            **per_initial(spec.get("per") or ()),
        }


class BudgetForm(PerFields, GroupedRuleForm):
    limit_usd = AmountField(label="At most", placeholder="$10.00", help_text="US dollars, at list or contract prices.")
    period = forms.ChoiceField(choices=PERIODS, initial=Period.DAY)
    timezone = ZoneField(label="It begins anew by the calendar of", initial="UTC", required=False)
    anchor = AmountField(
        required=False,
        initial="1",
        label="It begins on day",
        help_text="Of the month; of a week 1 is Monday. A month that is too short begins on its last day.",
    )
    counts = forms.ChoiceField(
        choices=Counts.choices,
        initial=Counts.PAID,
        required=False,
        label="Whose money it counts",
        help_text="Calls on people's own subscriptions cost the organization nothing; the list says their worth.",
    )
    bound = forms.ChoiceField(choices=BOUNDS, initial=Bound.CALIBRATED, widget=forms.RadioSelect, label="How hard")
    on_counter_outage = forms.ChoiceField(
        choices=OUTAGES, initial=Outage.BOUNDED, label="While the counters are out of reach"
    )
    outage_allowance_percent = AmountField(
        required=False, initial="5", label="The allowance, in per cent of the limit", help_text="For all pods together."
    )
    grace = forms.ChoiceField(choices=GRACES, initial=Grace.NONE, label="When the line is crossed in mid-work")
    grace_usd = AmountField(
        required=False, label="The extra amount", placeholder="$0.50", help_text="Of each counter and period, at most."
    )

    team = forms.CharField(
        required=False,
        max_length=100,
        label="Whose budget it is",
        widget=forms.Select,
        help_text="A team's own budget is about that team alone; its lead may change it, where that is delegated.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stages: list[StageForm] = posted_stages(self.data) if self.is_bound else shown_stages(ORDINARY_STAGES)
        self.stage_problems: list[str] = []

    def limit_teams(self, organization: Organization, standing: Standing) -> None:
        """Offer the teams whose budgets this person may set; a field is shown only where there is a choice."""
        manages_all = can(standing, Permission.BUDGETS_MANAGE)
        teams = teams_within(standing, Permission.BUDGETS_MANAGE)
        names = list(teams.values_list("name", flat=True)[: MOST_OFFERED + 1])
        field = self.fields["team"]
        field.required = not manages_all
        if len(names) > MOST_OFFERED:
            field.widget = forms.TextInput(attrs={"placeholder": "a team's name, or nothing", "autocomplete": "off"})
        else:
            whole = [("", "The organization's")] if manages_all else []
            field.widget = forms.Select(choices=[*whole, *((name, f"Team {name}") for name in names)])

    @property
    def empty_stage(self) -> StageForm:
        return empty_stage()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for stage in self.stages:
            stage.is_valid()
        return cleaned

    def is_valid(self) -> bool:
        return super().is_valid() and all(stage.is_valid() for stage in self.stages)

    def spec_of_kind(self) -> dict[str, Any]:
        given = self.cleaned_data
        found: dict[str, Any] = {"limit_usd": given.get("limit_usd", ""), "period": given.get("period", "")}
        if found["period"] in CALENDAR.split("|") and given.get("timezone"):
            found["timezone"] = given["timezone"]
        if found["period"] in ("week", "month", "quarter") and given.get("anchor"):
            found["anchor"] = given["anchor"]
        if given.get("team"):
            found["team"] = given["team"]
        if self.chosen_per:
            found["per"] = self.chosen_per
        if self.stages:
            found["stages"] = [stage.spec for stage in self.stages]
        found["counts"] = given.get("counts") or Counts.PAID.value
        found["bound"] = given.get("bound") or Bound.CALIBRATED.value
        found["on_counter_outage"] = given.get("on_counter_outage") or Outage.BOUNDED.value
        if found["on_counter_outage"] == Outage.BOUNDED and given.get("outage_allowance_percent"):
            found["outage_allowance_percent"] = given["outage_allowance_percent"].removesuffix("%")
        if given.get("grace") == Grace.TURN:
            found["grace"] = Grace.TURN.value
            if given.get("grace_usd"):
                found["grace_usd"] = given["grace_usd"]
        return found

    def initial_of_kind(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        if not self.is_bound:
            self.stages = shown_stages(spec.get("stages") or ())
        names = (
            "team",
            "limit_usd",
            "period",
            "counts",
            "bound",
            "on_counter_outage",
            "outage_allowance_percent",
            "grace",
            "grace_usd",
        )
        return {
            **{name: spec[name] for name in names if spec.get(name) is not None},
            "timezone": spec.get("timezone") or "UTC",
            "anchor": spec.get("anchor") or "1",
            **per_initial(spec.get("per") or ()),
        }

    def show_problem(self, path: str, message: str) -> None:
        if not path.startswith("stages"):
            super().show_problem(path, message)
            return
        position, _, field = path.removeprefix("stages[").partition("]")
        if path == "stages" or not position.isdigit() or int(position) >= len(self.stages):
            self.stage_problems.append(message)
            return
        stage = self.stages[int(position)]
        name = field.removeprefix(".").partition("[")[0].partition(".")[0]
        name = "uncached_below" if name == "when" else name
        stage.add_error(name if name in stage.fields else "at", message)

    @property
    def has_problems(self) -> bool:
        return bool(self.errors or self.stage_problems or any(stage.is_bound and stage.errors for stage in self.stages))


class SessionCapForm(GroupedRuleForm):
    max_cost_usd = AmountField(required=False, label="Costs at most", placeholder="$50", help_text="US dollars.")
    max_turns = AmountField(required=False, label="Turns at most", placeholder="400")
    max_request_retries = AmountField(
        required=False,
        initial="3",
        label="The same request again at most",
        help_text="So many times within an hour. Tools try again by themselves where a provider fails.",
    )
    max_consecutive_failed_tool_results = AmountField(
        required=False,
        label="Failed tool results in a row at most",
        placeholder="6",
        help_text=FLAGS,
    )
    max_repeats_of_same_tool_call = AmountField(
        required=False, label="The same tool call again at most", placeholder="8"
    )
    per_key_hour_factor = AmountField(
        required=False,
        initial="10",
        label="And for a key in an hour, so many times that",
        help_text="A session is what the tool says it is, so the whole key is held too. 0: it is not.",
    )

    CAPS = (
        "max_cost_usd",
        "max_turns",
        "max_request_retries",
        "max_consecutive_failed_tool_results",
        "max_repeats_of_same_tool_call",
    )

    def spec_of_kind(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {name: given[name] for name in (*self.CAPS, "per_key_hour_factor") if given.get(name)}

    def initial_of_kind(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        # What a cap does not hold stays so: what a new one begins with is not for it.
        found = {name: spec.get(name) for name in self.CAPS}
        factor = spec.get("per_key_hour_factor")
        return found | ({} if factor is None else {"per_key_hour_factor": factor})
