from data_plane.exchange.session_memory import HOUR_MS, SHORT_MS, SessionMemory, Turn, turn_of
from data_plane.policy.request_size import LastTurn
from switchyard_contract.usage import TokenCounts

ORGANIZATION, PROVIDER, MODEL = "o" * 32, "p" * 32, "claude-sonnet-4-6"


def turn(at_ms: int = 0, model: str = MODEL) -> Turn:
    tokens = TokenCounts(input_fresh=100, cache_read=9_000, cache_write_5m=900, output=50)
    return turn_of(tokens, at_ms=at_ms, model=model, provider_id=PROVIDER, vendor="anthropic", body_bytes=40_000)


def test_a_session_is_known_where_it_was_and_nowhere_else() -> None:
    memory = SessionMemory()
    memory.note(ORGANIZATION, "s1", turn())
    found = memory.last(ORGANIZATION, "s1", PROVIDER, MODEL, 1)
    assert found == LastTurn(body_bytes=40_000, prompt_tokens=10_000, warm_tokens=9_900, output_tokens=50, at_ms=0)
    assert memory.last(ORGANIZATION, "s2", PROVIDER, MODEL, 1) is None
    assert memory.last("x" * 32, "s1", PROVIDER, MODEL, 1) is None
    assert memory.last(ORGANIZATION, "s1", "q" * 32, MODEL, 1) is None
    assert memory.last(ORGANIZATION, "s1", PROVIDER, "another", 1) is None


def test_what_belongs_to_no_session_is_not_kept() -> None:
    memory = SessionMemory()
    memory.note(ORGANIZATION, "", turn())
    assert len(memory) == 0
    assert memory.last(ORGANIZATION, "", PROVIDER, MODEL, 1) is None


def test_beyond_the_limit_the_session_goes_that_was_silent_for_longest() -> None:
    memory = SessionMemory(limit=2)
    memory.note(ORGANIZATION, "s1", turn(1))
    memory.note(ORGANIZATION, "s2", turn(2))
    memory.note(ORGANIZATION, "s1", turn(3))
    memory.note(ORGANIZATION, "s3", turn(4))
    assert len(memory) == 2
    assert memory.last(ORGANIZATION, "s2", PROVIDER, MODEL, 1) is None
    newest = memory.last(ORGANIZATION, "s1", PROVIDER, MODEL, 3)
    assert newest is not None
    assert newest.at_ms == 3


def test_a_prompt_is_kept_as_long_as_it_was_written_for() -> None:
    short = turn()
    assert short.kept_tokens == 9_900
    assert short.is_warm(SHORT_MS - 1)
    assert not short.is_warm(SHORT_MS)
    memory = SessionMemory()
    memory.note(ORGANIZATION, "s1", short)
    cold = memory.last(ORGANIZATION, "s1", PROVIDER, MODEL, SHORT_MS)
    assert cold is not None
    assert cold.warm_tokens == 0
    tokens = TokenCounts(cache_read=5_000, cache_write_1h=10)
    long = turn_of(tokens, at_ms=0, model=MODEL, provider_id=PROVIDER, vendor="anthropic", body_bytes=1)
    assert long.is_warm(HOUR_MS - 1)
    assert not long.is_warm(HOUR_MS)


def test_a_prompt_that_was_not_put_into_a_cache_is_cold_at_once() -> None:
    tokens = TokenCounts(input_fresh=50_000)
    cold = turn_of(tokens, at_ms=0, model=MODEL, provider_id=PROVIDER, vendor="anthropic", body_bytes=1)
    assert not cold.is_warm(1)


def test_some_vendors_keep_every_long_prompt() -> None:
    def of(count: int) -> Turn:
        tokens = TokenCounts(input_fresh=count)
        return turn_of(tokens, at_ms=0, model="gpt-5.1", provider_id=PROVIDER, vendor="openai", body_bytes=1)

    assert of(50_000).is_warm(1)
    assert not of(500).is_warm(1)
