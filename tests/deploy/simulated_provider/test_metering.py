from deploy.simulated_provider.ask import Ask, ProtocolName
from deploy.simulated_provider.metering import PrefixMemory, bills_cache_writes, fold_usage, prompt_tokens, tokens_of
from switchyard_contract.usage import TokenCounts

ALL = TokenCounts(
    input_fresh=1,
    input_tool=2,
    cache_read=4,
    cache_write_5m=8,
    cache_write_1h=16,
    cache_write_30m=32,
    cache_write_12h=64,
    cache_write_other=128,
    output=256,
    reasoning=512,
)


def ask_of(protocol: ProtocolName, model: str = "m", long_breaks: int = 0, short_breaks: int = 0) -> Ask:
    return Ask(protocol, model, False, (), long_breaks=long_breaks, short_breaks=short_breaks)


def test_tokens_are_quarters_of_bytes_and_never_none() -> None:
    assert [tokens_of(text) for text in ("", "a", "abcdefgh", "漢字漢字")] == [0, 1, 2, 3]
    assert [prompt_tokens(size) for size in (0, 3, 4, 4096)] == [1, 1, 1, 1024]


def test_a_first_turn_writes_whole_blocks_and_the_next_one_reads_them() -> None:
    memory, ask = PrefixMemory(), ask_of("anthropic_messages", short_breaks=2)
    assert memory.meter("k", ask, 4 * 1000) == TokenCounts(input_fresh=8, cache_write_5m=992)
    assert memory.meter("k", ask, 4 * 1100) == TokenCounts(input_fresh=12, cache_read=992, cache_write_5m=96)
    assert memory.meter("other", ask, 4 * 1100) == TokenCounts(input_fresh=12, cache_write_5m=1088)


def test_a_shorter_turn_reads_no_more_than_it_has() -> None:
    memory, ask = PrefixMemory(), ask_of("openai_chat", "gpt-6-sol")
    memory.meter("k", ask, 4 * 1000)
    assert memory.meter("k", ask, 4 * 100) == TokenCounts(input_fresh=4, cache_read=96)


def test_writes_are_shared_between_lifetimes_as_the_breakpoints_are() -> None:
    ask = ask_of("anthropic_messages", long_breaks=3, short_breaks=1)
    assert PrefixMemory().meter("k", ask, 4 * 160) == TokenCounts(cache_write_1h=120, cache_write_5m=40)


def test_each_protocol_tells_what_it_can_tell() -> None:
    assert PrefixMemory().meter("k", ask_of("anthropic_messages"), 640) == TokenCounts(input_fresh=160)
    assert PrefixMemory().meter("k", ask_of("gemini_content"), 640) == TokenCounts(input_fresh=160)
    assert PrefixMemory().meter("k", ask_of("openai_chat", "gpt-5.2"), 640) == TokenCounts(input_fresh=160)
    assert PrefixMemory().meter("k", ask_of("openai_responses", "gpt-5.6-sol"), 640) == TokenCounts(cache_write_30m=160)
    asked_long = ask_of("openai_responses", "gpt-6-sol", long_breaks=1)
    assert PrefixMemory().meter("k", asked_long, 640) == TokenCounts(cache_write_12h=160)


def test_the_memory_forgets_the_oldest_conversation() -> None:
    memory, ask = PrefixMemory(conversations=1), ask_of("gemini_content")
    memory.meter("old", ask, 640)
    memory.meter("new", ask, 640)
    assert memory.meter("old", ask, 640).cache_read == 0


def test_cache_writes_are_billed_from_gpt_5_6_on() -> None:
    names = ("gpt-4.1", "gpt-5.2", "gpt-5.6-sol", "gpt-6-sol", "o3", "qwen3-coder")
    assert [bills_cache_writes(name) for name in names] == [False, False, True, True, False, False]


def test_folding_keeps_the_prompts_sum() -> None:
    folded = {
        "anthropic_messages": TokenCounts(
            input_fresh=3, cache_read=4, cache_write_5m=232, cache_write_1h=16, output=256, reasoning=512
        ),
        "openai_chat": TokenCounts(
            input_fresh=3, cache_read=4, cache_write_30m=184, cache_write_12h=64, output=256, reasoning=512
        ),
        "gemini_content": TokenCounts(input_fresh=249, input_tool=2, cache_read=4, output=256, reasoning=512),
    }
    protocols: tuple[ProtocolName, ...] = ("anthropic_messages", "openai_chat", "gemini_content")
    for protocol in protocols:
        assert fold_usage(protocol, ALL) == folded[protocol]
        assert fold_usage(protocol, ALL).total == ALL.total
