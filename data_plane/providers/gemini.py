"""Google's Gemini API (AI Studio keys)."""

from data_plane.providers.provider import Credential, Provider

PROVIDER = Provider(
    vendor="gemini",
    title="Google Gemini",
    address="https://generativelanguage.googleapis.com",
    credentials={"gemini_content": Credential.X_GOOG_API_KEY},
    bearer_prefixes=("ya29.",),
)
