from typing import Any

import pytest

from data_plane.conversation.session_signs import NO_SIGNS, SessionSigns
from data_plane.policy.caps import SignVerdict, digest_for, judge_signs
from data_plane.policy.claims import RateClaim, RateKind, counter_for
from data_plane.policy.decision import RuleNumbers
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2 as usage
from tests.builders.rules import HOUR_MS, SHADOW, a_session_cap, usd, when
from tests.data_plane.policy.builders import NOW_MS
from tests.data_plane.policy.test_weighing import a_world, weighed

HOUR = str(NOW_MS - NOW_MS % HOUR_MS)


def rates(found: Any) -> list[tuple[str, str, int]]:
    return [(claim.counter, claim.period, claim.limit) for claim in found.claims.rates]


def test_cost_turns_and_retries_are_counted_by_session_and_by_key_and_hour() -> None:
    cap = a_session_cap(
        max_cost_nano_usd=usd(50), max_turns=400, max_request_retries=3, per_key_hour_factor=3, contact="lead"
    )
    world = a_world(session_caps=[cap])
    key = world[1].key_id

    found = weighed(world)

    assert rates(found) == [
        (f"turns/{key}/{{session}}", "0", 400),
        (f"turns/{key}", HOUR, 1200),
        # The first time is no retry.
        (f"retries/{key}/{{session}}/{{request}}", "0", 4),
        (f"retries/{key}/{{request}}", HOUR, 12),
    ]
    assert {claim.kind for claim in found.claims.rates} == {RateKind.PERIOD}
    costs = [(claim.counter, claim.period, claim.hard, claim.is_cap) for claim in found.claims.budgets]
    assert costs == [
        (f"session/{key}/{{session}}", "0", usd(50), True),
        (f"key/{key}", HOUR, usd(150), True),
    ]
    reasons = [(claim.noun, claim.reason, claim.source, claim.contact) for claim in found.claims.rates]
    assert reasons[0] == ("turns", Reason.SESSION_CAP, "cap", "lead")
    assert reasons[2] == ("retries", Reason.RETRY_CAP, "cap", "lead")
    assert {claim.reason for claim in found.claims.budgets} == {Reason.SESSION_CAP}
    assert {claim.outage for claim in found.claims.budgets} == {"allow"}


def test_counters_of_sessions_that_are_over_are_forgotten() -> None:
    cap = a_session_cap(max_cost_nano_usd=usd(1), max_turns=4, max_request_retries=3, per_key_hour_factor=1)

    claims = weighed(a_world(session_caps=[cap])).claims

    for claim in (*claims.rates, *claims.budgets):
        assert bool(claim.idle_ms) is (claim.period == "0")


def test_a_request_that_tells_no_session_is_held_by_key_and_hour_alone() -> None:
    world = a_world(session_caps=[a_session_cap(max_turns=4, max_request_retries=3, per_key_hour_factor=1)])
    key = world[1].key_id

    assert rates(weighed(world, has_session=False)) == [
        (f"turns/{key}", HOUR, 4),
        (f"retries/{key}/{{request}}", HOUR, 4),
    ]


@pytest.mark.parametrize(("operation", "count"), [("generate", 1), ("compact", 1), ("count_tokens", 0), ("embed", 0)])
def test_only_turns_of_a_session_are_turns(operation: str, count: int) -> None:
    world = a_world(session_caps=[a_session_cap(max_turns=4)])

    assert len(weighed(world, operation=operation).claims.rates) == count


def test_the_whole_counter_is_of_this_session_and_this_request() -> None:
    world = a_world(session_caps=[a_session_cap(max_request_retries=3)])
    (claim,) = weighed(world).claims.rates
    assert isinstance(claim, RateClaim)
    assert claim.counts_session

    same = SessionSigns(request_digest=b"\x01\x02")

    key = world[1].key_id
    assert counter_for(claim.counter, "s{1}", digest_for(same, "EX1")) == f"retries/{key}/s%7B1%7D/0102"
    # What was not digested repeats nothing.
    assert digest_for(NO_SIGNS, "EX1") != digest_for(NO_SIGNS, "EX2")


def signs(failed: int = 0, same: int = 0) -> SessionSigns:
    return SessionSigns(failed_tool_results=failed, same_tool_call=same)


def judged(given: SessionSigns, *caps: pb.SessionCap) -> SignVerdict:
    return judge_signs(weighed(a_world(session_caps=caps)).sign_caps, given)


RUNAWAY = a_session_cap("runaway", max_consecutive_failed_tool_results=6, max_repeats_of_same_tool_call=8)


@pytest.mark.parametrize(
    ("given", "unit", "used", "limit"),
    [(signs(failed=7), "failed_tool_results", 7, 6), (signs(same=9), "tool_calls", 9, 8)],
)
def test_a_session_that_goes_astray_is_stopped(given: SessionSigns, unit: str, used: int, limit: int) -> None:
    verdict = judged(given, RUNAWAY)

    assert verdict.refusal is not None
    assert verdict.refusal.reason is Reason.SESSION_CAP
    assert verdict.refusal.numbers == RuleNumbers(
        kind="session_cap",
        rule_name="runaway",
        unit=unit,
        used=used,
        limit=limit,
        period="session",
        contact="platform@acme.example",
        rule_id="id-runaway",
    )


@pytest.mark.parametrize("given", [signs(), signs(failed=6), signs(same=8), signs(failed=6, same=8)])
def test_as_many_as_a_cap_says_are_let_through(given: SessionSigns) -> None:
    assert judged(given, RUNAWAY) == SignVerdict(None, b"")


def test_a_shadow_stops_nobody_and_is_on_the_event() -> None:
    shadow = a_session_cap("shadow", mode=SHADOW, max_consecutive_failed_tool_results=2)

    verdict = judged(signs(failed=3), shadow)

    assert verdict.refusal is None
    (seen,) = usage.UsageEvent.FromString(verdict.rules_seen).rules.rules
    assert (seen.name, seen.is_shadow, seen.verdict) == (
        "shadow",
        True,
        "would be denied: 3 failed tool results in a row",
    )


def test_what_a_request_shows_is_added_to_the_rules_that_were_seen() -> None:
    found = weighed(a_world(session_caps=[RUNAWAY, a_session_cap("turns", max_turns=5)]))
    verdict = judge_signs(found.sign_caps, signs(failed=7))

    rules = usage.UsageEvent.FromString(found.claims.rules_seen + verdict.rules_seen).rules.rules

    assert [(each.kind, each.name) for each in rules] == [("cap", "runaway"), ("cap", "turns"), ("cap", "runaway")]


def test_a_cap_of_a_group_gives_way_to_the_more_specific_one() -> None:
    tight = a_session_cap("tight", group="g", max_consecutive_failed_tool_results=1)
    wide = a_session_cap("wide", group="g", when=when("kind:user"), max_consecutive_failed_tool_results=5)

    assert judged(signs(failed=3), tight, wide).refusal is None
