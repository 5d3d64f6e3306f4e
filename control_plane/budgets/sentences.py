"""What a budget means, in words."""

from control_plane.budgets.models import Budget, Counts, Grace, Period
from control_plane.budgets.stages import BLOCK, Stage, loaded_stages, told_text
from control_plane.rules.conditions import DAYS, loaded, loaded_all
from control_plane.rules.reading import usd
from control_plane.rules.sentences import group_text, listed, mode_text, per_text, sentence, when_text
from control_plane.rules.subjects import Directory
from switchyard_contract.quantity import NanoUsd


def budget_sentence(budget: Budget, directory: Directory) -> str:
    """`Each person: what team platform asks for *opus* costs at most $10.00 a day …`, and what happens on the way."""
    when = when_text(loaded(budget.when), loaded_all(budget.when_not), directory)
    whose = f"{per_text(budget.per)} on its own: " if budget.per else "all together: "
    if budget.counts != Counts.PAID:
        whose += _COUNTED[Counts(budget.counts)]
    stages = loaded_stages(budget.stages)
    is_hard = any(stage.action == BLOCK for stage in stages)
    verb = "costs at most" if is_hard else "ought to cost at most"
    text = sentence(f"{whose}{when} {verb} ${usd(NanoUsd(budget.limit_nano_usd))} {period_text(budget)}")
    what = [stage_text(stage, budget) for stage in stages]
    if what:
        text += f" {sentence('; '.join(what))}"
    if budget.grace == Grace.TURN:
        text += f" A tool loop that is running may finish for ${usd(NanoUsd(budget.grace_nano_usd))} more."
    return text + group_text(budget.group) + mode_text(budget.mode)


_COUNTED = {
    Counts.SHADOW: "at list prices, on callers' own subscriptions, ",
    Counts.BOTH: "own subscriptions at list prices included, ",
}


def period_text(budget: Budget) -> str:
    """`a day, anew at midnight in Europe/Berlin`."""
    match budget.period:
        case Period.LIFETIME:
            return "for ever"
        case Period.MINUTE | Period.HOUR:
            return f"in {'an' if budget.period == Period.HOUR else 'a'} {budget.period}"
        case Period.DAY:
            return f"a day, anew at midnight in {budget.timezone}"
        case Period.WEEK:
            return f"a week, anew on {DAYS[budget.anchor - 1].capitalize()} in {budget.timezone}"
        case _:
            return f"a {budget.period}, anew on day {budget.anchor} in {budget.timezone}"


def stage_text(stage: Stage, budget: Budget) -> str:
    """`at 80 % the team lead is told`."""
    told = (
        f"{listed([_the(told_text(each)) for each in stage.notify])} {'is' if len(stage.notify) == 1 else 'are'} told"
    )
    match stage.action:
        case "downgrade":
            narrow = (
                f" of less than {stage.uncached_input_tokens_below:,} new input tokens"
                if stage.uncached_input_tokens_below
                else ""
            )
            where = " where that is cheaper for the turn" if stage.cache_aware else ""
            what = f"turns{narrow} go to {listed(stage.to, 'or')}{where}"
        case "block":
            line = NanoUsd(budget.limit_nano_usd * stage.at_percent // 100)
            what = f"requests are refused (${usd(line)})"
        case _:
            return f"at {stage.at_percent} % {told}"
    return f"at {stage.at_percent} % {what}{f' and {told}' if stage.notify else ''}"


def _the(told: str) -> str:
    """Channels have names; everybody else is somebody in particular: `the team lead`, `#finance`."""
    return told if told.startswith("#") else f"the {told}"
