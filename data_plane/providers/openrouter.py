"""OpenRouter: an aggregator; model names are `publisher/model`."""

from data_plane.providers.provider import Credential, Provider

PROVIDER = Provider(
    vendor="openrouter",
    title="OpenRouter",
    address="https://openrouter.ai/api/v1",
    credentials={
        "openai_chat": Credential.BEARER,
        "openai_responses": Credential.BEARER,
        "openai_embeddings": Credential.BEARER,
        "anthropic_messages": Credential.BEARER,
    },
)
