"""Anthropic: the Messages API at its own address, or at one that serves the same (Foundry, a proxy)."""

from data_plane.providers.provider import Credential, Provider

PROVIDER = Provider(
    vendor="anthropic",
    title="Anthropic",
    address="https://api.anthropic.com",
    credentials={"anthropic_messages": Credential.X_API_KEY},
    # OAuth tokens of a subscription are refused as x-api-key.
    bearer_prefixes=("sk-ant-oat",),
)
