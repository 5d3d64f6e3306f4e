"""Too many rules for one exchange are always found; rules that exclude each other are told apart."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.rules.globs import fits
from control_plane.rules.overlap import Contender, Everybody, KeyFacts, crowd_of
from switchyard_contract.v1 import snapshot_pb2

TEAMS = ("team:a", "team:b")
USERS = {"ada": "member", "bob": "admin"}
KEY = "key:k1"
EVERYBODY = Everybody(
    roles=USERS,
    keys={"k1": KeyFacts("user:ada", "a")},
    virtual_names=[("fast", "main/claude-haiku", "claude-haiku")],
)


def a_rule(
    name: str,
    *,
    subjects: Sequence[str] = (),
    models: Sequence[str] = (),
    metadata: Sequence[tuple[str, Sequence[str]]] = (),
    clients: Sequence[str] = (),
    protocols: Sequence[str] = (),
    group: str = "",
    without: Sequence[str] = (),
    per: Sequence[str] = (),
    is_shadow: bool = False,
) -> Contender:
    when = snapshot_pb2.Condition(
        subjects=subjects,
        models=models,
        metadata=[snapshot_pb2.MetadataMatch(key=key, values=values) for key, values in metadata],
        clients=clients,
        protocols=protocols,
    )
    when_not = [snapshot_pb2.Condition(subjects=without)] if without else []
    return Contender(name, group, is_shadow, when, when_not, per)


def nine(**facts: Sequence[Sequence[str]]) -> list[Contender]:
    """Nine rules, each with its own value of one fact."""
    ((name, values),) = facts.items()
    return [a_rule(f"r{number}", **{name: value}) for number, value in enumerate(values)]  # type: ignore[arg-type]  # a fact each


def test_nine_rules_about_everything_are_too_many() -> None:
    rules = [a_rule(f"r{number}") for number in range(9)]

    assert crowd_of(rules, EVERYBODY, 8) == tuple(rule.name for rule in rules)
    assert crowd_of(rules[:8], EVERYBODY, 8) == ()


@pytest.mark.parametrize(
    "rules",
    [
        nine(models=[[f"model-{number}"] for number in range(9)]),
        nine(subjects=[[f"user:{number}"] for number in range(9)]),
        nine(subjects=[[f"service_account:{number}"] for number in range(9)]),
        nine(subjects=[[f"team:{number}"] for number in range(9)]),
        nine(metadata=[[("project", [f"p{number}"])] for number in range(9)]),
        nine(clients=[[f"tool-{number}"] for number in range(9)]),
        [a_rule(f"r{number}", group="daily") for number in range(9)],
        [a_rule(f"r{number}", group=f"g{number % 8}") for number in range(20)],
        [a_rule(f"u{number}", per=["user"]) for number in range(5)]
        + [a_rule(f"s{number}", per=["service_account"]) for number in range(5)],
        [a_rule(f"r{number}", subjects=["role:member"]) for number in range(5)]
        + [a_rule(f"s{number}", subjects=["role:admin"]) for number in range(5)],
        [a_rule(f"r{number}") for number in range(8)] + [a_rule("rest", without=["kind:user", "kind:service_account"])],
        [a_rule(f"r{number}", subjects=["team:a"]) for number in range(8)]
        + [a_rule("others", subjects=["team:a"], without=["team:a"])],
        [a_rule(f"r{number}", protocols=["openai_chat"]) for number in range(8)]
        + [a_rule("gemini", protocols=["gemini_content"])],
    ],
    ids=[
        "models",
        "people",
        "accounts",
        "teams",
        "metadata",
        "tools",
        "one group",
        "eight groups",
        "by user and by account",
        "roles",
        "excluded by kind",
        "excluded by team",
        "protocols",
    ],
)
def test_rules_that_exclude_each_other_are_not_too_many(rules: list[Contender]) -> None:
    assert crowd_of(rules, EVERYBODY, 8) == ()


@pytest.mark.parametrize(
    "last",
    [
        a_rule("last", subjects=["user:ada"]),
        a_rule("last", subjects=["role:member"]),
        a_rule("last", subjects=[KEY]),
        a_rule("last", subjects=["team:a"]),
        a_rule("last", models=["*haiku*"]),
        a_rule("last", is_shadow=True),
        a_rule("last", group="alone"),
    ],
    ids=["person", "role", "key", "team", "model", "shadow", "group"],
)
def test_a_ninth_rule_is_found_by_whatever_part_it_meets_the_others(last: Contender) -> None:
    eight = [a_rule(f"r{number}", subjects=["user:ada", "team:a"], models=["claude-haiku"]) for number in range(8)]

    assert "last" in crowd_of([*eight, last], EVERYBODY, 8)


def test_names_of_a_virtual_model_and_of_its_target_are_one_exchange() -> None:
    rules = [a_rule(f"v{number}", models=["fast"]) for number in range(5)]
    rules += [a_rule(f"m{number}", models=["claude-haiku"]) for number in range(4)]

    assert len(crowd_of(rules, EVERYBODY, 8)) == 9
    assert crowd_of(rules, Everybody(), 8) == ()


def test_a_provider_and_a_model_are_one_exchange() -> None:
    rules = [a_rule(f"p{number}", models=["main/*"]) for number in range(5)]
    rules += [a_rule(f"m{number}", models=["claude-*"]) for number in range(4)]

    assert len(crowd_of(rules, EVERYBODY, 8)) == 9


def test_a_dated_name_is_its_model() -> None:
    rules = [a_rule(f"d{number}", models=["claude-haiku-4-5-20251001"]) for number in range(5)]
    rules += [a_rule(f"m{number}", models=["claude-haiku-4-5"]) for number in range(4)]

    assert len(crowd_of(rules, EVERYBODY, 8)) == 9
    assert crowd_of([*rules[:5], *(a_rule(f"o{n}", models=["claude-haiku-4"]) for n in range(4))], EVERYBODY, 8) == ()


def test_shadows_of_a_group_displace_nobody() -> None:
    shadows = [a_rule(f"s{number}", group="daily", is_shadow=True) for number in range(8)]

    assert len(crowd_of([*shadows, a_rule("first", group="daily"), a_rule("second", group="daily")], EVERYBODY, 8)) == 9


def test_only_crowds_with_the_saved_rule_keep_it_from_being_saved() -> None:
    crowd = [a_rule(f"r{number}", subjects=["team:a"]) for number in range(9)]
    other = a_rule("other", subjects=["team:b"])

    assert crowd_of([*crowd, other], EVERYBODY, 8, including="other") == ()
    assert "r3" in crowd_of([*crowd, other], EVERYBODY, 8, including="r3")


def test_hundreds_of_rules_are_told_apart_in_time() -> None:
    rules = [
        a_rule(f"m{number}", models=[f"*model-{number}-*"], metadata=[("p", [f"{number}*"])]) for number in range(150)
    ]
    rules += [a_rule(f"u{number}", subjects=[f"user:{number}"]) for number in range(300)]
    rules += [a_rule(f"t{number}", subjects=[f"team:{number}"]) for number in range(100)]

    assert len(crowd_of(rules, EVERYBODY, 8)) in (0, 9)


SUBJECTS = st.lists(
    st.sampled_from(
        [*TEAMS, "user:ada", "user:bob", "role:member", "role:admin", "kind:user", "kind:service_account", KEY]
    ),
    max_size=2,
    unique=True,
)
MODELS = st.lists(
    st.sampled_from(["fast", "claude-*", "main/*", "gpt-5", "*haiku*", "main/gpt-5"]), max_size=2, unique=True
)
RULES = st.lists(
    st.builds(
        lambda subjects, models, metadata, group, without, per: a_rule(
            "", subjects=subjects, models=models, metadata=metadata, group=group, without=without, per=per
        ),
        SUBJECTS,
        MODELS,
        st.sampled_from([[], [("env", ["dev"])], [("env", ["prod", "d*"])], [("team", ["x"])]]),
        st.sampled_from(["", "", "g", "h"]),
        SUBJECTS,
        st.sampled_from([[], ["user"], ["service_account"], ["principal"]]),
    ),
    max_size=7,
)
IDENTITIES = (
    *(("kind:user", f"user:{user}", f"role:{role}", team) for (user, role), team in product(USERS.items(), TEAMS)),
    ("kind:user", "user:ada", "role:member", "team:a", KEY),
    ("kind:service_account", "team:b"),
)
NAMES = (
    ("fast", "main/claude-haiku", "claude-haiku"),
    ("gpt-5", "main/gpt-5"),
    ("main/gpt-5", "gpt-5"),
    ("claude-haiku", "main/claude-haiku"),
)
METADATA = ({}, {"env": "dev"}, {"env": "prod", "team": "x"})


def _matches(rule: Contender, identity: Sequence[str], names: Sequence[str], metadata: dict[str, str]) -> bool:
    kind_counted = {"user", "service_account"} & set(rule.per)
    if kind_counted and f"kind:{kind_counted.pop()}" not in identity:
        return False
    when = rule.when
    return (
        (not when.subjects or not set(when.subjects).isdisjoint(identity))
        and (not when.models or any(fits(when.models, name) for name in names))
        and all(match.key in metadata and fits(match.values, metadata[match.key]) for match in when.metadata)
        and all(set(each.subjects).isdisjoint(identity) for each in rule.when_not)
    )


@settings(max_examples=300, deadline=None)
@given(drawn=RULES)
def test_whatever_really_meets_is_found(drawn: list[Contender]) -> None:
    """Brute force over callers, models and metadata is the oracle; the search may only find more."""
    rules = [
        Contender(f"r{number}", rule.group, rule.is_shadow, rule.when, rule.when_not, rule.per)
        for number, rule in enumerate(drawn)
    ]
    most = max(
        (
            len({rule.place for rule in rules if _matches(rule, identity, names, metadata)})
            for identity, names, metadata in product(IDENTITIES, NAMES, METADATA)
        ),
        default=0,
    )
    if most:
        assert crowd_of(rules, EVERYBODY, most - 1)
