from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.policy.access import models_for
from data_plane.policy.access_rules import Sight, decide, gate_of, judge
from data_plane.policy.conditions import scene_of
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.globs import globs_of
from data_plane.policy.routing import resolve
from data_plane.policy.rules import AccessRule, Condition, Parts
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.policy.weighing import Weighed, weigh
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2 as usage
from tests.builders.rules import SHADOW, an_access_rule, hours, when
from tests.data_plane.policy.builders import (
    NOW_MS,
    OPENAI_MAIN,
    PATIENT,
    ROUTER,
    TEAM,
    USER,
    a_policy_shard,
    a_provider,
    policy_and_caller,
)

PROTOCOL = {"claude-sonnet-4-6": "anthropic_messages", "fast": "anthropic_messages"}
EVERYTHING = pb.Parts()


def ask(model: str, *rules: pb.AccessRule, key_models: tuple[str, ...] = (), **changes: Any) -> Weighed | Refusal:
    policy, caller = policy_and_caller(models=key_models, policy=a_policy_shard(access_rules=rules, **changes))
    return decided(policy, caller, model)


def decided(policy: PolicySnapshot, caller: Caller, model: str) -> Weighed | Refusal:
    protocol = PROTOCOL.get(model, "openai_chat")
    destination = resolve(policy, caller, model, protocol)
    if isinstance(destination, Refusal):
        return destination
    return weigh(
        policy,
        caller,
        destination,
        requested=model,
        protocol=protocol,
        operation="generate",
        client="claude-code",
        request_tags={},
        has_session=True,
        at_ms=NOW_MS,
    )


def refused(answer: Weighed | Refusal) -> Refusal:
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.MODEL_NOT_ALLOWED
    return answer


def test_without_a_rule_everything_is_allowed() -> None:
    assert isinstance(ask("gpt-5.1"), Weighed)


def test_with_one_nothing_is_unless_a_rule_that_matches_allows_it() -> None:
    others = an_access_rule("others", when=when("role:admin"), allow=EVERYTHING)
    juniors = an_access_rule("juniors", when=when(f"team:{TEAM}"), allow=pb.Parts(models=["claude-*"]))

    assert isinstance(ask("claude-sonnet-4-6", others, juniors), Weighed)
    assert refused(ask("gpt-5.1", others, juniors)).message == (
        "No access rule allows “gpt-5.1”. Rules about ada@acme.example allow others: “juniors”. "
        "Closest names this key may use: fast, claude-sonnet-4-6. Ask platform@acme.example for others."
    )
    assert "No rule is about ada@acme.example here." in refused(ask("gpt-5.1", others)).message


def test_rules_that_match_unite() -> None:
    claude = an_access_rule("claude", allow=pb.Parts(models=["claude-*"]))
    gpt = an_access_rule("gpt", when=when(f"user:{USER}"), allow=pb.Parts(models=["gpt-*"]))

    assert isinstance(ask("claude-sonnet-4-6", claude, gpt), Weighed)
    assert isinstance(ask("gpt-5.1", claude, gpt), Weighed)


def test_deny_wins_and_the_rule_is_named() -> None:
    everything = an_access_rule("all", allow=EVERYTHING)
    no_gpt = an_access_rule("no-gpt", when=when(f"team:{TEAM}"), deny=pb.Parts(models=["gpt-*"]))

    refusal = refused(ask("gpt-5.1", everything, no_gpt))

    assert refusal.message.startswith("The access rule “no-gpt” denies “gpt-5.1”: the model gpt-5.1.")
    assert refusal.suggestions == ("router/shared-1", "openai-main/shared-1", "fast")
    seen = usage.UsageEvent.FromString(refusal.rules_seen).rules.rules
    assert [(each.name, each.verdict) for each in seen] == [("all", "allowed"), ("no-gpt", "denied: the model gpt-5.1")]


def test_a_date_behind_its_name_brings_no_model_past_a_denial() -> None:
    rules = [an_access_rule("all", allow=EVERYTHING), an_access_rule("no", deny=pb.Parts(models=["claude-sonnet-4-6"]))]

    policy, caller = policy_and_caller(policy=a_policy_shard(access_rules=rules))

    for name in ("claude-sonnet-4-6-20260101", "router/anthropic/claude-sonnet-4-6"):
        destination = resolve(
            policy, caller, f"anthropic-main/{name}" if "/" not in name else name, "anthropic_messages"
        )
        assert not isinstance(destination, Refusal)
        answer = weigh(
            policy,
            caller,
            destination,
            requested=name,
            protocol="anthropic_messages",
            operation="generate",
            client="",
            request_tags={},
            has_session=False,
            at_ms=NOW_MS,
        )
        assert "denies" in refused(answer).message


def test_a_rule_that_only_denies_allows_nothing() -> None:
    no_gpt = an_access_rule("no-gpt", deny=pb.Parts(models=["gpt-*"]))

    refused(ask("claude-sonnet-4-6", no_gpt))


@pytest.mark.parametrize(
    ("deny", "why"),
    [
        (pb.Parts(models=["claude-haiku*"]), "the model claude-haiku-4-5-20251001"),
        (pb.Parts(models=["anthropic-main/*"]), "the model anthropic-main/claude-haiku-4-5-20251001"),
        (pb.Parts(providers=["anthropic-*"]), "the provider anthropic-main"),
        (pb.Parts(regions=["eu"]), "the region eu"),
        (pb.Parts(external=True), "providers outside the organization, and anthropic-main is one"),
    ],
)
def test_what_is_denied_is_denied_through_a_virtual_model_too(deny: pb.Parts, why: str) -> None:
    everything = an_access_rule("all", allow=EVERYTHING)
    providers = [
        a_provider(models=["claude-*"], region="eu", external=True),
        a_provider(OPENAI_MAIN, "openai-main", vendor="openai", models=["gpt-5.1"]),
        a_provider(ROUTER, "router", vendor="openrouter", models=["*"]),
    ]
    message = refused(ask("fast", everything, an_access_rule("no", deny=deny), providers=providers)).message

    assert message.startswith(
        f"The access rule “no” denies “fast” (it leads to anthropic-main/claude-haiku-4-5-20251001): {why}."
    )


def test_a_virtual_model_that_is_allowed_may_lead_where_the_key_could_not_go_by_itself() -> None:
    fast = an_access_rule("fast", allow=pb.Parts(models=["fast"]))

    assert isinstance(ask("fast", fast, key_models=("fast",)), Weighed)
    refused(ask("claude-sonnet-4-6", fast))


def test_all_parts_of_allow_have_to_fit() -> None:
    inside = an_access_rule("inside", allow=pb.Parts(models=["claude-*"], regions=["eu"], external=False))

    assert isinstance(ask("claude-sonnet-4-6", inside), Weighed)
    leaves = [a_provider(models=["claude-*"], region="eu", external=True)]
    refused(ask("claude-sonnet-4-6", inside, providers=leaves, models=[], virtual_models=[]))
    elsewhere = [a_provider(models=["claude-*"], region="us")]
    refused(ask("claude-sonnet-4-6", inside, providers=elsewhere, models=[], virtual_models=[]))


def test_a_shadow_denies_nothing_and_what_it_would_have_done_is_said() -> None:
    everything = an_access_rule("all", allow=EVERYTHING)
    shadow = an_access_rule("no-gpt", mode=SHADOW, deny=pb.Parts(models=["gpt-*"]))

    answer = ask("gpt-5.1", everything, shadow)

    assert isinstance(answer, Weighed)
    seen = usage.UsageEvent.FromString(answer.claims.rules_seen).rules.rules
    assert [(each.name, each.is_shadow, each.verdict) for each in seen] == [
        ("all", False, "allowed"),
        ("no-gpt", True, "would be denied: the model gpt-5.1"),
    ]


def test_shadows_alone_leave_everything_allowed_and_say_what_would_not_be() -> None:
    shadow = an_access_rule("claude", mode=SHADOW, allow=pb.Parts(models=["claude-*"]))

    answer = ask("gpt-5.1", shadow)

    assert isinstance(answer, Weighed)
    (seen,) = usage.UsageEvent.FromString(answer.claims.rules_seen).rules.rules
    assert seen.verdict == "would be denied: no rule allows it"


def test_the_list_holds_what_is_allowed_and_suggestions_come_from_it() -> None:
    rules = [
        an_access_rule("claude", allow=pb.Parts(models=["claude-*", "openai-main/*"])),
        an_access_rule("no-haiku", deny=pb.Parts(models=["*haiku*"])),
    ]
    policy, caller = policy_and_caller(policy=a_policy_shard(access_rules=rules))

    assert [model.id for model in models_for(policy, caller)] == [
        "claude-sonnet-4-6",
        "gpt-5.1",
        "openai-main/shared-1",
    ]


def test_the_list_takes_the_friendlier_view_of_what_it_does_not_know() -> None:
    rules = [
        an_access_rule("codex", when=when(clients=["codex"]), allow=pb.Parts(models=["gpt-*"])),
        an_access_rule("nights", when=when(hours=hours((1, 2))), deny=pb.Parts(models=["gpt-*"])),
    ]
    policy, caller = policy_and_caller(policy=a_policy_shard(access_rules=rules))

    assert [model.id for model in models_for(policy, caller)] == ["gpt-5.1"]
    known = scene_of(caller, {}, client="claude-code", protocol="openai_chat", at_ms=NOW_MS)
    assert models_for(policy, caller, known) == ()


# -- the algebra, for any rules

GLOBS = st.lists(st.sampled_from(["*", "a*", "*-1", "a-1", "b-2", "p/*"]), min_size=1, max_size=2).map(
    lambda texts: globs_of(tuple(texts))
)
PARTS = st.builds(
    Parts,
    models=st.none() | GLOBS,
    providers=st.none() | st.just(globs_of(("p",))),
    regions=st.none() | st.just(globs_of(("eu",))),
    external=st.none() | st.booleans(),
)
CONDITIONS = st.builds(
    Condition,
    subjects=st.sampled_from([frozenset(), frozenset({"user:ada"}), frozenset({"user:bob"})]),
    models=st.none() | GLOBS,
    clients=st.none() | st.just(globs_of(("codex",))),
)
RULES = st.builds(
    AccessRule,
    id=st.uuids().map(str),
    name=st.sampled_from("xyz"),
    is_shadow=st.booleans(),
    when=CONDITIONS,
    when_not=st.lists(CONDITIONS, max_size=1).map(tuple),
    allow=st.none() | PARTS,
    deny=st.just(Parts()) | PARTS,
)
SIGHTS = st.builds(
    Sight,
    asked=st.sampled_from(["fast", "a-1", "p/a-1"]),
    provider_name=st.sampled_from(["p", "q"]),
    model=st.sampled_from(["a-1", "b-2"]),
    region=st.sampled_from(["eu", ""]),
    is_external=st.booleans(),
)
ADA = Caller("org", "Acme", "KEY1", "laptop", "sypat_KEY", "ada", "user", "ada", "t1", "core")
SCENE = scene_of(ADA, {}, protocol="openai_chat", client="codex", at_ms=NOW_MS)


def allows(rules: list[AccessRule], sight: Sight) -> bool:
    return decide(judge(rules, SCENE, sight))[0]


@PATIENT
@given(st.lists(RULES, min_size=1, max_size=4), RULES, SIGHTS)
def test_to_add_what_allows_never_takes_away(rules: list[AccessRule], added: AccessRule, sight: Sight) -> None:
    enforced = [rule for rule in rules if not rule.is_shadow]
    grant = AccessRule("new", "new", False, added.when, added.when_not, added.allow or Parts(), Parts())

    if enforced and allows(rules, sight):
        assert allows([*rules, grant], sight)


@PATIENT
@given(st.lists(RULES, max_size=4), RULES, SIGHTS)
def test_to_add_what_denies_never_gives(rules: list[AccessRule], added: AccessRule, sight: Sight) -> None:
    denial = AccessRule("new", "new", False, added.when, added.when_not, None, added.deny)

    if not allows(rules, sight):
        assert not allows([*rules, denial], sight)


@PATIENT
@given(st.lists(RULES, max_size=5), SIGHTS)
def test_what_a_matching_rule_denies_is_denied_and_shadows_change_nothing(
    rules: list[AccessRule], sight: Sight
) -> None:
    verdicts = judge(rules, SCENE, sight)
    denied = any(verdict.denies for verdict in verdicts if not verdict.rule.is_shadow)

    assert not (denied and allows(rules, sight))
    assert allows(rules, sight) is allows([rule for rule in rules if not rule.is_shadow], sight)
    assert allows(rules, sight) is allows(rules[::-1], sight)


@PATIENT
@given(st.lists(RULES, max_size=5), SIGHTS)
def test_the_list_and_the_request_say_the_same(rules: list[AccessRule], sight: Sight) -> None:
    assert gate_of(rules, SCENE).lets(sight) is allows(rules, sight)


@PATIENT
@given(st.lists(RULES, max_size=5), SIGHTS)
def test_what_shadows_would_do_is_what_enforcing_them_does(rules: list[AccessRule], sight: Sight) -> None:
    enforced = [
        AccessRule(rule.id, rule.name, False, rule.when, rule.when_not, rule.allow, rule.deny) for rule in rules
    ]

    assert decide(judge(rules, SCENE, sight), with_shadows=True)[0] is allows(enforced, sight)
