"""Any server that speaks OpenAI's protocols: vLLM, SGLang, llama.cpp, Ollama, another gateway.

An account may also list other protocols its server speaks; these take the credential as a bearer, but for Gemini.
"""

from data_plane.providers.provider import Credential, Provider

PROVIDER = Provider(
    vendor="openai_compatible",
    title="OpenAI-compatible server",
    address="",
    credentials={
        "openai_chat": Credential.BEARER,
        "openai_responses": Credential.BEARER,
        "openai_embeddings": Credential.BEARER,
    },
)
