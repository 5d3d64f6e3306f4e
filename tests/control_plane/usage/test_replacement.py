"""Which row of an attempt stands."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.usage.entries import LedgerRow
from control_plane.usage.replacement import additions, standing
from tests.control_plane.usage.events import a_row

ESTIMATE = a_row(kind="estimated", cost_nano_usd=1, output=7)
COUNT = a_row(kind="counted", cost_nano_usd=2, output=20)
FINAL = a_row(kind="final", cost_nano_usd=3, output=50)
CORRECTED = a_row(kind="final", revision=1, cost_nano_usd=4, output=51)
OTHER = a_row(2, kind="estimated", cost_nano_usd=100)


def write(ledger: list[LedgerRow], arrived: list[LedgerRow]) -> None:
    added = additions(arrived, standing(ledger))
    assert not {row.key for row in added} & {row.key for row in ledger}
    ledger.extend(added)


def test_a_final_takes_the_place_of_an_estimate() -> None:
    ledger: list[LedgerRow] = []
    write(ledger, [ESTIMATE])
    write(ledger, [FINAL])

    assert [(row.kind, row.cost_nano_usd) for row in ledger] == [("estimated", 1), ("final", 3), ("reversal", -1)]


def test_an_estimate_that_comes_after_the_final_changes_nothing() -> None:
    ledger: list[LedgerRow] = []
    write(ledger, [FINAL])
    write(ledger, [ESTIMATE])

    assert ledger == [FINAL]


def test_both_in_one_batch_write_the_final_alone() -> None:
    ledger: list[LedgerRow] = []
    write(ledger, [ESTIMATE, FINAL])

    assert ledger == [FINAL]


def test_every_order_sums_to_the_surest_row() -> None:
    for order in permutations([ESTIMATE, COUNT, FINAL, CORRECTED]):
        ledger: list[LedgerRow] = []
        for row in order:
            write(ledger, [row])
        assert sum(row.cost_nano_usd for row in ledger) == 4
        assert sum(row.output for row in ledger) == 51
        assert sum(row.sign for row in ledger) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([ESTIMATE, COUNT, FINAL, OTHER]), max_size=4), max_size=6))
def test_duplicates_and_batches_of_any_shape_sum_to_the_surest_rows(batches: list[list[LedgerRow]]) -> None:
    ledger: list[LedgerRow] = []
    for batch in batches:
        write(ledger, batch)

    surest = standing([row for batch in batches for row in batch])
    assert sum(row.cost_nano_usd for row in ledger) == sum(row.cost_nano_usd for row in surest.values())
    assert sum(row.sign for row in ledger) == len(surest)
