from collections.abc import Callable
from typing import Any

import pytest

from data_plane.policy.globs import globs_of
from data_plane.policy.periods import Periods
from data_plane.policy.rules import (
    Budget,
    Condition,
    Parts,
    ProviderLimits,
    Raise,
    Rules,
    SessionCap,
    Stage,
)
from data_plane.policy.snapshot import InvalidSnapshot
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.builders.rules import (
    SHADOW,
    a_budget,
    a_rate_limit,
    a_session_cap,
    alert,
    an_access_rule,
    block,
    downgrade,
    every,
    hours,
    usd,
    when,
)
from tests.data_plane.policy.builders import BOT, CLAUDE_MAIN, ORG, TEAM, USER, a_policy, a_policy_shard, a_provider

WHERE = f"org/{ORG}/policy"


def rules_of(**fields: Any) -> Rules:
    policy = a_policy(policy=a_policy_shard(**fields)).organizations[ORG].policy
    assert policy is not None
    return policy.rules


def test_a_budget_is_read_with_everything_it_says() -> None:
    message = a_budget(
        "daily",
        10,
        mode=SHADOW,
        when=when(f"team:{TEAM}", f"user:{USER}", models=("*opus*",), metadata={"env": ("dev", "test-*")}),
        when_not=[when(f"service_account:{BOT}")],
        group="allowance",
        per=["principal", "metadata.env"],
        periods=every("day", (1000, 2000, 3000), "Europe/Berlin"),
        stages=[alert(80, "team lead"), downgrade("small", cache_aware=True), block(110)],
        bound=pb.BOUND_STRICT,
        on_counter_outage=pb.OUTAGE_POLICY_DENY,
        outage_allowance_nano_usd=usd(0.5),
        grace_turn_nano_usd=usd(1),
        raises=[pb.Raise(id="x", counter=f"{USER}/dev", amount_nano_usd=usd(5), from_ms=1, until_ms=9)],
        contact="finance",
        counts="both",
    )

    assert rules_of(budgets=[message], counter_generation=7, budget_status="429") == Rules(
        budgets=(
            Budget(
                id="id-daily",
                name="daily",
                is_shadow=True,
                when=Condition(
                    subjects=frozenset({f"team:{TEAM}", f"user:{USER}"}),
                    models=globs_of(("*opus*",)),
                    metadata=(("env", globs_of(("dev", "test-*"))),),
                ),
                when_not=(Condition(subjects=frozenset({f"service_account:{BOT}"})),),
                group="allowance",
                per=("principal", "metadata.env"),
                limit=usd(10),
                periods=Periods((1000, 2000, 3000), timezone="Europe/Berlin", unit="day"),
                stages=(
                    Stage(80, "alert", told=("team lead",)),
                    Stage(95, "downgrade", to=("small",), cache_aware=True),
                    Stage(110, "block"),
                ),
                is_strict=True,
                outage="deny",
                outage_allowance=usd(0.5),
                grace=usd(1),
                raises=(Raise("x", f"{USER}/dev", usd(5), 1, 9),),
                contact="finance",
                counts="both",
            ),
        ),
        counter_generation=7,
        always_429=True,
    )


@pytest.mark.parametrize(("said", "counts"), [("", "paid"), ("paid", "paid"), ("shadow", "shadow"), ("both", "both")])
def test_a_budget_counts_what_is_paid_unless_it_says_otherwise(said: str, counts: str) -> None:
    (budget,) = rules_of(budgets=[a_budget(counts=said)]).budgets

    assert budget.counts == counts


def test_a_budget_that_counts_something_unheard_of_is_refused() -> None:
    with pytest.raises(InvalidSnapshot, match="neither paid, shadow nor both"):
        rules_of(budgets=[a_budget(counts="everything")])


def test_what_a_rule_of_access_only_denies_grants_nothing() -> None:
    deny = pb.Parts(models=["*opus*"], external=True)

    access = rules_of(
        access_rules=[
            an_access_rule("a", deny=deny),
            an_access_rule("b", deny=deny, allow=pb.Parts()),
            an_access_rule("c"),
            an_access_rule("d", allow=pb.Parts(providers=["x"], regions=["eu*"], external=False)),
        ]
    ).access

    denied = Parts(models=globs_of(("*opus*",)), external=True)
    said = [(rule.allow, rule.deny) for rule in access]
    assert said == [
        (None, denied),
        (Parts(), denied),
        (Parts(), Parts()),
        (Parts(providers=globs_of(("x",)), regions=globs_of(("eu*",)), external=False), Parts()),
    ]


def test_rates_caps_metadata_facts_and_what_accounts_take_are_read() -> None:
    limits = pb.ProviderLimits(concurrent_requests=200, requests_per_minute=4000, tokens_per_minute=9)
    shard = a_policy_shard(
        providers=[a_provider(external=True, limits=limits)],
        models=[],
        virtual_models=[],
        rate_limits=[
            a_rate_limit("slow", limit=5),
            a_rate_limit("few", limit=3, unit=pb.RATE_UNIT_CONCURRENT_REQUESTS, periods=None),
        ],
        session_caps=[a_session_cap("c", max_cost_nano_usd=5, max_turns=4, max_request_retries=3)],
        metadata_keys=[pb.MetadataKey(key="env", is_required=True, values=["dev"], pattern="d.*")],
        model_facts=[pb.ModelFacts(vendor="anthropic", model="claude-x", expected_per_mille=50)],
    )
    policy = a_policy(policy=shard).organizations[ORG].policy
    assert policy is not None
    rules = policy.rules

    assert policy.providers[CLAUDE_MAIN].limits == ProviderLimits(200, 4000, 9)
    assert policy.providers[CLAUDE_MAIN].is_external
    few, slow = rules.rates
    assert (few.is_concurrency, few.unit, few.limit) == (True, "requests", 3)
    assert (slow.burst, slow.periods) == (5, Periods(fixed_ms=60_000, unit="minute"))
    assert rules.caps == (SessionCap("id-c", "c", False, Condition(), (), "", usd(0) + 5, 4, 3, 0, 0, 0, ""),)
    (key,) = rules.metadata_keys
    assert (key.key, key.is_required, key.values, key.pattern_text) == ("env", True, frozenset({"dev"}), "d.*")
    facts = rules.model_facts["anthropic", "claude-x"]
    assert (facts.expected_per_mille, facts.bytes_per_token_milli) == (50, 1000)


def test_a_person_has_a_role_and_a_service_account_has_none() -> None:
    people = [pb.Principal(id=USER, kind=pb.PRINCIPAL_KIND_USER, name="a", active=True, role="team_lead")]
    policy = a_policy(policy=a_policy_shard(principals=people)).organizations[ORG].policy

    assert policy is not None
    assert policy.principals[USER].role == "team_lead"


def test_unsaid_bound_and_outage_are_the_defaults() -> None:
    (budget,) = rules_of(budgets=[a_budget(bound=0, on_counter_outage=0)]).budgets

    assert (budget.is_strict, budget.outage) == (False, "bounded")


def test_rules_come_by_name_in_whatever_order_they_were_sent() -> None:
    names = [rule.name for rule in rules_of(budgets=[a_budget("b"), a_budget("a"), a_budget("c")]).budgets]

    assert names == ["a", "b", "c"]


Fields = dict[str, Any]
BAD: list[tuple[str, Callable[[], Fields], str]] = [
    ("no mode", lambda: {"budgets": [a_budget(mode=0)]}, "budgets[budget].mode"),
    ("an unknown mode", lambda: {"budgets": [a_budget(mode=9)]}, "budgets[budget].mode"),
    ("no id", lambda: {"access_rules": [an_access_rule(id="")]}, "access_rules[access].id"),
    ("an id twice", lambda: {"budgets": [a_budget("a", id="1"), a_budget("b", id="1")]}, "budgets[b].id"),
    ("no name", lambda: {"budgets": [a_budget(name="", id="x")]}, "budgets[x].name"),
    ("a negative limit", lambda: {"budgets": [a_budget(limit_nano_usd=-1)]}, "limit_nano_usd"),
    ("a limit beyond all counting", lambda: {"budgets": [a_budget(limit_nano_usd=2**62)]}, "limit_nano_usd"),
    (
        "a negative allowance",
        lambda: {"budgets": [a_budget(outage_allowance_nano_usd=-1)]},
        "outage_allowance_nano_usd",
    ),
    ("negative grace", lambda: {"budgets": [a_budget(grace_turn_nano_usd=-1)]}, "grace_turn_nano_usd"),
    ("an unknown bound", lambda: {"budgets": [a_budget(bound=9)]}, "bound"),
    ("an unknown outage", lambda: {"budgets": [a_budget(on_counter_outage=9)]}, "on_counter_outage"),
    ("stages out of order", lambda: {"budgets": [a_budget(stages=[block(100), alert(80)])]}, "stages[1].at_percent"),
    ("a stage at nothing", lambda: {"budgets": [a_budget(stages=[alert(0)])]}, "stages[0].at_percent"),
    ("a stage far beyond", lambda: {"budgets": [a_budget(stages=[block(2000)])]}, "stages[0].at_percent"),
    ("an unknown action", lambda: {"budgets": [a_budget(stages=[pb.Stage(at_percent=5)])]}, "stages[0].action"),
    ("a downgrade to nowhere", lambda: {"budgets": [a_budget(stages=[downgrade()])]}, "stages[0].to"),
    ("a downgrade twice to one", lambda: {"budgets": [a_budget(stages=[downgrade("a", "a")])]}, "stages[0].to"),
    ("something odd to count by", lambda: {"budgets": [a_budget(per=["wallet"])]}, "per"),
    ("metadata of no key", lambda: {"budgets": [a_budget(per=["metadata."])]}, "per"),
    ("one thing twice", lambda: {"budgets": [a_budget(per=["key", "key"])]}, "per"),
    ("an unknown period", lambda: {"budgets": [a_budget(periods=pb.Periods(unit="fortnight"))]}, "periods.unit"),
    ("a day without instants", lambda: {"budgets": [a_budget(periods=every("day"))]}, "periods.unit"),
    ("instants that go back", lambda: {"budgets": [a_budget(periods=every("day", (5, 5)))]}, "periods.starts_ms"),
    (
        "a negative length",
        lambda: {"budgets": [a_budget(periods=pb.Periods(unit="hour", fixed_ms=-1))]},
        "periods.fixed_ms",
    ),
    (
        "a raise that takes",
        lambda: {"budgets": [a_budget(raises=[pb.Raise(amount_nano_usd=-1, until_ms=1)])]},
        "raises[0]",
    ),
    ("a raise without time", lambda: {"budgets": [a_budget(raises=[pb.Raise(from_ms=2, until_ms=2)])]}, "until_ms"),
    ("a rate of nothing", lambda: {"rate_limits": [a_rate_limit(limit=0)]}, "rate_limits[rate].limit"),
    ("a rate beyond counting", lambda: {"rate_limits": [a_rate_limit(limit=2**60)]}, "limit"),
    ("a rate of no unit", lambda: {"rate_limits": [a_rate_limit(unit=0)]}, "unit"),
    ("a rate of an unknown unit", lambda: {"rate_limits": [a_rate_limit(unit=77)]}, "unit"),
    (
        "a sliding rate without a window",
        lambda: {"rate_limits": [a_rate_limit(periods=pb.Periods(unit="minute", starts_ms=[1, 2]))]},
        "periods.fixed_ms",
    ),
    ("a negative cap", lambda: {"session_caps": [a_session_cap(max_cost_nano_usd=-5)]}, "max_cost_nano_usd"),
    (
        "a cap beyond counting in an hour",
        lambda: {"session_caps": [a_session_cap(max_cost_nano_usd=usd(10**8), per_key_hour_factor=100)]},
        "max_cost_nano_usd",
    ),
    ("an unknown team", lambda: {"budgets": [a_budget(when=when("team:nobody"))]}, "when.subjects"),
    ("a user who is a service account", lambda: {"budgets": [a_budget(when=when(f"user:{BOT}"))]}, "when.subjects"),
    ("an unknown role", lambda: {"budgets": [a_budget(when=when("role:king"))]}, "when.subjects"),
    ("an unknown kind", lambda: {"budgets": [a_budget(when=when("kind:robot"))]}, "when.subjects"),
    ("a subject of no kind", lambda: {"budgets": [a_budget(when=when("everybody"))]}, "when.subjects"),
    ("an empty glob", lambda: {"budgets": [a_budget(when=when(models=("",)))]}, "when.models"),
    ("metadata without values", lambda: {"budgets": [a_budget(when=when(metadata={"env": ()}))]}, "when.metadata"),
    (
        "hours that overlap",
        lambda: {"budgets": [a_budget(when=when(hours=hours((1, 5), (4, 9))))]},
        "when.hours.spans[1]",
    ),
    ("hours that end before they begin", lambda: {"budgets": [a_budget(when=when(hours=hours((5, 5))))]}, "spans[0]"),
    ("an exception of everything", lambda: {"budgets": [a_budget(when_not=[when()])]}, "when_not[0]"),
    ("too many names", lambda: {"budgets": [a_budget(when=when(models=tuple(map(str, range(2000)))))]}, "when.models"),
    ("too many rules", lambda: {"budgets": [a_budget(str(number)) for number in range(2001)]}, "budgets"),
    (
        "a regex that is none",
        lambda: {"metadata_keys": [pb.MetadataKey(key="a", pattern="(a")]},
        "metadata_keys[a].pattern",
    ),
    (
        "a regex that RE2 does not know",
        lambda: {"metadata_keys": [pb.MetadataKey(key="a", pattern=r"(a)\1")]},
        "metadata_keys[a].pattern",
    ),
    ("metadata of no name", lambda: {"metadata_keys": [pb.MetadataKey(key="")]}, "metadata_keys[].key"),
    (
        "a byte of several tokens",
        lambda: {"model_facts": [pb.ModelFacts(model="m", bytes_per_token_milli=999)]},
        "bytes_per_token_milli",
    ),
    (
        "more than the worst case",
        lambda: {"model_facts": [pb.ModelFacts(model="m", expected_per_mille=1001)]},
        "expected_per_mille",
    ),
    ("an odd status of budgets", lambda: {"budget_status": "418"}, "budget_status"),
]


@pytest.mark.parametrize(("fields", "path"), [(fields, path) for _, fields, path in BAD], ids=[bad[0] for bad in BAD])
def test_what_cannot_be_obeyed_is_refused_and_the_field_is_named(fields: Callable[[], Fields], path: str) -> None:
    with pytest.raises(InvalidSnapshot) as failure:
        rules_of(**fields())

    assert failure.value.path.startswith(WHERE)
    assert path in failure.value.path


def test_a_person_of_an_unknown_role_is_refused() -> None:
    people = [pb.Principal(id=USER, kind=pb.PRINCIPAL_KIND_USER, name="a", active=True, role="king")]

    with pytest.raises(InvalidSnapshot, match="role"):
        rules_of(principals=people)


def test_a_catastrophic_expression_compiles_because_re2_does_not_backtrack() -> None:
    (key,) = rules_of(metadata_keys=[pb.MetadataKey(key="a", pattern="(a+)+b")]).metadata_keys

    assert key.pattern is not None
    assert key.pattern.fullmatch("a" * 5_000) is None
