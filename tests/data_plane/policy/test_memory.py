"""What is remembered says the same as what is worked out."""

from data_plane.policy.decision import Destination, Refusal
from data_plane.policy.memory import LIMIT, remember
from data_plane.policy.routing import price_for, resolve
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.policy.builders import NOW_MS, ORG, a_policy, policy_and_caller


def test_a_wish_is_worked_out_once_per_policy() -> None:
    policy, caller = policy_and_caller()
    first = resolve(policy, caller, "gpt-5.1", "openai_chat")
    assert isinstance(first, Destination)
    assert resolve(policy, caller, "gpt-5.1", "openai_chat") is first


def test_what_one_key_may_ask_for_is_not_told_to_another() -> None:
    policy, caller = policy_and_caller(models=("claude-*",))
    _, other = policy_and_caller()
    assert isinstance(resolve(policy, other, "gpt-5.1", "openai_chat"), Destination)
    assert isinstance(resolve(policy, caller, "gpt-5.1", "openai_chat"), Refusal)


def test_a_price_changes_at_the_instant_its_row_says() -> None:
    rates = pb.Rates(input=1, output=1)
    policy = a_policy(
        list_prices=[
            pb.PriceRow(id="old", model="m", rates=rates, valid_to_ms=NOW_MS),
            pb.PriceRow(id="new", model="m", rates=rates, valid_from_ms=NOW_MS, valid_to_ms=NOW_MS + 10),
        ]
    )
    instants = (NOW_MS - 1, NOW_MS, NOW_MS + 9, NOW_MS + 10, NOW_MS - 1, NOW_MS)
    found = [price_for(policy, ORG, "openai", "m", at_ms) for at_ms in instants]
    assert [price.id if price else None for price in found] == ["old", "new", "new", None, "old", "new"]


def test_another_policy_remembers_nothing_and_equality_does_not_look_at_memory() -> None:
    policy, caller = policy_and_caller()
    other = a_policy()
    resolve(policy, caller, "gpt-5.1", "openai_chat")
    assert policy.memory.destinations
    assert not other.memory.destinations


def test_a_full_table_lets_go_of_the_oldest() -> None:
    table: dict[int, int] = {}
    for number in range(LIMIT + 2):
        remember(table, number, number)
    assert len(table) == LIMIT
    assert next(iter(table)) == 2
