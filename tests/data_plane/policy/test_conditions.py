from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.policy.conditions import (
    NEVER_MS,
    Choice,
    Scene,
    choose,
    is_inside,
    may_match,
    next_edge_ms,
    scene_of,
    why_not,
)
from data_plane.policy.decision import Caller
from data_plane.policy.globs import globs_of
from data_plane.policy.rules import EVERYTHING, Condition
from tests.data_plane.policy.builders import PATIENT

ADA = Caller(
    "org", "Acme", "KEY1", "laptop", "sypat_KEY", "ada", "user", "ada@acme.example", "t1", "core", role="member"
)
CI = Caller("org", "Acme", "KEY2", "ci", "sysvc_KEY", "bot", "service_account", "ci", "t1", "core")
NAMES = ("fast", "anthropic-main/claude-opus-4-8", "claude-opus-4-8")
NOON = 1_795_000_000_000


@dataclass(frozen=True, slots=True)
class ARule:
    when: Condition = EVERYTHING
    when_not: tuple[Condition, ...] = ()
    name: str = "rule"
    is_shadow: bool = False
    group: str = ""
    amount: int = 0

    @property
    def id(self) -> str:
        return f"id-{self.name}"


def scene(caller: Caller = ADA, **changes: Any) -> Scene:
    known: dict[str, Any] = {"protocol": "anthropic_messages", "client": "claude-code", "at_ms": NOON}
    tags = changes.pop("tags", {"environment": "dev", "project": "x-1"})
    return scene_of(caller, tags, **{**known, **changes})


def models(*globs: str) -> Condition:
    return Condition(models=globs_of(globs))


@pytest.mark.parametrize(
    ("condition", "missing"),
    [
        (Condition(), ""),
        (Condition(subjects=frozenset({"team:t1"})), ""),
        (Condition(subjects=frozenset({"team:t2", "user:ada"})), ""),
        (Condition(subjects=frozenset({"service_account:ada"})), "subjects"),
        (Condition(subjects=frozenset({"key:KEY1"})), ""),
        (Condition(subjects=frozenset({"role:member"})), ""),
        (Condition(subjects=frozenset({"role:admin", "team:t2"})), "subjects"),
        (Condition(subjects=frozenset({"kind:user"})), ""),
        (Condition(subjects=frozenset({"organization"})), ""),
        (models("fast"), ""),
        (models("*opus*"), ""),
        (models("anthropic-main/*"), ""),
        (models("gpt-*"), "models"),
        (Condition(metadata=(("environment", globs_of(("dev", "prod"))),)), ""),
        (
            Condition(metadata=(("environment", globs_of(("dev",))), ("project", globs_of(("y-*",))))),
            "metadata.project",
        ),
        (Condition(metadata=(("cost_centre", globs_of(("*",))),)), "metadata.cost_centre"),
        (Condition(clients=globs_of(("claude-*", "codex"))), ""),
        (Condition(clients=globs_of(("codex",))), "clients"),
        (Condition(protocols=frozenset({"openai_chat"})), "protocols"),
        (Condition(hours=((NOON - 5, NOON + 5),)), ""),
        (Condition(hours=((NOON - 5, NOON),)), "hours"),
        (Condition(hours=()), "hours"),
    ],
)
def test_each_part_that_is_given_has_to_fit(condition: Condition, missing: str) -> None:
    assert why_not(ARule(condition), scene(), NAMES) == missing


def test_a_service_account_is_no_user_and_has_no_role() -> None:
    rule = ARule(Condition(subjects=frozenset({"kind:user", "role:member", "user:bot"})))

    assert why_not(rule, scene(CI), NAMES) == "subjects"


def test_what_is_excepted_takes_a_match_back() -> None:
    rule = ARule(when_not=(models("gpt-*"), Condition(subjects=frozenset({"user:ada"}), clients=globs_of(("codex",)))))

    assert why_not(rule, scene(), NAMES) == ""
    assert why_not(rule, scene(), ("gpt-5.1",)) == "when_not[0]"
    assert why_not(rule, scene(client="codex"), NAMES) == "when_not[1]"


@pytest.mark.parametrize("unknown_fits", [True, False])
def test_what_is_not_known_of_a_request_fits_or_does_not_as_is_asked_for(unknown_fits: bool) -> None:
    unknown = scene(protocol=None, client=None, at_ms=None)
    tool, lunch = Condition(clients=globs_of(("codex",))), Condition(hours=((1, 2),))

    for condition in (tool, lunch, Condition(protocols=frozenset({"openai_chat"}))):
        assert (why_not(ARule(condition), unknown, NAMES, unknown_fits=unknown_fits) == "") is unknown_fits
    # An exception that cannot be seen to hold is no exception where the friendlier view is taken.
    assert (why_not(ARule(when_not=(tool,)), unknown, NAMES, unknown_fits=unknown_fits) == "") is unknown_fits


def test_a_rule_about_models_may_match_before_the_model_is_known() -> None:
    assert may_match(ARule(models("gpt-*")), scene())
    assert not may_match(ARule(replace(models("gpt-*"), subjects=frozenset({"user:bob"}))), scene())


@PATIENT
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), max_size=8), st.integers(0, 300))
def test_spans_of_hours_are_found_and_so_is_their_next_edge(gaps: list[tuple[int, int]], at_ms: int) -> None:
    spans, clock = [], 0
    for gap, length in gaps:
        spans.append((clock + gap, clock + gap + length))
        clock = spans[-1][1]
    hours = tuple(spans)
    edges = [edge for span in spans for edge in span if edge > at_ms]

    assert is_inside(hours, at_ms) is any(start <= at_ms < end for start, end in spans)
    found = next_edge_ms([ARule(Condition(hours=hours))], at_ms)
    assert found == min(edges, default=NEVER_MS)


# -- groups


def chosen(*rules: ARule, caller: Caller = ADA) -> list[str]:
    choice = choose(rules, scene(caller), lambda rule: rule.amount)
    return sorted(rule.name for rule in rules if rule.id in choice.applying)


def by(*subjects: str, **more: Any) -> Condition:
    return Condition(subjects=frozenset(subjects), **more)


LADDER = [
    ARule(by("key:KEY1"), name="key", group="g"),
    ARule(by("user:ada"), name="user", group="g"),
    ARule(by("team:t1"), name="team", group="g"),
    ARule(by("role:member"), name="role", group="g"),
    ARule(by("kind:user"), name="kind", group="g"),
    ARule(EVERYTHING, name="organization", group="g", amount=10**9),
]


@pytest.mark.parametrize("place", range(len(LADDER)))
def test_the_rule_that_names_the_caller_most_closely_applies(place: int) -> None:
    assert chosen(*reversed(LADDER[place:])) == [LADDER[place].name]


def test_more_parts_come_before_fewer_and_then_the_higher_limit_and_then_the_name() -> None:
    plain = ARule(by("team:t1"), name="plain", group="g", amount=100)
    closer = ARule(by("team:t1", clients=globs_of(("claude-*",))), name="closer", group="g", amount=1)
    higher = ARule(by("team:t1"), name="higher", group="g", amount=101)
    a, b = ARule(name="a", group="g", amount=5), ARule(name="b", group="g", amount=5)

    assert chosen(plain, closer) == ["closer"]
    assert chosen(plain, higher) == ["higher"]
    assert chosen(b, a) == ["a"]


def test_the_subject_that_fits_counts_and_not_the_one_that_does_not() -> None:
    elsewhere = ARule(by("user:bob", "role:member"), name="elsewhere", group="g")
    team = ARule(by("team:t1"), name="team", group="g")

    assert chosen(elsewhere, team) == ["team"]


def test_rules_without_a_group_stand_beside_each_other_and_beside_groups() -> None:
    alone, beside = ARule(name="alone"), ARule(by("key:KEY1"), name="beside")

    assert chosen(*LADDER, alone, beside) == ["alone", "beside", "key"]


def test_a_shadow_displaces_nothing_and_shows_what_enforcing_it_would_do() -> None:
    enforced = ARule(by("team:t1"), name="enforced", group="g")
    closer = ARule(by("user:ada"), name="closer", group="g", is_shadow=True)
    farther = ARule(EVERYTHING, name="farther", group="g", is_shadow=True)

    choice = choose([enforced, closer, farther], scene(), lambda rule: 0)

    assert choice == Choice(frozenset({"id-enforced", "id-closer"}), {"id-farther": "closer"})
    assert chosen(enforced, farther) == ["enforced"]


@PATIENT
@given(st.data())
def test_exactly_one_of_a_group_applies_in_whatever_order_they_come(data: st.DataObject) -> None:
    subjects = st.sampled_from([rule.when for rule in LADDER])
    amounts = st.integers(0, 2)
    rules = [
        ARule(condition, name=f"r{place}", group="g", amount=amount)
        for place, (condition, amount) in enumerate(
            data.draw(st.lists(st.tuples(subjects, amounts), min_size=1, max_size=4))
        )
    ]

    outcomes = {tuple(chosen(*order)) for order in permutations(rules)}

    assert len(outcomes) == 1
    assert len(outcomes.pop()) == 1


@PATIENT
@given(st.data())
def test_shadows_show_what_enforcing_them_would_do_and_change_nothing_for_the_others(data: st.DataObject) -> None:
    drawn = st.tuples(
        st.sampled_from([rule.when for rule in LADDER]),
        st.sampled_from(["", "g", "h"]),
        st.booleans(),
        st.integers(0, 2),
    )
    rules = [
        ARule(condition, name=f"r{place}", group=group, is_shadow=is_shadow, amount=amount)
        for place, (condition, group, is_shadow, amount) in enumerate(data.draw(st.lists(drawn, max_size=6)))
    ]
    shadows = {rule.name for rule in rules if rule.is_shadow}

    found = set(chosen(*rules))

    assert found & shadows == set(chosen(*(replace(rule, is_shadow=False) for rule in rules))) & shadows
    assert found - shadows == set(chosen(*(rule for rule in rules if not rule.is_shadow)))
