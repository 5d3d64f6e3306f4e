"""Bytes pass unchanged in both directions."""

import pytest

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import DIALECTS, Dialect
from tests.gateway.conftest import Fleet


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("streams", [False, True])
def test_an_ask_is_answered(fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, streams: bool) -> None:
    answer = fleet.pod.call(
        "POST",
        dialect.target(dialect.model, streams=streams),
        dialect.headers(key, x_sim_marker=marker),
        dialect.body(dialect.model, streams=streams),
    )
    assert answer.status == 200, answer.text
    row = fleet.control.rows_of(key)[0]
    assert row.tokens.output > 0
