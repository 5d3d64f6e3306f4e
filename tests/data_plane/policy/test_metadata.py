from dataclasses import replace
from typing import Any

import pytest
import re2

from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.metadata import tags_for_rules
from data_plane.policy.rules import MetadataKey
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import usage_pb2 as usage

ADA = Caller(
    "org", "Acme", "KEY1", "laptop", "sypat_KEY", "ada", "user", "ada@acme.example", "t1", "core",
    tags={"environment": "prod"}, contact="platform@acme.example",
)  # fmt: skip


def a_key(key: str = "project", **changes: Any) -> MetadataKey:
    plain = MetadataKey(key, False, frozenset(), None, "", False)
    return replace(plain, **changes)


def test_what_an_admin_wrote_wins_over_what_a_request_says() -> None:
    tags = tags_for_rules((), ADA, {"environment": "dev", "project": "x"})

    assert tags == {"environment": "prod", "project": "x"}


@pytest.mark.parametrize("value", ["x-1", "x-22"])
def test_a_value_that_is_allowed_counts_as_itself(value: str) -> None:
    key = a_key(pattern=re2.compile(r"x-\d+"), pattern_text=r"x-\d+")

    assert tags_for_rules((key,), ADA, {"project": value}) == {"environment": "prod", "project": value}


@pytest.mark.parametrize("value", ["y", "", "X", "x-1\n", "\ud800"])
def test_one_that_is_not_counts_as_other_with_all_the_rest_of_them(value: str) -> None:
    keys = (
        a_key(values=frozenset({"x", "x-1"}), counts_unknown_as_other=True),
        a_key(pattern=re2.compile("x.?1?"), pattern_text="x.?1?", counts_unknown_as_other=True),
    )

    for key in keys:
        assert tags_for_rules((key,), ADA, {"project": value}) == {"environment": "prod", "project": "other"}


def test_or_it_is_refused_naming_the_key_and_what_may_stand_there() -> None:
    refusal = tags_for_rules((a_key(values=frozenset({"x", "y"})),), ADA, {"project": "z"})

    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REQUEST_INVALID
    assert refusal.message == (
        "The metadata “project” may not be “z” (from x-switchyard-metadata). "
        'Send the header x-switchyard-metadata: {"project": "…"} with one of x, y. '
        "Ask platform@acme.example for other values."
    )
    seen = usage.UsageEvent.FromString(refusal.rules_seen).rules.rules
    assert [(each.kind, each.id, each.matched) for each in seen] == [("metadata", "project", True)]


def test_a_required_key_that_is_missing_is_refused() -> None:
    refusal = tags_for_rules((a_key(is_required=True, pattern_text="x.*", pattern=re2.compile("x.*")),), ADA, {})

    assert isinstance(refusal, Refusal)
    assert refusal.message.startswith("This request needs the metadata “project”. Send the header")
    assert "text like x.*" in refusal.message


def test_a_key_that_is_not_required_may_be_missing() -> None:
    assert tags_for_rules((a_key(values=frozenset({"x"})),), ADA, {}) == {"environment": "prod"}


def test_a_tag_of_the_key_itself_is_judged_too_and_named_as_such() -> None:
    refusal = tags_for_rules((a_key("environment", values=frozenset({"dev"})),), ADA, {"environment": "dev"})

    assert isinstance(refusal, Refusal)
    assert "may not be “prod” (from the key laptop)" in refusal.message
