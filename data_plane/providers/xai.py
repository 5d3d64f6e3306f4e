"""xAI: the OpenAI protocols at its own address."""

from data_plane.providers.provider import Credential, Provider

PROVIDER = Provider(
    vendor="xai",
    title="xAI",
    address="https://api.x.ai/v1",
    credentials={"openai_chat": Credential.BEARER, "openai_responses": Credential.BEARER},
)
