"""What an event says of units, passes of other models, savings and borrowed prices."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from data_plane.conversation.tally import PartTally, Tally
from data_plane.exchange.event_parts import billed_besides_part
from data_plane.exchange.settlement import Charge, price_tally
from data_plane.exchange.stages import Admission
from data_plane.policy.decision import Destination
from data_plane.policy.routing import resolve
from data_plane.usage.event_bytes import saved_part
from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from tests.data_plane.policy.builders import CLAUDE_MAIN, NOW_MS, a_policy_shard, a_provider, policy_and_caller

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"


def a_price(model: str, rate: int, **changes: Any) -> pb.PriceRow:
    return pb.PriceRow(
        **{"id": model, "model": model, "rates": pb.Rates(input=rate * 10**6, output=rate * 10**6), **changes}
    )


def an_admission(model: str = OPUS, *, own: bool = True, passthrough: bool = False, **shard: Any) -> Admission:
    policy, caller = policy_and_caller(
        list_prices=[a_price(OPUS, 50), a_price(HAIKU, 10)],
        policy=a_policy_shard(
            providers=[a_provider(CLAUDE_MAIN, models=["claude-*"], passthrough_caller=passthrough)],
            prices=[a_price(OPUS, 40, id="own", is_override=True)] if own else [],
            models=[],
            virtual_models=[],
            **shard,
        ),
    )
    destination = resolve(policy, caller, model, "anthropic_messages")
    assert isinstance(destination, Destination)
    # All of an admission that pricing looks at.
    return cast(Admission, SimpleNamespace(policy=policy, caller=caller, destination=destination))


def charged(admission: Admission, tally: Tally) -> Charge:
    charge = price_tally(admission, tally, NOW_MS)
    assert charge is not None
    return charge


TALLY = Tally(tokens=TokenCounts(input_fresh=100, output=10))


def test_passes_are_on_the_event_with_their_tokens_and_costs() -> None:
    part = PartTally(HAIKU, TokenCounts(input_fresh=40, output=5), (("input_image", 3),))
    tally = Tally(tokens=TokenCounts(input_fresh=140, output=15), units=(("web_fetch", 2),), parts=(part,))
    charge = charged(an_admission(), tally)

    event = usage_pb2.UsageEvent.FromString(billed_besides_part(tally, charge))

    assert charge.amount == 110 * 40 + 45 * 10
    assert [(unit.kind, unit.count) for unit in event.units] == [("web_fetch", 2)]
    (told,) = event.parts
    assert (told.model, told.cost_nano_usd, told.price_version) == (HAIKU, 450, HAIKU)
    assert (told.tokens.input_fresh, told.tokens.output, told.units[0].count) == (40, 5, 3)


def test_a_pass_without_a_price_costs_as_much_as_the_model_it_helped() -> None:
    part = PartTally("claude-zeta", TokenCounts(output=5))
    charge = charged(an_admission(unknown_models="refuse"), Tally(tokens=TokenCounts(output=15), parts=(part,)))

    assert charge.amount == 15 * 40


def test_a_subscription_is_charged_what_the_list_asks() -> None:
    shard = {"discounts": [pb.Discount(id="d", model_glob="*", per_mille=500)]}

    assert charged(an_admission(**shard), TALLY).amount == 110 * 40
    assert charged(an_admission(own=False, **shard), TALLY).amount == 110 * 25
    assert charged(an_admission(passthrough=True, **shard), TALLY).amount == 110 * 50


def test_a_subscription_to_a_model_without_a_price_is_shown_at_the_dearest() -> None:
    charge = charged(an_admission("claude-zeta", passthrough=True, unknown_models="refuse"), TALLY)

    assert (charge.amount, charge.note) == (110 * 50, "dearest")


def test_what_answered_under_an_unknown_name_costs_what_was_asked_for() -> None:
    charge = charged(an_admission(HAIKU), Tally(tokens=TokenCounts(output=10), model="claude-haiku-4-5-internal"))

    assert (charge.amount, charge.note) == (100, "")


@pytest.mark.parametrize("saved", [1, 300, 10**15, -1, -525_000, -(10**15), 0])
@pytest.mark.parametrize("note", ["", "dearest"])
def test_savings_are_written_with_their_sign(saved: int, note: str) -> None:
    event = usage_pb2.UsageEvent.FromString(saved_part(saved, note))

    assert (event.saved_cache_nano_usd, event.price_note) == (saved, note)
