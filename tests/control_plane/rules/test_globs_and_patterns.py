"""Globs meet where a text fits both; patterns are RE2's, and plain."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.rules.globs import fits, may_meet
from control_plane.rules.patterns import takes, wrong_with

GLOBS = st.text("ab*?", max_size=7)
TEXTS = st.text("ab", max_size=7)


@settings(max_examples=400, deadline=None)
@given(glob=GLOBS, text=TEXTS)
def test_a_glob_fits_what_the_shell_says(glob: str, text: str) -> None:
    assert fits([glob], text) == fnmatchcase(text, glob)


@settings(max_examples=400, deadline=None)
@given(one=GLOBS, other=GLOBS, text=TEXTS)
def test_globs_that_both_fit_a_text_meet(one: str, other: str, text: str) -> None:
    if fits([one], text) and fits([other], text):
        assert may_meet(one, other)
    assert may_meet(one, other) == may_meet(other, one)


@pytest.mark.parametrize(("one", "other"), [("gpt-*", "claude-*"), ("a?", "a"), ("*x", "*y"), ("a*b", "c*"), ("?", "")])
def test_globs_without_a_common_text_do_not_meet(one: str, other: str) -> None:
    assert not may_meet(one, other)


def test_a_glob_of_many_stars_is_not_slow() -> None:
    assert not fits(["*a" * 50], "b" * 5000)
    assert not may_meet("*a" * 60 + "x", "*b" * 60 + "y")


@pytest.mark.parametrize(
    "pattern",
    [
        "[A-Z]+-[0-9]+",
        "dev|staging|prod",
        "(?i)team-[a-z]+",
        "([a-z]+-)*[a-z]+",
        r"\d{4}",
        "",
        "(a?b)*",
        r"\(a+\)+",
        "[()+*]+",
    ],
)
def test_plain_patterns_are_right(pattern: str) -> None:
    assert wrong_with(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a*)*b",
        "(.*)*",
        "((a+))+",
        "(a|a)*",
        r"(\w+\s?)*",
        "(a+|b)+c",
        "(?:a+)+",
        "(?P<x>a+)*",
        "(a{1,})+",
        "x(y(a+)+)",
    ],
)
def test_patterns_that_other_engines_choke_on_are_refused(pattern: str) -> None:
    assert "repeats" in wrong_with(pattern)


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", "(?=a)", "(?<=a)b", "(?>a)", "a**", "(", "[a", "a{5000}", "\\", "\ud800", "x" * 501]
)
def test_what_re2_does_not_take_is_refused_in_words(pattern: str) -> None:
    why = wrong_with(pattern)
    assert why.startswith(("No pattern of RE2: ", "At most"))
    assert why.endswith(".")


def test_a_pattern_is_over_the_whole_value() -> None:
    assert takes("[a-z]+", "dev")
    assert not takes("[a-z]+", "dev1")


@settings(max_examples=200, deadline=None)
@given(st.text("ab()[]{}|*+?\\^$.,0123:<>P", max_size=20))
def test_no_text_breaks_the_check(pattern: str) -> None:
    assert isinstance(wrong_with(pattern), str)
