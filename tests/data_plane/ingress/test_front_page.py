"""The gateway's root."""

import msgspec

from data_plane.ingress.front_page import answer_front_page
from data_plane.policy.snapshot import NO_POLICY
from tests.data_plane.policy.builders import a_policy, a_policy_shard


def test_addresses_are_told_where_all_have_the_same_ones() -> None:
    policy = a_policy(
        policy=a_policy_shard(gateway_public_url="https://ai.example/", console_url="https://console.example")
    )
    page = msgspec.json.decode(bytes(answer_front_page(policy, b"application/json").body or b""))
    assert page["base_urls"] == {
        "anthropic": "https://ai.example",
        "openai": "https://ai.example/v1",
        "gemini": "https://ai.example",
    }
    assert page["console"] == "https://console.example"
    text = bytes(answer_front_page(policy, b"text/html,*/*").body or b"").decode()
    assert "openai     https://ai.example/v1\n" in text
    assert "set up: https://console.example\n" in text
    # Nobody who has no key learns who is served here.
    assert "Acme" not in text


def test_without_a_policy_it_says_how_addresses_are_made() -> None:
    answer = answer_front_page(NO_POLICY, None)
    text = bytes(answer.body or b"").decode()
    assert "this address, followed by" in text
    assert "openai     /v1\n" in text
    assert "whoever runs this" in text
    assert (answer.content_type, answer.headers["x-content-type-options"]) == ("text/plain", "nosniff")
