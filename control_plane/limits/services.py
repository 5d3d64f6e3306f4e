"""Change rate limits and session caps."""

from collections.abc import Mapping
from typing import Any, ClassVar

from control_plane.audit.services import Actor
from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.organizations.models import Organization
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.crowding import check_crowd
from control_plane.rules.problems import Problems
from control_plane.rules.reading import Spec, SpecReader, usd
from control_plane.rules.reading_conditions import World, read_per, read_timezone
from control_plane.rules.sentences import group_text, listed, mode_text, per_text, sentence, when_text
from control_plane.rules.services import RuleKind, others_of, rule_create, rule_delete, rule_update
from control_plane.rules.subjects import Directory
from switchyard_contract.counters import MAX_RATES
from switchyard_contract.quantity import NanoUsd

HIGHEST_LIMIT = 10**12
CAPS = (
    "max_turns",
    "max_request_retries",
    "max_consecutive_failed_tool_results",
    "max_repeats_of_same_tool_call",
)
HIGHEST_CAP = 1_000_000
HIGHEST_COST_USD = 100_000
"""Times the highest factor it can still be counted exactly."""
ORDINARY_FACTOR = 10


class RateLimitKind(RuleKind[RateLimit]):
    noun: ClassVar[str] = "rate_limit"
    title: ClassVar[str] = "rate limit"
    model = RateLimit

    def read(self, reader: SpecReader, world: World) -> dict[str, Any]:
        unit = reader.choice("unit", Unit.values)
        limit = reader.whole("limit", least=1, most=HIGHEST_LIMIT)
        if not reader.has("limit"):
            reader.wrong("limit", "How many is needed. Right: a whole number from 1 on.")
        burst = reader.whole("burst", least=0, most=HIGHEST_LIMIT) or 0
        if burst and unit and not unit.endswith(("_per_minute", "_per_hour")):
            reader.wrong("burst", f"{unit} has no burst; it is for minutes and hours.")
        if burst and limit and burst > limit:
            reader.wrong("burst", f"{burst} at once is above the limit of {limit}. Right: at most {limit}.")
        timezone = read_timezone(reader)
        if timezone != "UTC" and unit and not unit.endswith("_per_day"):
            reader.wrong("timezone", f"{unit} begins nowhere anew; a time zone is for days.")
        return {
            "per": list(read_per(reader)),
            "unit": unit,
            "limit": limit or 1,
            "burst": burst,
            "timezone": timezone,
        }

    def merged(self, present: Mapping[str, Any], changes: Spec) -> dict[str, Any]:
        # Another unit has no use for what belonged to the one before.
        left = ("burst", "timezone") if changes.get("unit", present.get("unit")) != present.get("unit") else ()
        return {**{name: value for name, value in present.items() if name not in left}, **changes}

    def write(self, row: RateLimit) -> dict[str, Any]:
        return {
            "limit": row.limit,
            "unit": str(row.unit),
            "burst": row.burst,
            "timezone": row.timezone,
            "per": list(row.per),
        }

    def sentence(self, row: RateLimit, directory: Directory) -> str:
        when, when_not = loaded(row.when), loaded_all(row.when_not)
        whose = f"{per_text(row.per)}, of" if row.per else "Together,"
        if row.unit == Unit.CONCURRENT_REQUESTS:
            how = (
                "at most one request runs at once" if row.limit == 1 else f"at most {row.limit:,} requests run at once"
            )
        else:
            what, _, period = row.unit.partition("_per_")
            things = what.replace("_", " ")
            things = things.removesuffix("s") if row.limit == 1 else things
            how = f"at most {row.limit:,} {things} {'an' if period == 'hour' else 'a'} {period}"
            if period == "day":
                how += f", anew at midnight in {row.timezone}"
            elif row.burst:
                how += f", {row.burst:,} of them at once"
        text = sentence(f"{whose} {when_text(when, when_not, directory)}: {how}")
        return text + group_text(row.group) + mode_text(row.mode)

    def check(self, row: RateLimit, world: World, problems: Problems) -> None:
        check_crowd(row, others_of(row), most=MAX_RATES, what="rate limits", world=world, problems=problems)


_CAP_WORDS = {
    "max_turns": "{:,} turns",
    "max_request_retries": "{:,} retries of the same request",
    "max_consecutive_failed_tool_results": "{:,} failed tool results in a row",
    "max_repeats_of_same_tool_call": "the same tool call {:,} times in a row",
}


FLAGS = (
    "Results are flagged as failed by Anthropic Messages and Gemini, and by OpenAI Responses for patches only. OpenAI "
    "Chat has no flag for it, so none is counted there."
)
"""Where a failed tool result can be told from another one (`data_plane/protocols/*/signs.py`)."""


class SessionCapKind(RuleKind[SessionCap]):
    noun: ClassVar[str] = "session_cap"
    title: ClassVar[str] = "session cap"
    model = SessionCap

    def read(self, reader: SpecReader, world: World) -> dict[str, Any]:
        caps: dict[str, Any] = {name: reader.whole(name, least=1, most=HIGHEST_CAP) for name in CAPS}
        caps["max_cost_nano_usd"] = reader.money("max_cost_usd", most_usd=HIGHEST_COST_USD)
        if not any(reader.has(name) for name in (*CAPS, "max_cost_usd")):
            reader.wrong("max_cost_usd", f"The cap caps nothing. Give at least one of max_cost_usd, {', '.join(CAPS)}.")
        factor = reader.whole("per_key_hour_factor", least=0, most=1000)
        return {**caps, "per_key_hour_factor": ORDINARY_FACTOR if factor is None else factor}

    def sentence(self, row: SessionCap, directory: Directory) -> str:
        when, when_not = loaded(row.when), loaded_all(row.when_not)
        caps = [words.format(getattr(row, name)) for name, words in _CAP_WORDS.items() if getattr(row, name)]
        if row.max_cost_nano_usd is not None:
            caps.insert(0, f"${usd(NanoUsd(row.max_cost_nano_usd))}")
        text = sentence(f"a session ends at {listed(caps, 'or')}, in {when_text(when, when_not, directory)}")
        if row.max_consecutive_failed_tool_results:
            text += f" {FLAGS}"
        if row.per_key_hour_factor:
            text += f" A key has {row.per_key_hour_factor} times as much in an hour, over all of its sessions."
        return text + group_text(row.group) + mode_text(row.mode)

    def write(self, row: SessionCap) -> dict[str, Any]:
        cost = row.max_cost_nano_usd
        return {
            "max_cost_usd": None if cost is None else usd(NanoUsd(cost)),
            **{name: getattr(row, name) for name in CAPS},
            "per_key_hour_factor": row.per_key_hour_factor,
        }


RATE_LIMITS = RateLimitKind()
SESSION_CAPS = SessionCapKind()


def rate_limit_create(*, organization: Organization, name: str, spec: Spec, actor: Actor) -> RateLimit:
    """Add a rate limit. spec: when, limit, unit, burst, per, group, timezone, mode, contact, description."""
    return rule_create(RATE_LIMITS, organization=organization, name=name, spec=spec, actor=actor)


def rate_limit_update(
    *,
    rate_limit: RateLimit,
    actor: Actor,
    name: str | None = None,
    changes: Spec | None = None,
    replaces: bool = False,
    reason: str = "",
) -> RateLimit:
    """Change a rate limit; see `rules.services.rule_update`."""
    return rule_update(
        RATE_LIMITS, row=rate_limit, actor=actor, name=name, changes=changes, replaces=replaces, reason=reason
    )


def rate_limit_delete(*, rate_limit: RateLimit, actor: Actor, reason: str = "") -> None:
    rule_delete(RATE_LIMITS, row=rate_limit, actor=actor, reason=reason)


def session_cap_create(*, organization: Organization, name: str, spec: Spec, actor: Actor) -> SessionCap:
    """Add a session cap. spec: when, the caps, per_key_hour_factor, group, mode, contact, description."""
    return rule_create(SESSION_CAPS, organization=organization, name=name, spec=spec, actor=actor)


def session_cap_update(
    *,
    session_cap: SessionCap,
    actor: Actor,
    name: str | None = None,
    changes: Spec | None = None,
    replaces: bool = False,
    reason: str = "",
) -> SessionCap:
    """Change a session cap; see `rules.services.rule_update`."""
    return rule_update(
        SESSION_CAPS, row=session_cap, actor=actor, name=name, changes=changes, replaces=replaces, reason=reason
    )


def session_cap_delete(*, session_cap: SessionCap, actor: Actor, reason: str = "") -> None:
    rule_delete(SESSION_CAPS, row=session_cap, actor=actor, reason=reason)
