"""The closed list of refusals."""

import re

import pytest

from switchyard_contract.reason import REASON_BY_CODE, Reason

PUBLISHED = {
    "unauthenticated", "key_revoked", "key_expired", "policy_pending", "organization_disabled", "model_not_allowed",
    "tool_not_allowed", "scope_not_allowed", "guardrail_blocked", "rate_limited", "concurrency_limited",
    "budget_exceeded", "session_cap", "retry_cap", "request_invalid", "request_too_large", "unpriced_model",
    "no_target", "upstream_failed", "upstream_truncated", "draining", "counters_unavailable", "spool_unavailable",
}  # fmt: skip
"""Callers and dashboards depend on these words: one may be added, none changed."""


def test_the_list_holds_what_was_published() -> None:
    assert {reason.code for reason in Reason} == PUBLISHED
    assert {code: reason.code for code, reason in REASON_BY_CODE.items()} == {code: code for code in PUBLISHED}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_a_reason_is_complete(reason: Reason) -> None:
    assert reason.name.lower() == reason.code
    assert re.fullmatch(r"[A-Z].*\.", reason.sentence)
    assert 400 <= reason.http_status < 600


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_only_what_waiting_helps_has_a_status_that_clients_repeat(reason: Reason) -> None:
    assert reason.waiting_helps is (reason.http_status in (429, 502, 503))
