"""Where a name leads, and what is said when it leads nowhere."""

import pytest

from data_plane.policy.access import ListedModel, fits, may_use, models_for
from data_plane.policy.decision import Destination, Refusal
from data_plane.policy.routing import price_for, resolve
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.policy.builders import (
    CLAUDE_MAIN,
    NOW_MS,
    ORG,
    a_policy,
    a_policy_shard,
    a_provider,
    policy_and_caller,
)

MESSAGES, CHAT = "anthropic_messages", "openai_chat"


def lead(name: str, protocol: str = MESSAGES, models: tuple[str, ...] = ()) -> tuple[str, str]:
    policy, caller = policy_and_caller(models=models)
    found = resolve(policy, caller, name, protocol)
    assert isinstance(found, Destination), found
    return found.provider_name, found.model


def refuse(name: str, protocol: str = MESSAGES, models: tuple[str, ...] = ()) -> Refusal:
    policy, caller = policy_and_caller(models=models)
    found = resolve(policy, caller, name, protocol)
    assert isinstance(found, Refusal), found
    return found


def test_a_virtual_model_leads_to_its_target() -> None:
    assert lead("fast") == ("anthropic-main", "claude-haiku-4-5-20251001")


def test_a_full_name_leads_to_that_provider_with_slashes_and_dots_in_the_rest() -> None:
    assert lead("anthropic-main/claude-opus-5.5") == ("anthropic-main", "claude-opus-5.5")
    assert lead("router/meta/llama-4.1:free") == ("router", "meta/llama-4.1:free")


def test_a_plain_name_leads_to_the_one_provider_that_names_it() -> None:
    assert lead("gpt-5.1", CHAT) == ("openai-main", "gpt-5.1")
    assert lead("claude-sonnet-4-6") == ("anthropic-main", "claude-sonnet-4-6")


def test_a_plain_name_leads_to_a_glob_where_nobody_names_it() -> None:
    assert lead("mistral/large", CHAT) == ("router", "mistral/large")


def test_a_provider_that_does_not_speak_the_protocol_is_no_rival() -> None:
    assert lead("shared-1", MESSAGES) == ("router", "shared-1")


def test_a_name_that_several_serve_has_to_say_which() -> None:
    refusal = refuse("shared-1", CHAT)

    assert refusal.reason is Reason.NO_TARGET
    assert refusal.suggestions == ("openai-main/shared-1", "router/shared-1")
    assert "openai-main/shared-1" in refusal.message


def test_everything_about_the_destination_comes_from_its_provider() -> None:
    policy, caller = policy_and_caller()

    assert resolve(policy, caller, "claude-sonnet-4-6", MESSAGES) == Destination(
        provider_id=CLAUDE_MAIN,
        provider_name="anthropic-main",
        vendor="anthropic",
        account="acme-1",
        region="eu",
        base_url="https://api.example",
        model="claude-sonnet-4-6",
        passthrough_caller=False,
        credential=None,
        organization_id=ORG,
        connect_timeout_ms=5_000,
        first_byte_timeout_ms=600_000,
        idle_timeout_ms=300_000,
        allow_private=False,
        price=None,
    )


def test_an_unknown_name_is_answered_with_the_three_closest_this_key_may_use() -> None:
    policy, caller = policy_and_caller(
        policy=a_policy_shard(providers=[a_provider(models=["claude-sonnet-4-6"])], models=a_policy_shard().models[:1])
    )
    refusal = resolve(policy, caller, "claude-sonet-4.6", MESSAGES)

    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NO_TARGET
    assert refusal.suggestions == ("claude-sonnet-4-6", "fast")
    assert "claude-sonnet-4-6" in refusal.message
    assert "platform@acme.example" in refusal.message


def test_a_forbidden_name_is_answered_with_names_the_key_may_use_only() -> None:
    refusal = refuse("gpt-5.1", CHAT, models=("fast", "claude-*"))

    assert refusal.reason is Reason.MODEL_NOT_ALLOWED
    assert set(refusal.suggestions) == {"fast", "claude-sonnet-4-6"}


def test_an_allowed_virtual_model_may_lead_where_the_key_may_not_go_by_itself() -> None:
    assert lead("fast", models=("fast",)) == ("anthropic-main", "claude-haiku-4-5-20251001")
    assert refuse("claude-haiku-4-5-20251001", models=("fast",)).reason is Reason.MODEL_NOT_ALLOWED


def test_a_list_of_plain_names_holds_for_full_names_too_but_not_for_other_slashes() -> None:
    assert lead("anthropic-main/claude-opus-5", models=("claude-*",)) == ("anthropic-main", "claude-opus-5")
    policy, caller = policy_and_caller(models=("claude-*",))
    assert not may_use(policy, caller, "evil/claude-opus-5")


def test_the_wrong_path_is_named_together_with_the_right_one() -> None:
    refusal = refuse("gpt-5.1", MESSAGES)

    assert refusal.reason is Reason.NO_TARGET
    assert "/v1/chat/completions" in refusal.message
    assert "/v1/responses" in refusal.message


def test_a_very_long_name_is_not_repeated_in_full() -> None:
    policy, caller = policy_and_caller(policy=a_policy_shard(providers=[a_provider()], models=[]))
    refusal = resolve(policy, caller, "x" * 5000, MESSAGES)

    assert isinstance(refusal, Refusal)
    assert len(refusal.message) < 400


@pytest.mark.parametrize("name", ["", "/", "anthropic-main/", "/claude", "Fast", "fast "])
def test_names_that_name_nothing_lead_nowhere(name: str) -> None:
    policy, caller = policy_and_caller(policy=a_policy_shard(providers=[a_provider(models=["claude-*"])], models=[]))

    assert isinstance(resolve(policy, caller, name, MESSAGES), Refusal)


@pytest.mark.parametrize(
    ("glob", "name", "is_match"),
    [
        ("*", "anything/at.all", True),
        ("claude-*", "claude-opus", True),
        ("claude-*", "xclaude-opus", False),
        ("claude-*", "claude\n-x", False),
        ("gpt-?.1", "gpt-5.1", True),
        ("gpt-5.1", "gpt-5x1", False),
        ("a[b]", "ab", False),
        ("a[b]", "a[b]", True),
        ("*opus*", "claude-opus-5", True),
    ],
)
def test_globs_know_star_and_question_mark_and_nothing_else(glob: str, name: str, is_match: bool) -> None:
    assert fits((glob,), name) is is_match


def test_the_listing_shows_each_model_by_the_shortest_name_that_is_clear() -> None:
    policy, caller = policy_and_caller()

    listed = models_for(policy, caller)

    assert [model.id for model in listed] == [
        "claude-sonnet-4-6",
        "fast",
        "gpt-5.1",
        "openai-main/shared-1",
        "router/shared-1",
    ]
    assert listed[0] == ListedModel("claude-sonnet-4-6", "Claude Sonnet 4.6", NOW_MS, 200_000, 64_000)
    assert all(isinstance(resolve(policy, caller, model.id, "openai_chat"), Destination | Refusal) for model in listed)


def test_the_listing_holds_what_the_key_may_use_and_nothing_else() -> None:
    policy, caller = policy_and_caller(models=("fast", "gpt-*"))

    assert [model.id for model in models_for(policy, caller)] == ["fast", "gpt-5.1"]


def a_price(model: str, rate: int, **changes: object) -> pb.PriceRow:
    return pb.PriceRow(id=f"{model}-{rate}", model=model, rates=pb.Rates(input=rate), **changes)  # type: ignore[arg-type]


def test_prices_are_found_by_exact_name_then_undated_then_without_publisher() -> None:
    policy = a_policy(
        list_prices=[a_price("claude-haiku-4-5", 1), a_price("gpt-5.1-2025-11-13", 2), a_price("llama", 3)],
        policy=a_policy_shard(unknown_models="refuse"),
    )

    def found(model: str) -> str | None:
        price = price_for(policy, ORG, "anthropic", model, NOW_MS)
        return price.id if price is not None else None

    assert found("claude-haiku-4-5-20251001") == "claude-haiku-4-5-1"
    assert found("claude-haiku-4-5@20251001") == "claude-haiku-4-5-1"
    assert found("gpt-5.1-2025-11-13") == "gpt-5.1-2025-11-13-2"
    assert found("meta/llama") == "llama-3"
    assert found("models/llama") == "llama-3"
    assert found("claude-haiku-4") is None
    assert found("claude-haiku-4-5-2025") is None


def test_an_organization_s_own_price_wins_over_the_list_also_for_a_dated_name() -> None:
    policy = a_policy(list_prices=[a_price("m", 1)], policy=a_policy_shard(prices=[a_price("m", 2, is_override=True)]))

    own = price_for(policy, ORG, "anthropic", "m-20251001", NOW_MS)
    listed = price_for(policy, "f" * 32, "anthropic", "m", NOW_MS)

    assert own is not None
    assert listed is not None
    assert (own.id, listed.id) == ("m-2", "m-1")
