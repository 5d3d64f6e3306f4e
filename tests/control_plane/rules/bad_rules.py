"""Rules that must be refused, wherever they are written: in a form, over REST, in a policy file.

Each names the field as the API does. `present` are good rules that have to be there first. The specs speak of nothing
that a tenant of the builders lacks, apart from what is wrong with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Spec = Mapping[str, Any]
A_BUDGET: Spec = {"limit_usd": "10.00", "period": "day"}
A_RATE: Spec = {"limit": 60, "unit": "requests_per_minute"}
A_CAP: Spec = {"max_turns": 100}
AN_ACCESS_RULE: Spec = {"allow": {}}


@dataclass(frozen=True)
class Good:
    """A rule that must be there for another one to be bad."""

    kind: str
    name: str
    spec: Spec


@dataclass(frozen=True)
class Bad:
    """One wrong rule. field: what is told to be wrong. says: a part of the sentence."""

    id: str
    kind: str
    spec: Spec
    field: str
    says: str
    present: tuple[Good, ...] = field(default=())
    name: str = "bad"


def _budget(**fields: Any) -> Spec:
    return {**A_BUDGET, **fields}


def _stages(*stages: Spec) -> Spec:
    return _budget(stages=list(stages))


NINE = tuple(Good("Budget", f"budget-{number}", A_BUDGET) for number in range(8))
NINE_RATES = tuple(Good("RateLimit", f"rate-{number}", A_RATE) for number in range(8))

BAD_RULES = (
    # Numbers
    Bad("negative limit", "Budget", _budget(limit_usd="-10.00"), "limit_usd", "negative"),
    Bad("limit of NaN", "Budget", _budget(limit_usd="NaN"), "limit_usd", "no amount"),
    Bad("endless limit", "Budget", _budget(limit_usd="Infinity"), "limit_usd", "no amount"),
    Bad("limit of nothing", "Budget", _budget(limit_usd="0"), "limit_usd", "too little"),
    Bad("limit beyond counting", "Budget", _budget(limit_usd="1000000000000"), "limit_usd", "too much"),
    Bad("limit in words", "Budget", _budget(limit_usd="ten"), "limit_usd", "no amount"),
    Bad("no limit", "Budget", {"period": "day"}, "limit_usd", "needed"),
    Bad("negative rate", "RateLimit", {**A_RATE, "limit": -1}, "limit", "negative"),
    Bad("rate of NaN", "RateLimit", {**A_RATE, "limit": "NaN"}, "limit", "no whole number"),
    Bad("rate of nothing", "RateLimit", {**A_RATE, "limit": 0}, "limit", "too small"),
    Bad("half a request", "RateLimit", {**A_RATE, "limit": "1.5"}, "limit", "no whole number"),
    Bad("negative burst", "RateLimit", {**A_RATE, "burst": -1}, "burst", "negative"),
    Bad("burst above the limit", "RateLimit", {**A_RATE, "burst": 61}, "burst", "above the limit"),
    Bad(
        "burst of a day",
        "RateLimit",
        {"limit": 9, "unit": "requests_per_day", "burst": 3},
        "burst",
        "minutes and hours",
    ),
    Bad("negative cap", "SessionCap", {"max_turns": -1}, "max_turns", "negative"),
    Bad("cap of NaN", "SessionCap", {"max_cost_usd": "nan"}, "max_cost_usd", "no amount"),
    Bad("cap of nothing", "SessionCap", {}, "max_cost_usd", "caps nothing"),
    Bad(
        "allowance above all", "Budget", _budget(outage_allowance_percent=101), "outage_allowance_percent", "too large"
    ),
    # Units and periods
    Bad("unknown period", "Budget", _budget(period="fortnight"), "period", "none of"),
    Bad("unknown unit", "RateLimit", {**A_RATE, "unit": "requests_per_week"}, "unit", "none of"),
    Bad("unknown zone", "Budget", _budget(timezone="Europe/Atlantis"), "timezone", "no time zone"),
    Bad("zone with a path", "Budget", _budget(timezone="../../etc/passwd"), "timezone", "no time zone"),
    Bad("anchor of a day", "Budget", _budget(anchor=3), "anchor", "no anchor"),
    Bad("anchor beyond a week", "Budget", _budget(period="week", anchor=8), "anchor", "too large"),
    Bad("unknown mode", "Budget", _budget(mode="enforced"), "mode", "none of"),
    Bad("unknown bound", "Budget", _budget(bound="loose"), "bound", "none of"),
    Bad("unknown outage rule", "Budget", _budget(on_counter_outage="panic"), "on_counter_outage", "none of"),
    Bad("grace without an amount", "Budget", _budget(grace="turn"), "grace_usd", "needed"),
    Bad("amount without grace", "Budget", _budget(grace_usd="0.50"), "grace_usd", "Only grace: turn"),
    # Stages
    Bad(
        "thresholds out of order",
        "Budget",
        _stages({"at": 95, "do": "alert"}, {"at": 80, "do": "alert"}, {"at": 100, "do": "block"}),
        "stages[1].at",
        "ascending",
    ),
    Bad(
        "something after the block",
        "Budget",
        _stages({"at": 100, "do": "block"}, {"at": 105, "do": "alert"}),
        "stages[0].do",
        "last",
    ),
    Bad("two blocks", "Budget", _stages({"at": 90, "do": "block"}, {"at": 100, "do": "block"}), "stages[1].do", "one"),
    Bad("tolerance beyond 110", "Budget", _stages({"at": 120, "do": "block"}), "stages[0].at", "too large"),
    Bad("threshold of nothing", "Budget", _stages({"at": 0, "do": "alert"}), "stages[0].at", "too small"),
    Bad("threshold of NaN", "Budget", _stages({"at": "NaN", "do": "alert"}), "stages[0].at", "no whole number"),
    Bad("unknown action", "Budget", _stages({"at": 80, "do": "shout"}), "stages[0].do", "none of"),
    Bad("downgrade to nothing", "Budget", _stages({"at": 95, "do": "downgrade"}), "stages[0].to", "Name the models"),
    Bad(
        "downgrade to a pattern",
        "Budget",
        _stages({"at": 95, "do": "downgrade", "to": ["claude-*"]}),
        "stages[0].to[0]",
        "pattern",
    ),
    Bad("alert with a list", "Budget", _stages({"at": 80, "do": "alert", "to": ["a"]}), "stages[0].to", "downgrades"),
    Bad(
        "downgrade to itself",
        "Budget",
        _budget(
            when={"models": ["anthropic-main/claude-opus-4-8"]},
            stages=[{"at": 95, "do": "downgrade", "to": ["anthropic-main/claude-opus-4-8"]}],
        ),
        "stages[0].to",
        "leads back",
    ),
    Bad(
        "downgrade that leads back",
        "Budget",
        _budget(
            when={"models": ["*haiku*"]},
            stages=[{"at": 95, "do": "downgrade", "to": ["anthropic-main/claude-opus-4-8"]}],
        ),
        "stages[0].to",
        "leads back",
        present=(
            Good(
                "Budget",
                "opus",
                _budget(
                    when={"models": ["*opus*"]},
                    stages=[{"at": 95, "do": "downgrade", "to": ["anthropic-main/claude-haiku-4-5"]}],
                ),
            ),
        ),
    ),
    Bad(
        "no such channel",
        "Budget",
        _stages({"at": 80, "do": "alert", "notify": ["nowhere"]}),
        "stages[0].notify[0]",
        "no alert channel",
    ),
    # References to nothing
    Bad("no such team", "Budget", _budget(when={"subjects": ["team:nowhere"]}), "when.subjects[0]", "no team"),
    Bad(
        "no such person", "Budget", _budget(when={"subjects": ["user:no@one.example"]}), "when.subjects[0]", "no member"
    ),
    Bad(
        "no such account",
        "RateLimit",
        {**A_RATE, "when": {"subjects": ["service_account:none"]}},
        "when.subjects[0]",
        "no service account",
    ),
    Bad(
        "no such key", "SessionCap", {**A_CAP, "when": {"subjects": ["key:000000000000"]}}, "when.subjects[0]", "no key"
    ),
    Bad(
        "no such role",
        "AccessRule",
        {**AN_ACCESS_RULE, "when": {"subjects": ["role:boss"]}},
        "when.subjects[0]",
        "no role",
    ),
    Bad(
        "no subject",
        "AccessRule",
        {**AN_ACCESS_RULE, "when": {"subjects": ["everyone"]}},
        "when.subjects[0]",
        "no subject",
    ),
    Bad(
        "exception for nobody",
        "Budget",
        _budget(when={"not": {"subjects": ["team:nowhere"]}}),
        "when.not.subjects[0]",
        "no team",
    ),
    Bad("no such provider", "AccessRule", {"allow": {"providers": ["nowhere"]}}, "allow.providers[0]", "no provider"),
    Bad("no such model", "AccessRule", {"allow": {"models": ["nowhere/claude"]}}, "allow.models[0]", "No provider"),
    Bad(
        "no such cheaper model",
        "Budget",
        _stages({"at": 95, "do": "downgrade", "to": ["nowhere/mini"]}),
        "stages[0].to[0]",
        "No provider",
    ),
    Bad("nothing to count by", "Budget", _budget(per=["person"]), "per[0]", "nothing to count by"),
    Bad("users and accounts at once", "Budget", _budget(per=["user", "service_account"]), "per", "principal"),
    Bad(
        "no such protocol",
        "Budget",
        _budget(when={"protocols": ["carrier_pigeon"]}),
        "when.protocols[0]",
        "no protocol",
    ),
    # Conditions
    Bad("empty list", "Budget", _budget(when={"subjects": []}), "when.subjects", "empty list"),
    Bad(
        "everybody and somebody",
        "Budget",
        _budget(when={"subjects": ["organization", "role:member"]}),
        "when.subjects",
        "everybody",
    ),
    Bad("excludes everything", "Budget", _budget(when={"not": {}}), "when.not", "excluded"),
    Bad("unknown part", "Budget", _budget(when={"subject": ["role:member"]}), "when.subject", "no such field"),
    Bad("unknown field", "Budget", _budget(limit="10"), "limit", "no such field"),
    Bad(
        "hours in an unknown zone",
        "Budget",
        _budget(
            when={"hours": {"timezone": "Mars/Base", "windows": [{"days": ["mon"], "from": "9:00", "until": "17:00"}]}}
        ),
        "when.hours.timezone",
        "no time zone",
    ),
    Bad(
        "hours of no day",
        "Budget",
        _budget(
            when={"hours": {"timezone": "UTC", "windows": [{"days": ["someday"], "from": "9:00", "until": "17:00"}]}}
        ),
        "when.hours.windows[0].days",
        "no day",
    ),
    Bad(
        "hours of 25",
        "Budget",
        _budget(when={"hours": {"timezone": "UTC", "windows": [{"days": ["mon"], "from": "9:00", "until": "25:00"}]}}),
        "when.hours.windows[0].until",
        "no time of day",
    ),
    Bad("hours in words", "Budget", _budget(when={"hours": "office hours"}), "when.hours", "no hours"),
    Bad("key of metadata", "Budget", _budget(when={"metadata": {"a key": ["x"]}}), "when.metadata.a key", "No key"),
    Bad("says nothing", "AccessRule", {}, "allow", "says nothing"),
    Bad("denies nothing", "AccessRule", {"deny": {}}, "deny", "Nothing is denied"),
    Bad("denies one's own", "AccessRule", {"deny": {"external": False}}, "deny.external", "true"),
    # Patterns
    Bad("catastrophic pattern", "MetadataKey", {"pattern": "(a+)+$"}, "pattern", "repeats"),
    Bad("catastrophic alternatives", "MetadataKey", {"pattern": "(x|x)*y"}, "pattern", "repeats"),
    Bad("backreference", "MetadataKey", {"pattern": r"(a)\1"}, "pattern", "backreferences"),
    Bad("look-ahead", "MetadataKey", {"pattern": "(?=secret)"}, "pattern", "ahead"),
    Bad("open bracket", "MetadataKey", {"pattern": "(dev|prod"}, "pattern", "not closed"),
    Bad("pattern of a book", "MetadataKey", {"pattern": "x" * 501}, "pattern", "At most"),
    Bad("unknown answer", "MetadataKey", {"unknown": "shrug"}, "unknown", "none of"),
    # Together
    Bad("ninth budget", "Budget", A_BUDGET, "when", "9 budgets", present=NINE),
    Bad("ninth rate limit", "RateLimit", A_RATE, "when", "9 rate limits", present=NINE_RATES),
    # Names
    Bad("name with a space", "Budget", A_BUDGET, "name", "Lower-case", name="My Budget"),
    Bad("group with a space", "Budget", _budget(group="My Group"), "group", "Lower-case"),
)
PATHS = {
    "AccessRule": "access-rules",
    "RateLimit": "rate-limits",
    "SessionCap": "session-caps",
    "Budget": "budgets",
    "MetadataKey": "metadata-keys",
}
"""Where each kind lives in REST."""
