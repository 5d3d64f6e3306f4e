"""Sub-agents and calls on the side are kept apart from the conversation."""

from dataclasses import replace

from control_plane.sessions.analysis.session import analyse
from control_plane.sessions.analysis.turns import Facts, Turn
from tests.control_plane.sessions.conversations import MINUTE, PRICES, START_MS, Talk


def in_order(*talks: Talk) -> list[Turn]:
    return sorted((turn for talk in talks for turn in talk.turns), key=lambda turn: (turn.at_ms, turn.exchange_id))


def test_a_sub_agent_has_a_cache_of_its_own() -> None:
    main, agent = Talk(context=100_000), Talk(context=15_000, agent_id="a1", start_ms=START_MS + 5_000, name="A")
    main.go_on(6)
    agent.go_on(4)
    analysis = analyse(in_order(main, agent), PRICES)
    assert analysis.findings == ()
    assert [(strand.agent_id, len(strand.steps)) for strand in analysis.strands] == [("", 6), ("a1", 4)]
    assert [strand.cost_nano_usd for strand in analysis.strands] == [
        sum(turn.cost_nano_usd for turn in talk.turns) for talk in (main, agent)
    ]
    assert analysis.sums.cost_nano_usd == sum(strand.cost_nano_usd for strand in analysis.strands)


def test_a_title_asked_for_beside_the_conversation_breaks_nothing() -> None:
    main = Talk(context=60_000)
    main.go_on(2)
    title = replace(
        main.turns[0],
        exchange_id="TITLE" + "0" * 21,
        at_ms=main.at_ms + 1,
        tokens=main.turns[0].tokens.__class__(input_fresh=400, output=20),
        facts=Facts(system=b"You write titles", tools=b"", marks=(), history_bytes=300, request=b"title"),
    )
    main.go_on(3)
    analysis = analyse(sorted([*main.turns, title], key=lambda turn: turn.at_ms), PRICES)
    assert analysis.findings == ()
    assert (analysis.sums.turns, analysis.sums.asides) == (5, 1)
    assert analysis.main.aside_cost_nano_usd == title.cost_nano_usd


def test_without_facts_a_small_call_between_large_ones_is_beside_them() -> None:
    main = Talk(context=60_000)
    main.go_on(2)
    small = replace(main.turns[0], exchange_id="S" * 26, at_ms=main.at_ms + 1)
    small = replace(small, tokens=small.tokens.__class__(input_fresh=400, output=20))
    main.go_on(3)
    plain = [replace(turn, facts=None) for turn in sorted([*main.turns, small], key=lambda turn: turn.at_ms)]
    analysis = analyse(plain, PRICES)
    assert analysis.findings == ()
    assert (analysis.sums.turns, analysis.sums.asides) == (5, 1)


def test_thinking_and_tools_are_told_apart_with_facts_and_without() -> None:
    talk = Talk()
    talk.say(stop_reason="tool_use")
    talk.say(pause_ms=3_000, facts={"tool_results": 2}, stop_reason="end_turn")
    talk.say(pause_ms=2 * MINUTE, facts={"tool_results": 0, "is_typed": True})
    for turns in (talk.turns, [replace(turn, facts=None) for turn in talk.turns]):
        sums = analyse(turns, PRICES).sums
        assert (sums.tool_ms, sums.person_ms, sums.model_ms) == (3_000, 2 * MINUTE, 6_000)


def test_places_sum_up_to_the_session() -> None:
    talk = Talk()
    talk.go_on(3)
    talk.say(read=0, pause_ms=20 * 60 * MINUTE)
    analysis = analyse(talk.turns, PRICES)
    assert len(analysis.places) == 2
    for name in ("turns", "cost_nano_usd", "avoidable_nano_usd", "cache_read_tokens"):
        assert sum(getattr(sums, name) for sums in analysis.places.values()) == getattr(analysis.sums, name)


def test_an_empty_session_has_an_empty_conversation() -> None:
    analysis = analyse([], PRICES)
    assert (analysis.main.steps, analysis.findings, analysis.most_context) == ((), (), 0)
