"""What happens as a budget fills: alert, downgrade, block. Stages are data; these are their rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from control_plane.rules.problems import did_you_mean, shown
from control_plane.rules.reading import SpecReader
from control_plane.rules.reading_conditions import World
from control_plane.rules.services import name_problem

ALERT, DOWNGRADE, BLOCK = "alert", "downgrade", "block"
ACTIONS = (ALERT, DOWNGRADE, BLOCK)
ORDINARY_AT = {ALERT: 80, DOWNGRADE: 95, BLOCK: 100}
HIGHEST_PERCENT = 110
"""A block may stand above the limit by so much: a tolerance, whose dollars are shown."""
MOST_STAGES = 10
MOST_TO = 20
TOLD = ("team_lead", "cost_centre_owner")
"""Whom an alert may go to, besides a channel by its name (`channel:finance`, or `finance` alone)."""
CHANNEL = "channel:"


@dataclass(frozen=True, slots=True)
class Stage:
    """notify: words of TOLD, `channel:<name>`. to: names to ask for instead, the first usable one wins."""

    at_percent: int
    action: str
    notify: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    uncached_input_tokens_below: int = 0
    """Only turns with less fresh input are downgraded; 0: all."""
    cache_aware: bool = True
    """Only where the cheaper model is cheaper for this turn, its cold cache counted."""


ORDINARY = (Stage(80, ALERT, notify=("team_lead",)), Stage(100, BLOCK))
"""Where a budget says nothing of stages."""


def block_percent(stages: Sequence[Stage]) -> int | None:
    """Where it blocks; None: it only warns."""
    return next((stage.at_percent for stage in stages if stage.action == BLOCK), None)


def downgrade_of(stages: Sequence[Stage]) -> Stage | None:
    return next((stage for stage in stages if stage.action == DOWNGRADE), None)


def stored_stages(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Write stages for their column; REST and policy files have them alike."""
    return [_plain(stage) for stage in stages]


def loaded_stages(column: Sequence[Any]) -> tuple[Stage, ...]:
    """Read stages back from their column."""
    return tuple(
        Stage(
            at_percent=each["at"],
            action=each["do"],
            notify=tuple(each.get("notify", ())),
            to=tuple(each.get("to", ())),
            uncached_input_tokens_below=each.get("when", {}).get("uncached_input_tokens_below", 0),
            cache_aware=each.get("cache_aware", True),
        )
        for each in column
    )


def told_text(told: str) -> str:
    """Whom an alert goes to, for people: `team lead`, `#finance`."""
    return f"#{told.removeprefix(CHANNEL)}" if told.startswith(CHANNEL) else told.replace("_", " ")


def read_stages(reader: SpecReader, world: World) -> tuple[Stage, ...]:
    """Read the field `stages`; the ordinary ones where it is left out."""
    if reader.given("stages") is None:
        return ORDINARY
    found: dict[int, Stage] = {}
    for position, each in enumerate(reader.items("stages", what="stages", most=MOST_STAGES)):
        stage = _stage(SpecReader(each, reader.problems, reader.field(f"stages[{position}]")), world)
        if stage is not None:
            found[position] = stage
    _check_order(reader, found)
    return tuple(found.values())


def _stage(reader: SpecReader, world: World) -> Stage | None:
    action = reader.choice("do", ACTIONS)
    at = reader.whole("at", least=1, most=HIGHEST_PERCENT, unit="percent of the limit")
    if at is None and not reader.has("at"):
        at = ORDINARY_AT.get(action)
    notify = _notify(reader, world)
    to = reader.texts("to", what="models", check=world.models.wrong_with)
    cache_aware = reader.claim("cache_aware", default=True)
    narrow = reader.inner("when")
    below = narrow.whole("uncached_input_tokens_below", least=1) if narrow is not None else None
    if narrow is not None:
        narrow.refuse_unknown()
    if action == DOWNGRADE:
        _check_to(reader, to)
    elif action:
        for name in ("to", "when", "cache_aware"):
            if reader.has(name):
                reader.wrong(name, f"Only a stage that downgrades has it; this one says {action}.")
    if action == ALERT and not notify:
        notify = ("team_lead",)
    reader.refuse_unknown()
    if at is None or not action:
        return None
    return Stage(at, action, notify, to, below or 0, cache_aware)


def _check_to(reader: SpecReader, to: Sequence[str]) -> None:
    if not reader.has("to"):
        reader.wrong("to", "Name the models to ask for instead, the first one that can be used wins.")
    if len(to) > MOST_TO:
        reader.wrong("to", f"At most {MOST_TO} models; these are {len(to)}.")
    for position, name in enumerate(to):
        if "*" in name or "?" in name:
            reader.wrong(f"to[{position}]", f"{shown(name)} is a pattern. Right: the name of one model.")


def _check_order(reader: SpecReader, stages: Mapping[int, Stage]) -> None:
    """stages: by their position in the list, those that could be read."""
    for (_, before), (position, stage) in pairwise(stages.items()):
        where = f"stages[{position}].at"
        if stage.at_percent < before.at_percent:
            reader.wrong(
                where, f"{stage.at_percent} comes after {before.at_percent}. Right: stages in ascending order."
            )
        elif stage.at_percent == before.at_percent and stage.action == before.action:
            reader.wrong(where, f"There are two stages that {stage.action} at {stage.at_percent}.")
    for action in (DOWNGRADE, BLOCK):
        positions = [position for position, stage in stages.items() if stage.action == action]
        for position in positions[1:]:
            reader.wrong(f"stages[{position}].do", f"Only one stage may {action}.")
        if action == BLOCK and positions and positions[0] != max(stages):
            reader.wrong(f"stages[{positions[0]}].do", "Nothing comes after a block. Right: block as the last stage.")


def _notify(reader: SpecReader, world: World) -> tuple[str, ...]:
    found: list[str] = []
    for position, text in enumerate(reader.items("notify", what="team_lead or channels", most=20, may_be_empty=True)):
        where = f"notify[{position}]"
        told = _told(reader, where, text, world)
        if told and told not in found:
            found.append(told)
    return tuple(found)


def _told(reader: SpecReader, where: str, text: object, world: World) -> str:
    known = world.channels()
    name = text.removeprefix(CHANNEL) if isinstance(text, str) else ""
    if text in TOLD:
        return str(text)
    if name and not name_problem(name) and (known is None or name in known):
        return f"{CHANNEL}{name}"
    reader.wrong(
        where,
        f"There is no alert channel {shown(text)} here.{did_you_mean(name, [*TOLD, *(known or ())])} "
        f"Right: {', '.join(TOLD)}, or the name of a channel.",
    )
    return ""


def _plain(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = {"at": stage.at_percent, "do": stage.action}
    if stage.notify:
        found["notify"] = list(stage.notify)
    if stage.action == DOWNGRADE:
        found["to"] = list(stage.to)
        if stage.uncached_input_tokens_below:
            found["when"] = {"uncached_input_tokens_below": stage.uncached_input_tokens_below}
        found["cache_aware"] = stage.cache_aware
    return found
