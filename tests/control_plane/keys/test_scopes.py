"""Scopes of keys: checked forms, and what two lists of globs have in common."""

from fnmatch import fnmatchcase

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from control_plane.keys.services.scopes import (
    NOTHING,
    checked_globs,
    checked_networks,
    checked_routes,
    intersect,
    is_within,
)

GLOBS = st.text(alphabet="ab*?", min_size=1, max_size=6)
NAMES = st.text(alphabet="ab", min_size=1, max_size=8)


def test_routes_come_in_the_contracts_order_once_each() -> None:
    assert checked_routes(["openai_chat", "anthropic_messages", "openai_chat"]) == ["anthropic_messages", "openai_chat"]


def test_an_unknown_route_is_named_with_those_there_are() -> None:
    with pytest.raises(ValidationError) as failure:
        checked_routes(["openai_chat", "chat"])
    assert "'chat' is no route; there are anthropic_messages" in str(failure.value)


def test_networks_are_written_in_one_form() -> None:
    assert checked_networks([" 10.0.0.0/8", "203.0.113.7", "2001:DB8::/32", "10.0.0.0/8"]) == [
        "10.0.0.0/8",
        "203.0.113.7/32",
        "2001:db8::/32",
    ]


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "office", "", "10.0.0.0/33", "1.2.3"])
def test_what_is_no_network_is_refused_with_what_would_be(wrong: str) -> None:
    with pytest.raises(ValidationError, match=r"Right: 10\.0\.0\.0/8"):
        checked_networks([wrong])


@pytest.mark.parametrize("wrong", [[""], ["a" * 201], ["a\x00b"], ["a"] * 201])
def test_globs_have_bounds(wrong: list[str]) -> None:
    with pytest.raises(ValidationError):
        checked_globs(wrong)


@pytest.mark.parametrize(
    ("glob", "limits", "expected"),
    [
        ("claude-haiku-4-5", ["claude-haiku-*"], True),
        ("claude-haiku-*", ["claude-haiku-*"], True),
        ("claude-*", ["claude-haiku-*"], False),
        ("*", ["*"], True),
        ("a*c", ["a?c"], False),
        ("a?c", ["a?c"], True),
        ("abc", ["a?c"], True),
        ("gpt-5[1]", ["gpt-5[1]"], True),
    ],
)
def test_within(glob: str, limits: list[str], expected: bool) -> None:
    assert is_within(glob, limits) is expected


@given(GLOBS, GLOBS, NAMES)
def test_a_glob_within_a_limit_takes_in_nothing_that_the_limit_does_not(glob: str, limit: str, name: str) -> None:
    if is_within(glob, [limit]) and fnmatchcase(name, glob):
        assert fnmatchcase(name, limit)


@given(st.lists(GLOBS, max_size=3), st.lists(GLOBS, max_size=3), NAMES)
def test_the_intersection_never_lets_through_what_one_side_does_not(
    globs: list[str], limits: list[str], name: str
) -> None:
    def lets_through(some: list[str]) -> bool:
        return not some or any(fnmatchcase(name, each) for each in some)

    if lets_through(intersect(globs, limits)):
        assert lets_through(globs)
        assert lets_through(limits)


def test_nothing_in_common_is_a_list_that_no_name_fits() -> None:
    assert intersect(["gpt-*"], ["claude-*"]) == list(NOTHING)
    assert intersect([], ["claude-*"]) == ["claude-*"]
    assert intersect(["gpt-*"], []) == ["gpt-*"]
