from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from data_plane.conversation.tally import Tally
from data_plane.exchange.settlement import price_estimate, price_tally
from data_plane.exchange.stages import Admission
from data_plane.policy.decision import Destination
from data_plane.policy.routing import resolve
from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.policy.builders import NOW_MS, policy_and_caller

POLICY, CALLER = policy_and_caller(
    list_prices=[
        pb.PriceRow(
            id="p1",
            model="gpt-5.1",
            rates=pb.Rates(input=1_250_001, output=10_000_003),
            bands=[pb.PriceBand(from_prompt_tokens=200_000, rates=pb.Rates(input=2_500_001, output=15_000_007))],
        )
    ]
)
DESTINATION = resolve(POLICY, CALLER, "gpt-5.1", "openai_chat")
assert isinstance(DESTINATION, Destination)
# All of an admission that pricing looks at.
ADMISSION = cast(Admission, SimpleNamespace(policy=POLICY, caller=CALLER, destination=DESTINATION))


@given(input_fresh=st.integers(0, 2_000_000), output=st.integers(0, 2_000_000))
def test_an_estimate_costs_what_the_same_tokens_would(input_fresh: int, output: int) -> None:
    estimated = price_estimate(ADMISSION, input_fresh, output, NOW_MS)
    billed = price_tally(ADMISSION, Tally(tokens=TokenCounts(input_fresh=input_fresh, output=output)), NOW_MS)
    assert estimated is not None
    assert billed is not None
    assert (estimated.amount, estimated.price_id) == (billed.amount, billed.price_id)
