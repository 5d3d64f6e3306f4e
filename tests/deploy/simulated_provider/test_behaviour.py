import pytest

from deploy.simulated_provider.behaviour import Behaviour, read_behaviour
from switchyard_contract.usage import TokenCounts


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-8",
        "claude-3-5-haiku-20241022",
        "claude-sonnet-4-6[1m]",
        "gpt-4o-2024-08-06",
        "gpt-5.1-codex-max",
        "gpt-4-0613",
        "text-embedding-3-small",
        "gemini-2.5-flash-lite",
        "gemini-embedding-001",
        "o4-mini",
        "anthropic-main/claude-sonnet-4-6",
        "meta-llama/Llama-3.3-70B-Instruct",
        "grok-code-fast-1",
    ],
)
def test_a_real_model_name_asks_for_nothing_special(model: str) -> None:
    assert read_behaviour(model) == Behaviour()


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        ("claude-sonnet-4-6-think", Behaviour(thinks=True)),
        ("gpt-5.2-fault-429", Behaviour(status=429)),
        ("gpt-5.2-fault-429-after60-once", Behaviour(status=429, retry_after_s=60, first_calls=1)),
        ("gpt-5.2-fault-529-times3", Behaviour(status=529, first_calls=3)),
        ("x-fault-999", Behaviour()),
        ("x-slow250", Behaviour(slow_ms=250)),
        ("x-late250", Behaviour(late_ms=250)),
        ("x-drop", Behaviour(drops=True)),
        ("x-cut3", Behaviour(cut_after=3)),
        ("x-stall0", Behaviour(stall_after=0)),
        ("x-errmid2", Behaviour(error_after=2)),
        ("x-malformed1", Behaviour(malformed_after=1)),
        ("x-huge64", Behaviour(huge_bytes=64 * 1024)),
        ("x-noend", Behaviour(withholds_end=True)),
        ("x-noterminal", Behaviour(withholds_terminal=True)),
        ("x-nousage", Behaviour(withholds_usage=True)),
        ("x-negativeusage", Behaviour(usage_lie="negative")),
        ("x-largerusage", Behaviour(usage_lie="larger")),
        ("sim-text-500-delay20", Behaviour(text_chunks=500, delay_ms=20)),
        ("sim-tools-2", Behaviour(parallel_calls=2)),
        (
            "sim-usage-in1200-read300-w5m100-w1h50-out80-think20",
            Behaviour(
                usage=TokenCounts(
                    input_fresh=1200,
                    cache_read=300,
                    cache_write_5m=100,
                    cache_write_1h=50,
                    output=80,
                    reasoning=20,
                )
            ),
        ),
        ("sim-usage-in7-cut2", Behaviour(usage=TokenCounts(input_fresh=7), cut_after=2)),
    ],
)
def test_a_model_name_states_the_behaviour(model: str, behaviour: Behaviour) -> None:
    assert read_behaviour(model) == behaviour


def test_the_header_says_the_same_for_names_that_must_stay() -> None:
    asked = read_behaviour("claude-sonnet-4-6", "sim-usage-in5-out6, cut1")
    assert asked == Behaviour(usage=TokenCounts(input_fresh=5, output=6), cut_after=1)


def test_without_its_faults_a_behaviour_keeps_what_shapes_the_answer() -> None:
    asked = read_behaviour("sim-text-9-delay1-think-cut2-nousage-slow9")
    assert asked.fault == "slow+cut+no-usage"
    assert asked.without_faults() == Behaviour(thinks=True, text_chunks=9, delay_ms=1)
    assert asked.without_faults().fault == ""
