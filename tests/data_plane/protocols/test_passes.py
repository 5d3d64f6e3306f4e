"""Passes inside of an answer: whatever vendors tell, no token is counted twice and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from data_plane.protocols.anthropic_messages.response import Usage
from data_plane.protocols.passes import CacheCreation, Iteration
from switchyard_contract.usage import TokenCounts

KINDS = st.sampled_from(["message", "advisor_message", "fallback_message", "compaction", "", "new_kind"])
COUNT = st.integers(0, 10**6)


@st.composite
def iterations(draw: st.DrawFn) -> list[Iteration]:
    return draw(
        st.lists(
            st.builds(
                Iteration,
                type=KINDS,
                model=st.sampled_from([None, "m", "other"]),
                input_tokens=COUNT,
                output_tokens=COUNT,
                cache_read_input_tokens=COUNT,
                cache_creation_input_tokens=COUNT,
                cache_creation=st.none(),
            ),
            max_size=6,
        )
    )


@given(passes=iterations(), thinking=COUNT, numbers=st.tuples(COUNT, COUNT, COUNT, COUNT))
def test_parts_are_never_more_than_the_sums(
    passes: list[Iteration], thinking: int, numbers: tuple[int, int, int, int]
) -> None:
    fresh, written, read, output = numbers
    usage = Usage(
        input_tokens=fresh,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=read,
        output_tokens=output,
        iterations=passes,
    )

    tokens, _ = usage.counts("m")
    parts = usage.parts("m")

    for kind in TokenCounts._fields:
        assert sum(getattr(part.tokens, kind) for part in parts) <= getattr(tokens, kind)
    outside = sum(sum(each.numbers) for each in passes if each.type == "compaction")
    assert tokens.total >= sum(numbers) + outside


@given(passes=iterations())
def test_what_the_sums_are_made_of_is_found(passes: list[Iteration]) -> None:
    own = [each for each in passes if each.type in ("message", "fallback_message")]
    sums = [sum(column) for column in zip(*(each.numbers for each in own), strict=True)] if own else [0, 0, 0, 0]
    usage = Usage(
        input_tokens=sums[0],
        cache_creation_input_tokens=sums[1],
        cache_read_input_tokens=sums[2],
        output_tokens=sums[3],
        iterations=passes,
    )

    tokens, is_inconsistent = usage.counts("m")

    if own:
        assert not is_inconsistent
        told = [
            each for each in passes if each.type in ("message", "fallback_message", "advisor_message", "compaction")
        ]
        assert tokens.total >= sum(sum(each.numbers) for each in told)


def test_sums_that_are_made_of_no_passes_are_told_to_contradict() -> None:
    passes = [Iteration("message", None, 100, 10), Iteration("advisor_message", "other", 5, 5)]

    assert Usage(input_tokens=77, output_tokens=10, iterations=passes).counts("m")[1]
    assert not Usage(input_tokens=100, output_tokens=10, iterations=passes).counts("m")[1]


def test_thinking_of_a_pass_is_taken_from_the_thinking_of_the_sums() -> None:
    usage = Usage(
        input_tokens=30,
        output_tokens=100,
        iterations=[Iteration("message", "first", 10, 60), Iteration("fallback_message", "m", 20, 40)],
    )
    part = usage.parts("m")[0]

    assert (part.model, part.tokens) == ("first", TokenCounts(input_fresh=10, output=60))


def test_writes_of_a_pass_keep_their_lifetimes() -> None:
    summary = Iteration(
        "compaction", None, 1, 2, 0, 30, CacheCreation(ephemeral_5m_input_tokens=10, ephemeral_1h_input_tokens=20)
    )
    usage = Usage(input_tokens=1, output_tokens=1, iterations=[summary])

    assert usage.counts("m")[0] == TokenCounts(input_fresh=2, cache_write_5m=10, cache_write_1h=20, output=3)
