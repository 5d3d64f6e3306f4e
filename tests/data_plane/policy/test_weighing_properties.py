"""Whatever the rules, a weighing holds together."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.policy.claims import FIRST, SECOND
from data_plane.policy.weighing import Weighed
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2 as usage
from tests.builders.rules import (
    DAY_MS,
    ENFORCE,
    HOUR_MS,
    SHADOW,
    a_budget,
    a_rate_limit,
    a_session_cap,
    block,
    downgrade,
    every,
    hours,
    usd,
)
from tests.data_plane.policy.builders import BOT, NOW_MS, PATIENT, TEAM, USER
from tests.data_plane.policy.test_weighing import DAYS, HAIKU, OPUS, a_world, ask

FEW = settings(PATIENT, max_examples=60)
SUBJECTS = ["organization", f"team:{TEAM}", f"user:{USER}", f"service_account:{BOT}", "role:member", "kind:user"]
CONDITIONS = st.builds(
    pb.Condition,
    subjects=st.lists(st.sampled_from(SUBJECTS), max_size=2),
    models=st.lists(st.sampled_from(["*", "*opus*", "*haiku*", "fast", HAIKU]), max_size=2),
    clients=st.lists(st.sampled_from(["claude-*", "codex"]), max_size=1),
    hours=st.none() | st.integers(-9, 9).map(lambda at: hours((NOW_MS + at * HOUR_MS, NOW_MS + (at + 2) * HOUR_MS))),
)
HEAD: dict[str, Any] = {
    "mode": st.sampled_from([ENFORCE, SHADOW]),
    "when": CONDITIONS,
    "when_not": st.lists(CONDITIONS.filter(lambda each: bool(each.ListFields())), max_size=1),
    "group": st.sampled_from(["", "g"]),
}
PER = st.lists(st.sampled_from(["principal", "user", "key", "model", "session", "metadata.x"]), max_size=2, unique=True)
PERIODS = st.sampled_from([every("minute"), every("hour"), every("day", DAYS), every("lifetime")])
STAGES = st.sampled_from([[block()], [downgrade(HAIKU, "fast"), block(110)], [downgrade("fast", cache_aware=True)]])


def numbered(rules: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    def name(found: list[Any]) -> list[Any]:
        for number, rule in enumerate(found):
            rule.id = rule.name = f"{type(rule).__name__}-{number}"
        return found

    return st.lists(rules, max_size=4).map(name)


BUDGETS = numbered(
    st.builds(
        a_budget, dollars=st.sampled_from([1, 10]), per=PER, periods=PERIODS, stages=STAGES, name=st.just("b"), **HEAD
    )
)
RATES = numbered(
    st.builds(
        a_rate_limit,
        name=st.just("r"),
        per=PER,
        unit=st.sampled_from([pb.RATE_UNIT_REQUESTS, pb.RATE_UNIT_TOKENS, pb.RATE_UNIT_CONCURRENT_REQUESTS]),
        **HEAD,
    )
)
CAPS = numbered(
    st.builds(
        a_session_cap,
        name=st.just("c"),
        max_cost_nano_usd=st.sampled_from([0, usd(1)]),
        max_turns=st.sampled_from([0, 9]),
        max_request_retries=st.sampled_from([0, 3]),
        per_key_hour_factor=st.sampled_from([0, 2]),
        **HEAD,
    )
)


@FEW
@given(BUDGETS, RATES, CAPS, st.booleans(), st.sampled_from([OPUS, "fast"]), st.booleans())
def test_claims_are_each_counters_once_and_the_event_speaks_of_them_in_their_order(
    budgets: list[pb.Budget],
    rates: list[pb.RateLimit],
    caps: list[pb.SessionCap],
    is_bot: bool,
    model: str,
    has_session: bool,
) -> None:
    world = a_world(bot=is_bot, budgets=budgets, rate_limits=rates, session_caps=caps)

    found = ask(world, model, has_session=has_session)

    assert isinstance(found, Weighed)
    claims = found.claims
    names = [(claim.rule_id, claim.counter, claim.period) for claim in claims.rates]
    names += [(claim.budget_id, claim.counter, claim.period) for claim in claims.budgets]
    assert len(set(names)) == len(names)
    possible = FIRST if found.second is None else FIRST | SECOND
    every_claim = (*claims.rates, *claims.budgets)
    assert all(claim.candidates and not claim.candidates & ~possible for claim in every_claim)
    assert all(claim.period_end_ms == 0 or claim.period_end_ms >= claims.valid_until_ms for claim in every_claim)
    assert claims.valid_until_ms > NOW_MS
    assert has_session or not any("{session}" in claim.counter for claim in every_claim)

    rules = usage.UsageEvent.FromString(claims.rules_seen).rules.rules
    counting = [(each.id, each.counter, each.period) for each in rules if each.candidates]
    periods = [(*name[:2], name[2]) for name in names]
    assert counting == periods
    seen = {each.id for each in rules}
    uncapped = {cap.id for cap in caps if not (cap.max_cost_nano_usd or cap.max_turns or cap.max_request_retries)}
    assert seen >= {rule.id for rule in (*budgets, *rates)}
    assert seen | uncapped >= {cap.id for cap in caps} or not has_session


@FEW
@given(BUDGETS, RATES)
def test_what_is_weighed_stays_the_same_until_it_says(budgets: list[pb.Budget], rates: list[pb.RateLimit]) -> None:
    world = a_world(budgets=budgets, rate_limits=rates)
    now = ask(world)
    assert isinstance(now, Weighed)
    until_ms = min(now.claims.valid_until_ms, NOW_MS + 40 * DAY_MS)

    for at_ms in (NOW_MS + 1, (NOW_MS + until_ms) // 2, until_ms - 1):
        assert ask(world, at_ms=at_ms) == now


@FEW
@given(BUDGETS, RATES)
def test_a_shadow_changes_nothing_that_is_enforced(budgets: list[pb.Budget], rates: list[pb.RateLimit]) -> None:
    with_shadows = ask(a_world(budgets=budgets, rate_limits=rates))
    without = ask(
        a_world(
            budgets=[rule for rule in budgets if rule.mode == ENFORCE],
            rate_limits=[rule for rule in rates if rule.mode == ENFORCE],
        )
    )

    assert isinstance(with_shadows, Weighed)
    assert isinstance(without, Weighed)
    enforced = [claim for claim in with_shadows.claims.budgets if not claim.is_shadow]
    assert [(claim.budget_id, claim.candidates, claim.downgrade_at) for claim in enforced] == [
        (claim.budget_id, claim.candidates, claim.downgrade_at) for claim in without.claims.budgets
    ]
    sliding = [claim for claim in with_shadows.claims.rates if not claim.is_shadow]
    assert [(claim.rule_id, claim.candidates) for claim in sliding] == [
        (claim.rule_id, claim.candidates) for claim in without.claims.rates
    ]
    assert with_shadows.move == without.move
