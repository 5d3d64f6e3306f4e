"""A booked sum taken apart into meters: nothing is lost, and every price is what was asked for one."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from control_plane.statements.meters import Meter, Priced, nano_of, split, usd_for_one
from switchyard_contract.price_choice import Discount, discounted
from switchyard_contract.pricing import Band, Billed, Price, Rates, Tier, amount_of
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import KINDS, TokenCounts

STEP = 200_000
RATES = Rates(
    input=3_000_000_000, cache_read=300_000_000, cache_write_5m=3_750_000_000, output=15_000_000_000,
    input_audio=9_000_000_000,
)  # fmt: skip
PRICE = Price(
    id="list:sonnet",
    vendor="anthropic",
    model="sonnet",
    rates=RATES,
    bands=(Band(STEP, Rates(input=6_000_000_000, output=22_500_000_001)),),
    tiers=(Tier("batch", 500),),
    per_web_search=NanoUsd(10_000_000),
    us_geo_per_mille=1100,
    unit_nano_usd={"code_session": 30_000_000},
)
COUNTS = st.lists(st.integers(0, 5_000), min_size=len(KINDS), max_size=len(KINDS))


def take_apart(requests: list[list[int]], price: Price = PRICE, *, tier: str = "", geo: str = "") -> tuple[Meter, ...]:
    booked = sum(amount_of(TokenCounts(*one), price, Billed(1, tier, geo)) for one in requests)
    return split(
        [sum(column) for column in zip(*requests, strict=True)],
        {},
        len(requests),
        priced=Priced(price, PRICE),
        band=0,
        tier=tier,
        geo=geo,
        booked=booked,
        rows=len(requests),
    )


@given(
    st.lists(COUNTS, min_size=1, max_size=8),
    st.sampled_from(("", "batch")),
    st.sampled_from(("", "us")),
    st.integers(1, 1000),
)
def test_meters_add_up_to_what_was_booked(requests: list[list[int]], tier: str, geo: str, per_mille: int) -> None:
    price = discounted(PRICE, Discount("contract", "", "*", per_mille))
    meters = take_apart(requests, price, tier=tier, geo=geo)
    booked = sum(amount_of(TokenCounts(*one), price, Billed(1, tier, geo)) for one in requests)
    asked = sum(amount_of(TokenCounts(*one), PRICE, Billed(1, tier, geo)) for one in requests)
    slack = len(requests) + len(meters)

    assert sum(meter.billed_nano_usd for meter in meters) == booked
    assert abs(sum(meter.contracted_nano_usd for meter in meters) - booked) <= slack
    assert abs(sum(meter.list_nano_usd for meter in meters) - asked) <= slack
    for meter in meters:
        assert meter.price is not None
        assert meter.contracted_nano_usd == nano_of(meter.price * meter.quantity)


def test_a_long_prompt_has_the_rates_of_its_step() -> None:
    tokens = [250_000, *[0] * 7, 100, 0]
    booked = amount_of(TokenCounts(*tokens), PRICE)
    meters = split(tokens, {}, 0, priced=Priced(PRICE, PRICE), band=STEP, tier="", geo="", booked=booked, rows=1)
    assert [(meter.label, meter.quantity, meter.list_price) for meter in meters] == [
        ("Input tokens", 250_000, Fraction(6000)),
        ("Output tokens", 100, Fraction(22_500_000_001, 1_000_000)),
    ]
    assert usd_for_one(Fraction(22_500_000_001, 1_000_000)) == "0.000022500000001"


def test_tokens_that_are_told_apart_are_in_one_meter_and_pieces_have_their_fee() -> None:
    tokens, units = TokenCounts(input_fresh=1_000, output=10), (("code_session", 2), ("input_audio", 400))
    booked = amount_of(tokens, PRICE, Billed(0, "", "", units))
    meters = split(
        list(tokens), dict(units), 0, priced=Priced(PRICE, PRICE), band=0, tier="", geo="", booked=booked, rows=1
    )
    assert [(meter.kind, meter.quantity, meter.unit, meter.billed_nano_usd) for meter in meters] == [
        ("input_fresh", 600, "Tokens", 1_800_000),
        ("output", 10, "Tokens", 150_000),
        ("input_audio", 400, "Tokens", 3_600_000),
        ("code_session", 2, "Pieces", 60_000_000),
    ]


def test_a_sum_that_the_price_does_not_explain_has_one_meter_without_prices() -> None:
    (meter,) = split([100, *[0] * 9], {}, 0, priced=Priced(PRICE, PRICE), band=0, tier="", geo="", booked=5, rows=1)
    assert (meter.quantity, meter.price, meter.billed_nano_usd, meter.list_nano_usd) == (100, None, 5, 5)
    (orphan,) = split([0] * 10, {}, 0, priced=None, band=0, tier="", geo="", booked=7, rows=1)
    assert (orphan.quantity, orphan.billed_nano_usd) == (0, 7)
    assert split([0] * 10, {}, 0, priced=None, band=0, tier="", geo="", booked=0, rows=2) == ()
