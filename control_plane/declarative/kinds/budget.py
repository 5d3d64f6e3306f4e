"""Budget: what may be spent."""

from collections.abc import Iterator
from typing import Any

from control_plane.budgets.models import ORDINARY_ALLOWANCE_PERCENT, Bound, Counts, Grace, Outage, Period
from control_plane.budgets.services.kind import BUDGETS
from control_plane.budgets.stages import ACTIONS, CHANNEL, HIGHEST_PERCENT, MOST_STAGES, ORDINARY, stored_stages
from control_plane.declarative.kinds.kind import Key, Reference, Spec
from control_plane.declarative.kinds.rule import RuleObjects
from control_plane.declarative.kinds.team import TEAM_NAME
from control_plane.declarative.rule_shapes import (
    CONTACT,
    FLAG,
    PER_SHAPE,
    TIME_ZONE,
    Amount,
    Given,
    OneOrMore,
    head_fields,
    whole,
)
from control_plane.declarative.shapes import Choice, Field, ListOf, Record, Text
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rules.problems import Problems
from control_plane.rules.reading_conditions import World as RuleWorld

_STAGE = Given(
    (
        Field(
            "at",
            whole(1, HIGHEST_PERCENT, "percent of the limit"),
            "Where it begins; alert 80, downgrade 95, block 100.",
            None,
        ),
        Field("do", Choice(ACTIONS), "What happens."),
        Field(
            "notify",
            OneOrMore(
                Text(120, "team_lead, cost_centre_owner or the name of an alert channel", may_be_empty=False), 20
            ),
            "Who is told.",
            [],
        ),
        Field(
            "to",
            OneOrMore(Text(200, "the name of a model", may_be_empty=False), 20),
            "downgrade: the first that can be used is asked for instead.",
            [],
        ),
        Field(
            "when",
            Given((Field("uncached_input_tokens_below", whole(1), "Only turns with less new input.", None),)),
            "downgrade: which turns.",
            {},
        ),
        Field(
            "cache_aware", FLAG, "downgrade: only where it is cheaper for this very turn, its cold cache counted.", True
        ),
    )
)


class BudgetObjects(RuleObjects):
    name = "Budget"
    title = "What may be spent in a period, by each combination of `per`."
    order = 85
    rules = BUDGETS
    read_right = Permission.BUDGETS_READ
    manage_right = Permission.BUDGETS_MANAGE
    subject_kinds = frozenset({"budget"})
    spec = Record(
        (
            *head_fields(is_grouped=True),
            Field("team", TEAM_NAME, "Set by the lead of this team, below the team's own budgets.", None),
            Field("limit_usd", Amount(), "How much."),
            Field("period", Choice(tuple(Period.values)), "In which time."),
            Field("timezone", TIME_ZONE, "Whose midnight begins a day.", "UTC"),
            Field(
                "anchor", whole(1, 31), "On which day a week (1: Monday) or a month begins; left out: the first.", None
            ),
            Field("per", PER_SHAPE, "One counter for each combination of these; none: all together.", []),
            Field(
                "stages",
                ListOf(_STAGE, least=1, most=MOST_STAGES, is_unique=False),
                "What happens as it fills, ascending.",
                stored_stages(ORDINARY),
            ),
            Field(
                "counts",
                Choice(tuple(Counts.values)),
                "paid: what the organization pays; shadow: what callers' own subscriptions would cost; both.",
                str(Counts.PAID),
            ),
            Field("bound", Choice(tuple(Bound.values)), "strict: never above the line.", str(Bound.CALIBRATED)),
            Field(
                "on_counter_outage",
                Choice(tuple(Outage.values)),
                "While the counters are out of reach.",
                str(Outage.BOUNDED),
            ),
            Field(
                "outage_allowance_percent",
                whole(0, 100, "percent of the limit"),
                "bounded: for all pods together.",
                ORDINARY_ALLOWANCE_PERCENT,
            ),
            Field("grace", Choice(tuple(Grace.values)), "turn: a running tool loop may finish.", str(Grace.NONE)),
            Field("grace_usd", Amount(), "For how much more.", None),
            CONTACT,
        )
    )
    example = """\
kind: Budget
metadata: {name: engineer-daily}
spec:
  when: {subjects: ["team:platform"]}
  limit_usd: "10.00"
  period: day
  timezone: Europe/Berlin
  group: daily-allowance
  per: [principal]
  stages:
    - {at: 80, do: alert, notify: [team_lead]}
    - {at: 95, do: downgrade, to: [claude-haiku-4-5]}
    - {at: 100, do: block}
"""

    def references(self, spec: Spec) -> Iterator[Reference]:
        yield from super().references(spec)
        if spec["team"] is not None:
            yield Reference(("spec", "team"), Key("Team", spec["team"]))
        for number, stage in enumerate(spec["stages"]):
            for position, told in enumerate(stage.get("notify", ())):
                if told.startswith(CHANNEL):
                    path = ("spec", "stages", number, "notify", position)
                    yield Reference(path, Key("AlertChannel", told.removeprefix(CHANNEL)))

    def _rows(self, organization: Organization) -> Any:
        return super()._rows(organization).select_related("team")

    def _canonical(self, spec: Spec, world: RuleWorld, problems: Problems, row: Any = None) -> Spec:
        # The team is a row, which only the service looks for.
        without = {name: value for name, value in spec.items() if name != "team"}
        return {**super()._canonical(without, world, problems, row), "team": spec.get("team")}

    def _tidied(self, spec: dict[str, Any]) -> Spec:
        tidied = dict(super()._tidied(spec))
        if tidied["anchor"] == 1:
            tidied["anchor"] = None
        return tidied


KIND = BudgetObjects()
