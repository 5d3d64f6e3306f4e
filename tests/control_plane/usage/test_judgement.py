"""Which events are believed."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from control_plane.usage.entries import LedgerRow
from control_plane.usage.judgement import Oddity, judge
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.events import HORIZON, NOW, ORGANIZATION, an_event, an_exchange_id


def test_an_event_in_order_becomes_a_row_of_its_admission_day() -> None:
    row = judge(an_event(), HORIZON)

    assert isinstance(row, LedgerRow)
    assert (row.day, row.kind, row.outcome, row.organization_id) == (
        date(2026, 11, 21),
        "final",
        "served",
        ORGANIZATION,
    )
    assert (row.input_fresh, row.cache_read, row.output, row.cost_nano_usd) == (100, 1000, 50, 3_000_000)
    assert json.loads(row.tags) == {"environment": "dev"}
    assert row.started_at == NOW


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exchange_id": ""}, "id_missing"),
        ({"exchange_id": "short"}, "id_malformed"),
        ({"exchange_id": "8" + "0" * 25}, "id_malformed"),
        ({"exchange_id": "U" * 26}, "id_malformed"),
        ({"exchange_id": an_exchange_id(1, NOW + timedelta(minutes=6))}, "time_ahead"),
        ({"exchange_id": an_exchange_id(1, NOW - timedelta(days=397))}, "time_too_old"),
        ({"started_at_ms": int((NOW + timedelta(hours=1)).timestamp() * 1000)}, "time_ahead"),
        ({"started_at_ms": 0}, "time_too_old"),
        ({"organization_id": ""}, "id_missing"),
        ({"organization_id": "none"}, "id_malformed"),
        ({"organization_id": "ff" * 16}, "organization_unknown"),
        ({"team_id": "platform"}, "id_malformed"),
        ({"kind": usage_pb2.USAGE_KIND_UNSPECIFIED}, "kind_unknown"),
        ({"kind": 99}, "kind_unknown"),
        ({"outcome": usage_pb2.OUTCOME_UNSPECIFIED}, "kind_unknown"),
        ({"cost_nano_usd": -1}, "number_absurd"),
        ({"cost_nano_usd": 10**15 + 1}, "number_absurd"),
        ({"duration_us": -5}, "number_absurd"),
        ({"tokens": usage_pb2.Tokens(reasoning=2**63)}, "number_absurd"),
        ({"response_bytes": 2**64 - 1}, "number_absurd"),
        ({"policy_version": 2**64 - 1}, "number_absurd"),
    ],
)
def test_an_odd_event_is_named(changes: dict[str, Any], reason: str) -> None:
    verdict = judge(an_event(**changes), HORIZON)

    assert isinstance(verdict, Oddity)
    assert verdict.reason == reason


def test_an_event_four_minutes_ahead_is_believed() -> None:
    assert isinstance(judge(an_event(at=NOW + timedelta(minutes=4)), HORIZON), LedgerRow)


def test_text_that_postgresql_cannot_hold_is_mended_and_clipped() -> None:
    row = judge(an_event(error_text="a\x00b" + "x" * 5000, tags={"k\x00": "v" * 999}), HORIZON)

    assert isinstance(row, LedgerRow)
    assert row.error_text.startswith("a\ufffdb")
    assert len(row.error_text) == 2000
    assert json.loads(row.tags) == {"k\ufffd": "v" * 200}
