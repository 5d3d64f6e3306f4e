from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from data_plane.conversation.tally import Tally
from data_plane.exchange.settlement import price_estimate, price_tally
from data_plane.exchange.stages import Admission
from data_plane.policy.decision import Destination
from data_plane.policy.routing import price_for, resolve
from switchyard_contract.pricing import Billed, amount_of
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
        ),
        pb.PriceRow(
            id="p2",
            model="gpt-5.1-tiered",
            rates=pb.Rates(input=1_250_001, output=10_000_003),
            tiers=[pb.TierMultiplier(tier="flex", per_mille=500)],
        ),
    ]
)
DESTINATION = resolve(POLICY, CALLER, "gpt-5.1", "openai_chat")
assert isinstance(DESTINATION, Destination)
# All of an admission that pricing looks at.
ADMISSION = cast(Admission, SimpleNamespace(policy=POLICY, caller=CALLER, destination=DESTINATION))


@given(input_fresh=st.integers(0, 2_000_000), output=st.integers(0, 2_000_000))
def test_what_is_plain_costs_what_the_price_book_says(input_fresh: int, output: int) -> None:
    tokens = TokenCounts(input_fresh=input_fresh, output=output)
    price = price_for(POLICY, DESTINATION.organization_id, DESTINATION.vendor, DESTINATION.model, NOW_MS)
    assert price is not None
    for charge in (
        price_estimate(ADMISSION, input_fresh, output, NOW_MS),
        price_tally(ADMISSION, Tally(tokens=tokens), NOW_MS),
    ):
        assert charge is not None
        assert (charge.amount, charge.price_id) == (amount_of(tokens, price), price.id)


@given(
    model=st.sampled_from(["gpt-5.1", "gpt-5.1-tiered"]),
    tier=st.sampled_from(["", "default", "flex"]),
    output=st.integers(0, 2_000_000),
)
def test_a_tier_counts_where_the_price_knows_it(model: str, tier: str, output: int) -> None:
    tokens = TokenCounts(input_fresh=1000, output=output)
    price = price_for(POLICY, DESTINATION.organization_id, DESTINATION.vendor, model, NOW_MS)
    assert price is not None
    charge = price_tally(ADMISSION, Tally(tokens=tokens, model=model, service_tier=tier), NOW_MS)
    assert charge is not None
    assert (charge.amount, charge.price_id) == (amount_of(tokens, price, Billed(service_tier=tier)), price.id)
