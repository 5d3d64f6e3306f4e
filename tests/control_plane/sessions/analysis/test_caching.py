"""Each way to lose a cache, named with its turn, cause and money."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.sessions.analysis.advice import advice, told
from control_plane.sessions.analysis.findings import Cause, Finding, Kind
from control_plane.sessions.analysis.session import Analysis, analyse
from control_plane.sessions.analysis.turns import Target, Turn
from switchyard_contract.usage import TokenCounts
from tests.control_plane.sessions.conversations import (
    CODEX,
    FACTS,
    GPT,
    HOUR,
    MINUTE,
    PRICES,
    SECOND,
    START_MS,
    Talk,
    priced,
)


def found_in(talk: Talk) -> list[Finding]:
    return list(analyse(talk.turns, PRICES).findings)


def named(findings: list[Finding]) -> list[tuple[Kind, Cause, int]]:
    return [(finding.kind, finding.cause, finding.turn) for finding in findings]


def test_a_session_that_finds_its_cache_has_no_findings() -> None:
    talk = Talk()
    talk.go_on(40)
    assert found_in(talk) == []


def test_tools_that_changed_are_named_with_turn_and_money() -> None:
    talk = Talk(context=800_000)
    talk.go_on(30)
    talk.say(read=0, facts={"tools": b"one more server"})
    talk.go_on(5)
    (finding,) = found_in(talk)
    assert (finding.kind, finding.cause, finding.turn) == (Kind.CACHE_BREAK, Cause.TOOLS_CHANGED, 31)
    # Turn 30 left 800,000 + 30 x 1,000 - 30 x 2 tokens. Written anew at 6.25 in place of read at 0.50 a million.
    assert finding.lost_tokens == 829_940
    assert finding.money_nano_usd == 829_940 * (6_250 - 500) == 4_772_155_000
    assert told(finding) == "The list of tools changed at turn 31."
    assert "MCP servers" in advice(finding.cause, finding.detail)
    assert finding.is_avoidable


def test_what_is_read_from_a_shared_beginning_is_not_lost() -> None:
    """The system prompt was still there: only what comes after it is counted."""
    talk = Talk()
    talk.go_on(3)
    talk.say(read=20_000, facts={"marks": (b"other", b"other")})
    (finding,) = found_in(talk)
    assert (finding.cause, finding.turn) == (Cause.HISTORY_REWRITTEN, 4)
    assert finding.detail == {"after_kib": 0, "within_kib": 1}
    assert finding.lost_tokens == 50_000 + 3 * 998 - 20_000


@pytest.mark.parametrize(
    ("facts", "cause", "detail"),
    [
        ({"system": b"now it is Tuesday"}, Cause.SYSTEM_CHANGED, {}),
        ({"marks": (b"T1", b"not as before")}, Cause.HISTORY_REWRITTEN, {"after_kib": 1, "within_kib": 4}),
        ({}, Cause.PROVIDER_MISSED, {"provider": "anthropic-main"}),
    ],
)
def test_each_change_is_told_apart(facts: dict[str, Any], cause: Cause, detail: dict[str, object]) -> None:
    talk = Talk()
    talk.go_on(3)
    talk.say(read=0, facts=facts)
    talk.go_on(3)
    (finding,) = found_in(talk)
    assert (finding.kind, finding.cause, finding.turn) == (Kind.CACHE_BREAK, cause, 4)
    assert finding.detail == detail
    assert finding.is_avoidable == (cause is not Cause.PROVIDER_MISSED)


def test_marks_that_are_gone_are_told_apart_from_a_cache_that_is() -> None:
    talk = Talk()
    talk.go_on(3)
    talk.say(tokens=TokenCounts(input_fresh=54_000, output=10))
    (finding,) = found_in(talk)
    assert (finding.cause, finding.turn) == (Cause.MARKS_GONE, 4)
    assert finding.money_nano_usd == finding.lost_tokens * (5_000 - 500)


def test_an_idle_session_pays_its_whole_context_again() -> None:
    talk = Talk(context=120_000)
    talk.go_on(4)
    talk.say(pause_ms=7 * MINUTE, read=0)
    talk.go_on(2)
    (finding,) = found_in(talk)
    assert (finding.kind, finding.cause, finding.turn) == (Kind.COLD_CACHE, Cause.IDLE, 5)
    # From the first token of turn 4 (a second before its end): 1 s + 7 min.
    assert finding.detail == {"idle_s": 421, "lifetime_s": 300}
    assert finding.money_nano_usd == (120_000 + 4 * 998) * (6_250 - 500)
    assert told(finding) == "The session was idle for 7 minutes at turn 5; its cache lives 5 minutes."
    assert advice(finding.cause, finding.detail).startswith("Answer within 5 minutes, use 1h caching")


def test_an_hour_s_cache_survives_a_pause_and_dies_after_an_hour() -> None:
    talk = Talk()
    talk.go_on(3, hourly=True)
    talk.say(pause_ms=50 * MINUTE, hourly=True)
    assert found_in(talk) == []
    talk.say(pause_ms=61 * MINUTE, read=0, hourly=True)
    (finding,) = found_in(talk)
    assert (finding.cause, finding.turn, finding.detail["lifetime_s"]) == (Cause.IDLE, 5, 3600)
    assert finding.money_nano_usd == finding.lost_tokens * (10_000 - 500)


def test_the_part_that_was_kept_for_an_hour_is_found_after_the_rest_is_gone() -> None:
    talk = Talk()
    talk.say(hourly=True)
    talk.go_on(3)
    talk.say(pause_ms=20 * MINUTE, read=50_998)
    (finding,) = found_in(talk)
    assert (finding.kind, finding.turn, finding.lost_tokens) == (Kind.COLD_CACHE, 5, 3 * 998)


def test_a_cache_that_was_found_after_its_time_is_no_finding() -> None:
    talk = Talk()
    talk.go_on(3)
    talk.say(pause_ms=HOUR)
    assert found_in(talk) == []


def test_a_failover_costs_the_cache_there_and_back() -> None:
    bedrock = Target("bedrock-main", "eu-central-1", "claude-opus-4-8")
    talk = Talk(context=100_000)
    talk.go_on(3)
    first = talk.turns[0].target
    talk.say(read=0, target=bedrock, first_target=first, attempts=2)
    talk.say()
    findings = found_in(talk)
    assert named(findings) == [(Kind.FAILOVER, Cause.FAILED_OVER, 4), (Kind.FAILOVER, Cause.FAILED_OVER, 5)]
    assert findings[0].money_nano_usd == (100_000 + 3 * 998) * (6_250 - 500)
    # Back where the cache of turn 3 is still warm: nothing is lost, and the change is told all the same.
    assert findings[1].money_nano_usd == 0
    assert not any(finding.is_avoidable for finding in findings)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"requested_model": "claude-haiku-4-5"}, Cause.MODEL_CHANGED),
        ({"stage": "downgrade"}, Cause.DOWNGRADED),
        ({}, Cause.REROUTED),
    ],
)
def test_who_changed_the_model_is_told(changes: dict[str, Any], cause: Cause) -> None:
    talk = Talk()
    talk.go_on(3)
    talk.say(read=0, target=Target("anthropic-main", "", "claude-haiku-4-5"), **changes)
    (finding,) = found_in(talk)
    assert (finding.kind, finding.cause, finding.turn) == (Kind.MODEL_CHANGE, cause, 4)
    assert finding.detail == {
        "before": "anthropic-main/claude-opus-4-8",
        "after": "anthropic-main/claude-haiku-4-5",
    }


def test_a_compaction_is_told_and_is_no_avoidable_spend() -> None:
    talk = Talk(context=150_000)
    talk.go_on(5)
    talk.context, talk.facts = 12_000, replace(talk.facts, history_bytes=1_000, marks=(b"summary",))
    talk.say(read=9_000)
    talk.go_on(3)
    analysis = analyse(talk.turns, PRICES)
    assert named(list(analysis.findings)) == [(Kind.COMPACTION, Cause.COMPACTED, 6)]
    assert analysis.sums.compactions == 1
    assert analysis.sums.avoidable_nano_usd == 0
    assert analysis.findings[0].lost_tokens == 13_000 - 9_000


def test_without_facts_a_break_is_told_without_its_cause() -> None:
    talk = Talk()
    talk.go_on(3)
    talk.say(read=0)
    talk.turns = [replace(turn, facts=None) for turn in talk.turns]
    assert named(found_in(talk)) == [(Kind.CACHE_BREAK, Cause.UNTOLD, 4)]


def test_a_tool_without_marks_is_told_what_caching_would_have_saved() -> None:
    """Five turns of 20,000, 21,000 ... 24,000 tokens, all fresh, 12 seconds apart."""
    turns = [
        priced(
            Turn(
                exchange_id=f"U{number:025d}",
                at_ms=START_MS + number * 12 * SECOND,
                ended_ms=START_MS + number * 12 * SECOND + SECOND,
                target=Target("anthropic-main", "", "claude-opus-4-8"),
                tokens=TokenCounts(input_fresh=20_000 + number * 1000, output=100),
                price_version="list:anthropic:claude-opus-4-8",
                facts=replace(FACTS, history_bytes=20_000 + number),
            )
        )
        for number in range(5)
    ]
    (finding,) = analyse(turns, PRICES).findings
    assert (finding.kind, finding.cause, finding.turn) == (Kind.NEVER_CACHED, Cause.NO_MARKS, 1)
    # Cached: 20,000 written once and 1,000 each of four turns; 20,000 + 21,000 + 22,000 + 23,000 read.
    spent = 110_000 * 5_000
    cached = 24_000 * 6_250 + 86_000 * 500
    assert finding.money_nano_usd == spent - cached
    assert finding.lost_tokens == 86_000


def codex(*prompts: tuple[int, int], pause_s: int = 10) -> list[Turn]:
    return [
        priced(
            Turn(
                exchange_id=f"C{number:025d}",
                at_ms=START_MS + number * pause_s * SECOND,
                ended_ms=START_MS + number * pause_s * SECOND + SECOND,
                target=CODEX,
                tokens=TokenCounts(input_fresh=prompt - read, cache_read=read, output=50),
                price_version=GPT,
                facts=replace(FACTS, history_bytes=20_000 + number),
            )
        )
        for number, (prompt, read) in enumerate(prompts)
    ]


def test_a_provider_that_caches_by_itself_is_held_to_it_once_it_did() -> None:
    never = codex((50_000, 0), (51_000, 0), (52_000, 0))
    assert analyse(never, PRICES).findings == ()
    once = codex((50_000, 0), (51_000, 49_920), (52_000, 0))
    (finding,) = analyse(once, PRICES).findings
    assert (finding.cause, finding.turn, finding.lost_tokens) == (Cause.PROVIDER_MISSED, 3, 51_000)
    assert finding.money_nano_usd == 51_000 * (2_500 - 250)


def test_a_promise_nobody_made_ends_with_the_least_that_is_told() -> None:
    (finding,) = analyse(codex((50_000, 0), (51_000, 49_920), (52_000, 0), pause_s=400), PRICES).findings
    assert (finding.kind, finding.cause) == (Kind.COLD_CACHE, Cause.IDLE)


def test_money_is_none_where_no_price_is_known() -> None:
    talk = Talk()
    talk.go_on(2)
    talk.say(read=0)
    (finding,) = analyse(talk.turns, {}).findings
    assert (finding.money_nano_usd, finding.lost_tokens) == (0, 50_000 + 2 * 998)


def test_turns_that_failed_before_they_were_billed_leave_the_cache_as_it_was() -> None:
    talk = Talk()
    talk.go_on(3)
    failed = replace(talk.turns[-1], exchange_id="X" * 26, outcome="failed", tokens=TokenCounts(), cost_nano_usd=0)
    talk.turns.append(failed)
    talk.say()
    analysis: Analysis = analyse(talk.turns, PRICES)
    assert analysis.findings == ()
    assert (analysis.sums.errors, analysis.sums.turns) == (1, 5)
