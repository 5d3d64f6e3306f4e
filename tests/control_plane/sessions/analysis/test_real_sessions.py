"""Two real sessions, call by call, against costs worked out by hand.

Data: TraceLab (uw-syfi/TraceLab, `example_sessions/sanitized`), CC BY 4.0: ten calls of Claude Code, nine of Codex.
Digests are not in the data: a turn here says that nothing of its beginning changed.
"""

from dataclasses import replace

from control_plane.sessions.analysis.findings import Cause, Kind
from control_plane.sessions.analysis.session import analyse
from control_plane.sessions.analysis.turns import Facts, Target, Turn
from switchyard_contract.usage import TokenCounts
from tests.control_plane.sessions.conversations import CLAUDE, CODEX, GPT, OPUS, PRICES, START_MS, priced

# From the last input to the end of the answer (ms since the session began), then tokens: fresh, written, read, output,
# reasoning; tool results, failed ones; whether somebody typed.
Call = tuple[int, int, int, int, int, int, int, int, int, bool]

CLAUDE_CALLS: tuple[Call, ...] = (
    (0, 11496, 2892, 2163, 27217, 931, 0, 0, 0, True),
    (30787, 44711, 2, 6358, 29380, 1016, 0, 2, 0, False),
    (57399, 83864, 2, 2852, 35738, 2475, 0, 1, 0, False),
    (105331, 108012, 2, 2539, 38590, 117, 0, 1, 0, False),
    (108157, 123269, 2, 458, 41129, 1275, 0, 1, 0, False),
    (143182, 146671, 2, 1287, 41587, 273, 0, 0, 0, True),
    (162784, 166099, 131, 1896, 42874, 232, 0, 1, 0, False),
    (168620, 188919, 2, 507, 44770, 2162, 0, 1, 0, False),
    (189049, 190668, 2, 2229, 45277, 90, 0, 1, 0, False),
    (190855, 201684, 2, 797, 47506, 852, 0, 1, 0, False),
)
CODEX_CALLS: tuple[Call, ...] = (
    (0, 6214, 2412, 0, 6912, 245, 199, 0, 0, True),
    (7376, 9062, 317, 0, 9600, 83, 11, 3, 1, False),
    (14052, 15304, 202, 0, 9856, 44, 15, 1, 0, False),
    (15306, 19201, 6696, 0, 3456, 207, 26, 1, 0, False),
    (19334, 24046, 232, 0, 10240, 198, 96, 2, 0, False),
    (30379, 34228, 1220, 0, 9216, 193, 69, 0, 0, True),
    (34282, 37526, 1012, 0, 10624, 157, 41, 2, 0, False),
    (55888, 59846, 1359, 0, 10368, 155, 124, 0, 0, True),
    (59886, 61046, 2881, 0, 9216, 49, 0, 1, 0, False),
)


def turns(calls: tuple[Call, ...], target: Target, price: str) -> list[Turn]:
    return [
        priced(
            Turn(
                exchange_id=f"{number:026d}",
                at_ms=START_MS + start,
                ended_ms=START_MS + end,
                target=target,
                tokens=TokenCounts(
                    input_fresh=fresh, cache_write_5m=written, cache_read=read, output=output, reasoning=reasoning
                ),
                price_version=price,
                facts=Facts(system=b"s", tool_results=results, failed_tool_results=failed, is_typed=typed),
            )
        )
        for number, (start, end, fresh, written, read, output, reasoning, results, failed, typed) in enumerate(calls, 1)
    ]


def test_claude_code_costs_what_a_hand_calculation_says() -> None:
    """Dollars per million: 5 fresh, 6.25 written, 0.50 read, 25 out; that is nano-dollars times 1,000 per token.

    fresh    2,892 + 8 x 2 + 131                                                            =   3,039 x  5,000
    written  2,163 + 6,358 + 2,852 + 2,539 + 458 + 1,287 + 1,896 + 507 + 2,229 + 797         =  21,086 x  6,250
    read     27,217 + 29,380 + 35,738 + 38,590 + 41,129 + 41,587 + 42,874 + 44,770 + 45,277 + 47,506
                                                                                            = 394,068 x    500
    output   931 + 1,016 + 2,475 + 117 + 1,275 + 273 + 232 + 2,162 + 90 + 852                =   9,423 x 25,000
    15,195,000 + 131,787,500 + 197,034,000 + 235,575,000 = 579,591,500 nano-dollars: $0.5796.
    """
    analysis = analyse(turns(CLAUDE_CALLS, CLAUDE, OPUS), PRICES)
    assert analysis.sums.cost_nano_usd == 15_195_000 + 131_787_500 + 197_034_000 + 235_575_000 == 579_591_500
    # The first call: 2,892 x 5,000 + 2,163 x 6,250 + 27,217 x 500 + 931 x 25,000.
    first, *_, last = analysis.main.steps
    assert first.turn.cost_nano_usd == 14_460_000 + 13_518_750 + 13_608_500 + 23_275_000 == 64_862_250
    # The last: 2 x 5,000 + 797 x 6,250 + 47,506 x 500 + 852 x 25,000.
    assert last.turn.cost_nano_usd == 10_000 + 4_981_250 + 23_753_000 + 21_300_000 == 50_044_250


def test_claude_code_found_its_whole_cache_each_time() -> None:
    analysis = analyse(turns(CLAUDE_CALLS, CLAUDE, OPUS), PRICES)
    assert analysis.findings == ()
    # What a call read and wrote is what the next one was to find, and found: 27,217 + 2,163 = 29,380, and so on.
    assert [step.expected for step in analysis.main.steps] == [0, *(call[4] for call in CLAUDE_CALLS[1:])]
    assert analysis.sums.cache_share_per_mille == 394_068 * 1000 // (3_039 + 21_086 + 394_068) == 942
    assert analysis.most_context == 48_305
    # Tools: 19,291 + 12,688 + 21,467 + 145 + 16,113 + 2,521 + 130 + 187 ms; the person once: 143,182 - 123,269.
    assert (analysis.sums.tool_ms, analysis.sums.person_ms) == (72_542, 19_913)
    assert (analysis.sums.turns, analysis.sums.typed, analysis.sums.tool_results) == (10, 2, 9)


def test_codex_costs_what_a_hand_calculation_says() -> None:
    """Dollars per million: 2.50 fresh, 0.25 read, 15 out, reasoning as output.

    fresh   2,412 + 317 + 202 + 6,696 + 232 + 1,220 + 1,012 + 1,359 + 2,881                  =  16,331 x  2,500
    read    6,912 + 9,600 + 9,856 + 3,456 + 10,240 + 9,216 + 10,624 + 10,368 + 9,216          =  79,488 x    250
    output  444 + 94 + 59 + 233 + 294 + 262 + 198 + 279 + 49 (reasoning included)             =   1,912 x 15,000
    40,827,500 + 19,872,000 + 28,680,000 = 89,379,500 nano-dollars: $0.0894.
    """
    analysis = analyse(turns(CODEX_CALLS, CODEX, GPT), PRICES)
    assert analysis.sums.cost_nano_usd == 40_827_500 + 19_872_000 + 28_680_000 == 89_379_500
    assert (analysis.sums.tool_ms, analysis.sums.person_ms) == (6_381, 24_695)
    assert analysis.sums.failed_tool_results == 1


def test_codex_lost_its_cache_twice_to_the_provider() -> None:
    """Calls 4 and 9 read 3,456 of 10,058 and 9,216 of 11,727 tokens that the call before them had, within seconds."""
    analysis = analyse(turns(CODEX_CALLS, CODEX, GPT), PRICES)
    assert [(finding.kind, finding.cause, finding.turn) for finding in analysis.findings] == [
        (Kind.CACHE_BREAK, Cause.PROVIDER_MISSED, 4),
        (Kind.CACHE_BREAK, Cause.PROVIDER_MISSED, 9),
    ]
    fourth, ninth = analysis.findings
    assert (fourth.lost_tokens, fourth.money_nano_usd) == (10_058 - 3_456, 6_602 * (2_500 - 250))
    assert (ninth.lost_tokens, ninth.money_nano_usd) == (11_727 - 9_216, 2_511 * (2_500 - 250))
    assert analysis.sums.avoidable_nano_usd == 0
    assert analysis.sums.unavoidable_nano_usd == 14_854_500 + 5_649_750


def test_the_same_session_with_a_pause_in_it_says_what_the_pause_cost() -> None:
    """Had the person of the Claude session come back after ten minutes, call 6 would have written 42,874 tokens."""
    calls = turns(CLAUDE_CALLS, CLAUDE, OPUS)
    late = [replace(turn, at_ms=turn.at_ms + 600_000, ended_ms=turn.ended_ms + 600_000) for turn in calls[5:]]
    cold = TokenCounts(input_fresh=2, cache_write_5m=1_287 + 41_587, output=273)
    late[0] = priced(replace(late[0], tokens=cold))
    (finding,) = analyse([*calls[:5], *late], PRICES).findings
    assert (finding.kind, finding.cause, finding.turn) == (Kind.COLD_CACHE, Cause.IDLE, 6)
    assert finding.money_nano_usd == 41_587 * (6_250 - 500) == 239_125_250
