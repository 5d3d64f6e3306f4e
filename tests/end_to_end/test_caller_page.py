"""`GET /switchyard/v1/me` on a pod under rules, and the status bar that asks it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.remote.statusline import Options, status_line
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import ALERT, BLOCK, a_daily_budget, a_pace, when
from tests.end_to_end.ruled_pods import MODEL, SMALL, RuledPods, client_session, ruled_pods

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]
NOW_S = 1_795_388_400.0


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuledPods]:
    with ruled_pods(tmp_path_factory.mktemp("caller-page"), count=1) as running:
        yield running


def page(pods: RuledPods, key: KeyToken, query: str = "") -> dict[str, Any]:
    answer = pods.pods[0].call("GET", f"/switchyard/v1/me{query}", [("authorization", f"Bearer {key.text}")])
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_what_was_spent_is_told_with_its_stage_and_the_bar_shows_it(pods: RuledPods, tmp_path: Path) -> None:
    pods.obey(
        snapshot_pb2.PolicyShard(
            budgets=[
                a_daily_budget("daily", 0.12, per=["key"], stages=[ALERT, BLOCK]),
                a_daily_budget("small-only", 5.0, when=when(models=[SMALL])),
            ],
            rate_limits=[a_pace("steady", 60, per=["key"])],
        )
    )
    key = pods.mint()
    before = page(pods, key)
    async with client_session() as session:
        served = await pods.call(session, key, max_tokens=100)
    assert served.status == 200
    pods.pods[0].settle()

    after = page(pods, key)
    spent = {row["name"]: row["spent_usd"] for row in after["budgets"]}
    assert {row["name"]: row["spent_usd"] for row in before["budgets"]} == dict.fromkeys(spent, "0.000000000")
    assert spent == {"daily": "0.100000000", "small-only": "0.000000000"}
    daily, small = after["budgets"]
    assert (daily["percent"], daily["stage"], daily["left_usd"], daily["reserved_usd"]) == (
        83,
        "alert",
        "0.020000000",
        "0.000000000",
    )
    assert small["models"] == [SMALL]
    [steady] = after["rate_limits"]
    assert (steady["unit"], steady["limit"], steady["left"] >= 59) == ("requests", 60, True)
    assert [row["name"] for row in page(pods, key, f"?model={MODEL}")["budgets"]] == ["daily"]

    environment = {
        "HOME": str(tmp_path),
        "ANTHROPIC_BASE_URL": pods.pods[0].url,
        "ANTHROPIC_AUTH_TOKEN": key.text,
        "NO_COLOR": "1",
    }
    said = json.dumps({"session_id": "s", "model": {"id": MODEL, "display_name": "Penny"}})
    assert status_line(said, Options(), environment, NOW_S) == (
        "$0.02 of $0.12 a day left (daily) · Penny · running low"
    )


def test_a_key_sees_its_own_counters_only(pods: RuledPods) -> None:
    pods.obey(snapshot_pb2.PolicyShard(budgets=[a_daily_budget("daily", 0.12, per=["key"], stages=[ALERT, BLOCK])]))

    assert [row["spent_usd"] for row in page(pods, pods.mint())["budgets"]] == ["0.000000000"]
    assert pods.pods[0].call("GET", "/switchyard/v1/me").status == 401
