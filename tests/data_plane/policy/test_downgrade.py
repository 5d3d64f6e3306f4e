from dataclasses import dataclass

import pytest

from data_plane.conversation.session_signs import NO_SIGNS, SessionSigns
from data_plane.policy.downgrade import Move, Offer, offer
from data_plane.policy.estimate import Tariff, likely_cost, tariff_of
from data_plane.policy.request_size import LastTurn, RequestSize
from data_plane.policy.rules import ModelFacts
from switchyard_contract.pricing import Price, Rates
from tests.data_plane.policy.real_sessions import CLAUDE, CODEX, Turn

USD = 1_000_000_000
MINUTE_MS = 60_000
CAREFUL = Move("small", ("b1",), 0, cache_aware=True)


def a_tariff(dollars_in: float, dollars_out: float, *, writes: bool = True) -> Tariff:
    rate = round(dollars_in * USD)
    rates = Rates(
        input=rate,
        cache_read=rate // 10,
        cache_write_5m=rate * 5 // 4 if writes else None,
        output=round(dollars_out * USD),
    )
    return tariff_of(Price("p", "v", "m", rates), ModelFacts())


OPUS, SONNET, HAIKU = a_tariff(5, 25), a_tariff(3, 15), a_tariff(1, 5)
GPT, MINI = a_tariff(1.25, 10, writes=False), a_tariff(0.25, 2, writes=False)


def a_turn(prompt: int = 120_000, *, warm: bool = True, at_ms: int = 1) -> LastTurn:
    return LastTurn(prompt * 4, prompt, prompt if warm else 0, 300, at_ms)


def ask(
    move: Move = CAREFUL,
    *,
    first: Tariff = GPT,
    second: Tariff = MINI,
    prompt: int = 120_000,
    turn: int = 1,
    here: LastTurn | None = None,
    there: LastTurn | None = None,
    signs: SessionSigns = NO_SIGNS,
) -> Offer:
    given = SessionSigns(turn=turn, is_tool_loop=signs.is_tool_loop, has_signed_thinking=signs.has_signed_thinking)
    return offer(move, first, second, RequestSize(prompt * 4), given, last_first=here, last_second=there)


def test_a_prompt_that_is_cached_nowhere_goes_where_it_is_cheaper() -> None:
    answer = ask()

    assert answer.is_offered
    assert answer.move < answer.stay
    assert answer.why == "cheaper for this turn already"


def test_to_leave_a_warm_prompt_costs_more_than_to_stay() -> None:
    answer = ask(here=a_turn())

    # gpt-5.1 reads 120k tokens at $0.125/M; its small sister would have to read them anew at $0.25/M (workload.md).
    assert (answer.stay, answer.move) == (15_000_000 + 300 * 10_000, 30_000_000 + 300 * 2000)


def test_it_is_left_all_the_same_where_the_turns_to_come_win_it_back() -> None:
    answer = ask(here=a_turn())

    assert answer.is_offered
    assert answer.why == "dearer for this turn, and won back within 1 more"


def test_it_is_not_left_where_so_many_turns_are_not_to_be_expected() -> None:
    young = ask(first=OPUS, second=SONNET, turn=2, here=a_turn())
    old = ask(first=OPUS, second=SONNET, turn=40, here=a_turn())

    assert (young.is_offered, old.is_offered) == (False, True)
    assert young.why.startswith("its prompt is cached where it is: to leave would be won back only after ")


def test_a_cache_that_has_gone_cold_holds_nobody() -> None:
    assert ask(first=OPUS, second=SONNET, here=a_turn(warm=False)).is_offered


def test_a_model_that_is_no_cheaper_with_a_warm_cache_is_never_taken() -> None:
    dear_reads = tariff_of(Price("p", "v", "m", Rates(input=USD, output=USD)), ModelFacts())

    answer = ask(first=a_tariff(2, 5), second=dear_reads, turn=100, here=a_turn())

    assert (answer.is_offered, answer.why) == (False, "not cheaper, its prompt being cached where it is")


def test_what_has_moved_stays_where_it_is_warm_now() -> None:
    answer = ask(first=OPUS, second=HAIKU, here=a_turn(at_ms=1), there=a_turn(at_ms=2))

    assert (answer.is_offered, answer.must_move, answer.why) == (True, False, "cheaper for this turn already")


def test_a_stage_that_does_not_ask_about_caches_moves_every_turn() -> None:
    assert ask(Move("small", ("b1",), 0, cache_aware=False), first=OPUS, second=SONNET, here=a_turn()).is_offered


@pytest.mark.parametrize(("below", "offered"), [(0, True), (10_000, False), (150_000, True)])
def test_a_stage_may_ask_for_turns_that_read_little_afresh(below: int, offered: bool) -> None:
    move = Move("small", ("b1",), below, cache_aware=False)

    assert ask(move).is_offered is offered
    # A warm prompt is not read afresh.
    assert ask(move, here=a_turn()).is_offered


LOOP = SessionSigns(is_tool_loop=True, has_signed_thinking=True)


def test_a_tool_loop_with_signed_reasoning_stays_with_the_model_that_signed_it() -> None:
    here = ask(signs=LOOP, here=a_turn(at_ms=2, warm=False), there=a_turn(at_ms=1))
    there = ask(signs=LOOP, here=a_turn(at_ms=1), there=a_turn(at_ms=2, warm=False))

    assert (here.is_offered, here.must_move) == (False, False)
    assert here.why == "in the middle of a tool loop with signed reasoning"
    assert (there.is_offered, there.must_move) == (True, True)


@pytest.mark.parametrize(
    "signs", [SessionSigns(is_tool_loop=True), SessionSigns(has_signed_thinking=True)], ids=["unsigned", "no loop"]
)
def test_a_loop_without_signatures_and_a_new_question_may_move(signs: SessionSigns) -> None:
    assert ask(signs=signs).is_offered


def test_nothing_is_compared_with_what_costs_nothing() -> None:
    size = RequestSize(1000)

    assert not offer(CAREFUL, None, HAIKU, size, NO_SIGNS, last_first=None, last_second=None).is_offered
    assert not offer(CAREFUL, OPUS, None, size, NO_SIGNS, last_first=None, last_second=None).is_offered


# -- the real sessions, stretched


@dataclass(slots=True)
class Provider:
    """What one model's cache holds, and what its turns cost."""

    tariff: Tariff
    last: LastTurn | None = None

    def seen(self, now_ms: int) -> LastTurn | None:
        last = self.last
        if last is None or now_ms - last.at_ms < 5 * MINUTE_MS:
            return last
        return LastTurn(last.body_bytes, last.prompt_tokens, 0, last.output_tokens, last.at_ms)

    def answer(self, prompt: int, output: int, now_ms: int) -> int:
        last = self.seen(now_ms)
        self.last = LastTurn(prompt * 4, prompt, prompt, output, now_ms)
        return likely_cost(self.tariff.price, prompt, min(last.warm_tokens, prompt) if last else 0, output)


def replay(turns: tuple[Turn, ...], first: Tariff, second: Tariff, line_at: int, how: str, pause_every: int) -> int:
    """The cost of a hundred turns with a budget's stage reached at one of them."""
    here, there = Provider(first), Provider(second)
    cost = prompt = now_ms = 0
    for turn in range(1, 101):
        added, output = turns[(turn - 1) % len(turns)]
        prompt += added if turn <= len(turns) else min(added, 3000)
        now_ms += 10 * MINUTE_MS if pause_every and turn % pause_every == 0 else MINUTE_MS // 4
        size, signs = RequestSize(prompt * 4), SessionSigns(turn=turn)
        moves = turn > line_at and (
            how == "always"
            or (
                how == "aware"
                and offer(
                    CAREFUL, first, second, size, signs, last_first=here.seen(now_ms), last_second=there.seen(now_ms)
                ).is_offered
            )
        )
        cost += (there if moves else here).answer(prompt, output, now_ms)
    return cost


@pytest.mark.parametrize("pause_every", [0, 20])
@pytest.mark.parametrize("line_at", [10, 30, 50, 70, 90])
@pytest.mark.parametrize(
    ("turns", "first", "second"),
    [(CLAUDE, OPUS, HAIKU), (CODEX, GPT, MINI), (CODEX, a_tariff(2.5, 15, writes=False), MINI)],
    ids=["opus-haiku", "gpt-mini", "gpt-5.4-mini"],
)
def test_over_the_line_a_session_costs_no_more_than_the_better_of_never_and_always_moving(
    turns: tuple[Turn, ...], first: Tariff, second: Tariff, line_at: int, pause_every: int
) -> None:
    aware, never, always = (
        replay(turns, first, second, line_at, how, pause_every) for how in ("aware", "never", "always")
    )

    assert aware <= min(never, always)
