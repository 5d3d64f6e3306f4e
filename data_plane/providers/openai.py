"""OpenAI."""

from data_plane.providers.provider import Credential, Provider

PROVIDER = Provider(
    vendor="openai",
    title="OpenAI",
    address="https://api.openai.com/v1",
    credentials={
        "openai_chat": Credential.BEARER,
        "openai_responses": Credential.BEARER,
        "openai_embeddings": Credential.BEARER,
    },
)
