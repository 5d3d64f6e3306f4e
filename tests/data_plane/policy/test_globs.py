import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.policy.globs import Globs, globs_of
from tests.data_plane.policy.builders import PATIENT

SIGNS = "ab-.*?"


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("claude-*", "claude-opus-4-8", True),
        ("claude-*", "Claude-opus", False),
        ("*opus*", "claude-opus-4-8", True),
        ("gpt-5.1", "gpt-501", False),
        ("gpt-?", "gpt-5", True),
        ("gpt-?", "gpt-51", False),
        ("*", "", True),
        ("a*b", "a\nb", True),
        ("models/[x]", "models/[x]", True),
        ("ä?", "äö", True),
        ("ä*", "\ud800", False),
    ],
)
def test_only_star_and_question_mark_are_wild(glob: str, name: str, fits: bool) -> None:
    assert globs_of((glob,)).fits(name) is fits


@PATIENT
@given(st.lists(st.text(SIGNS, max_size=6), min_size=1, max_size=4), st.text("ab-.", max_size=8))
def test_a_list_fits_what_one_of_its_globs_fits(globs: list[str], name: str) -> None:
    assert Globs(tuple(globs)).fits(name) is any(fnmatchcase(name, glob) for glob in globs)


def test_a_glob_that_would_backtrack_for_ever_takes_no_time() -> None:
    evil = globs_of(("*a" * 30 + "b",))

    started = time.perf_counter()
    assert not evil.fits("a" * 10_000)
    assert time.perf_counter() - started < 1.0


def test_too_many_globs_are_refused_and_not_cut() -> None:
    with pytest.raises(ValueError, match="too long"):
        Globs(tuple(f"*{number}*" + "x" * 200 for number in range(1000)))
