import pytest

from control_plane.onboarding.recipes.model_choice import ClaudeSlots, claude_slots, newest, preferred, small
from control_plane.onboarding.recipes.reachability import is_public


def test_each_slot_takes_the_newest_of_its_size() -> None:
    names = ("claude-opus-4-6", "claude-opus-4-8", "claude-sonnet-4-5-20250929", "claude-sonnet-5", "claude-haiku-4-5")
    assert claude_slots(names) == ClaudeSlots("claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5")


def test_a_size_nobody_offers_stays_empty() -> None:
    assert claude_slots(("claude-haiku-4-5",)) == ClaudeSlots(None, None, "claude-haiku-4-5")


def test_a_date_in_a_name_is_no_version() -> None:
    assert newest(("claude-sonnet-4-20250514", "claude-sonnet-4-6")) == "claude-sonnet-4-6"


def test_the_short_name_wins_over_the_dated_one() -> None:
    assert newest(("claude-sonnet-4-6-20260101", "claude-sonnet-4-6")) == "claude-sonnet-4-6"


def test_the_provider_in_front_of_a_name_is_no_version() -> None:
    assert newest(("account9/gpt-5.1", "gpt-5.4")) == "gpt-5.4"


def test_a_full_size_model_is_preferred() -> None:
    assert preferred(("gpt-5.4-mini", "gpt-5.1"), family="gpt") == "gpt-5.1"
    assert preferred(("gpt-5.4-mini",), family="gpt") == "gpt-5.4-mini"
    assert preferred(("house-model",), family="gpt") == "house-model"
    assert preferred((), family="gpt") is None


def test_the_small_model_is_told_by_its_name() -> None:
    assert small(("gpt-5.1", "gpt-5.1-mini")) == "gpt-5.1-mini"
    assert small(("gpt-5.1",)) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://ai.example.com", True),
        ("https://8.8.8.8", True),
        ("http://127.0.0.1:8080", False),
        ("http://localhost:8080", False),
        ("https://10.1.2.3", False),
        ("https://[fd00::1]", False),
        ("https://gateway", False),
        ("https://ai.corp", False),
        ("https://ai.example.internal", False),
        ("", False),
    ],
)
def test_an_address_is_public_as_far_as_its_text_tells(address: str, expected: bool) -> None:
    assert is_public(address) is expected
