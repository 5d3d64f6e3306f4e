"""Budgets as a kind of rule: how their fields are read, written and checked."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from control_plane.budgets.loops import Cascade, way_back
from control_plane.budgets.models import ORDINARY_ALLOWANCE_PERCENT, Bound, Budget, Counts, Grace, Outage, Period
from control_plane.budgets.sentences import budget_sentence
from control_plane.budgets.services.delegated import check_delegated
from control_plane.budgets.stages import downgrade_of, loaded_stages, read_stages, stored_stages
from control_plane.organizations.models import Team
from control_plane.rules.conditions import loaded
from control_plane.rules.crowding import check_crowd
from control_plane.rules.models import Mode
from control_plane.rules.problems import Problems
from control_plane.rules.reading import Spec, SpecReader, usd
from control_plane.rules.reading_conditions import World, read_per, read_timezone
from control_plane.rules.services import RuleKind, others_of
from control_plane.rules.subjects import Directory, UnknownSubject
from switchyard_contract.counters import MAX_BUDGETS
from switchyard_contract.quantity import NanoUsd

ANCHORS = {Period.WEEK: 7, Period.MONTH: 31, Period.QUARTER: 31}


class BudgetKind(RuleKind[Budget]):
    noun: ClassVar[str] = "budget"
    title: ClassVar[str] = "budget"
    model = Budget

    def read(self, reader: SpecReader, world: World) -> dict[str, Any]:
        limit = reader.money("limit_usd")
        if not reader.has("limit_usd"):
            reader.wrong("limit_usd", 'An amount in US dollars is needed. Right: "10.00".')
        period = reader.choice("period", Period.values)
        anchor = reader.whole("anchor", least=1, most=ANCHORS.get(Period(period), 31) if period else 31)
        if anchor is not None and period and period not in ANCHORS:
            reader.wrong("anchor", f"A {period} has no anchor; it is the day on which a week, month or quarter begins.")
        percent = reader.whole("outage_allowance_percent", least=0, most=100, unit="percent of the limit")
        return {
            "team": _read_team(reader, world),
            "per": list(read_per(reader)),
            "limit_nano_usd": limit or 1,
            "period": period,
            "timezone": read_timezone(reader),
            "anchor": anchor or 1,
            "counts": reader.choice("counts", Counts.values, Counts.PAID),
            "stages": stored_stages(read_stages(reader, world)),
            "bound": reader.choice("bound", Bound.values, Bound.CALIBRATED),
            "on_counter_outage": reader.choice("on_counter_outage", Outage.values, Outage.BOUNDED),
            "outage_allowance_percent": ORDINARY_ALLOWANCE_PERCENT if percent is None else percent,
            **_read_grace(reader),
        }

    def merged(self, present: Mapping[str, Any], changes: Spec) -> dict[str, Any]:
        # Another period has no use for the anchor of the one before, nor no grace for its amount.
        left = {"anchor"} if changes.get("period", present.get("period")) != present.get("period") else set()
        left |= {"grace_usd"} if changes.get("grace", present.get("grace")) != present.get("grace") else set()
        return {**{name: value for name, value in present.items() if name not in left}, **changes}

    def write(self, row: Budget) -> dict[str, Any]:
        return {
            "team": None if row.team is None else row.team.name,
            "limit_usd": usd(NanoUsd(row.limit_nano_usd)),
            "period": str(row.period),
            "timezone": row.timezone,
            "anchor": row.anchor if row.period in ANCHORS else None,
            "per": list(row.per),
            "counts": str(row.counts),
            "stages": stored_stages(loaded_stages(row.stages)),
            "bound": str(row.bound),
            "on_counter_outage": str(row.on_counter_outage),
            "outage_allowance_percent": row.outage_allowance_percent,
            "grace": str(row.grace),
            "grace_usd": usd(NanoUsd(row.grace_nano_usd)) if row.grace == Grace.TURN else None,
        }

    def sentence(self, row: Budget, directory: Directory) -> str:
        return budget_sentence(row, directory)

    def check(self, row: Budget, world: World, problems: Problems) -> None:
        others = others_of(row)
        check_crowd(row, others, most=MAX_BUDGETS, what="budgets", world=world, problems=problems)
        if row.team is not None:
            check_delegated(row, problems)
        _check_way_back(row, [each for each in others if each.mode != Mode.OFF], world, problems)


def _read_team(reader: SpecReader, world: World) -> Team | None:
    name = reader.text("team", most=100)
    if not name:
        return None
    try:
        subject = world.directory.find(f"team:{name}")
    except UnknownSubject as failure:
        reader.wrong("team", str(failure))
        return None
    return Team.objects.get(organization=world.organization, id=UUID(subject.value))


def _read_grace(reader: SpecReader) -> dict[str, Any]:
    grace = reader.choice("grace", Grace.values, Grace.NONE)
    amount = reader.money("grace_usd")
    if grace == Grace.TURN and not reader.has("grace_usd"):
        reader.wrong("grace_usd", 'How much a running tool loop may go on for is needed. Right: "0.50".')
    if grace == Grace.NONE and reader.has("grace_usd"):
        reader.wrong("grace_usd", "Only grace: turn has an amount.")
    return {"grace": grace, "grace_nano_usd": (amount or 1) if grace == Grace.TURN else 0}


def _check_way_back(row: Budget, others: list[Budget], world: World, problems: Problems) -> None:
    mine = _cascade(row)
    if not mine.to or row.mode == Mode.OFF:
        return
    around = way_back([mine, *(_cascade(each) for each in others)], world.models.names_of)
    # A round of other budgets is not this one's fault; it was refused when it was closed.
    if around and any(name in mine.to for name in around):
        position = next(number for number, stage in enumerate(row.stages) if stage["do"] == "downgrade")
        problems.add(
            f"stages[{position}].to",
            f"The list leads back: {' to '.join(around)}. Right: only models that no budget downgrades to these again.",
        )


def _cascade(row: Budget) -> Cascade:
    stage = downgrade_of(loaded_stages(row.stages))
    return Cascade(row.name, loaded(row.when).models, stage.to if stage is not None else ())


BUDGETS = BudgetKind()
