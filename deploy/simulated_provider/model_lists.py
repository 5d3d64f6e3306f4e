"""The models on offer, in three shapes. Any other name works as well; these are for pickers and demos."""

from deploy.simulated_provider.ask import Json

_CREATED = "2026-09-22T00:00:00Z"
_CREATED_S = 1_790_035_200

ANTHROPIC_MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-sonnet-4-6", "claude-haiku-4-5", "sim-text-20")
OPENAI_MODELS = ("gpt-6-sol", "gpt-5.6-sol", "gpt-5.2", "gpt-4.1-mini", "text-embedding-3-small", "sim-text-20")
GEMINI_MODELS = ("gemini-3.8-flash", "gemini-2.5-pro", "gemini-2.5-flash", "sim-text-20")


def anthropic_model(model: str) -> Json:
    return {
        "type": "model",
        "id": model,
        "display_name": model.replace("-", " ").title(),
        "created_at": _CREATED,
        "lifecycle": "active",
    }


def anthropic_list() -> Json:
    return {
        "data": [anthropic_model(model) for model in ANTHROPIC_MODELS],
        "has_more": False,
        "first_id": ANTHROPIC_MODELS[0],
        "last_id": ANTHROPIC_MODELS[-1],
    }


def openai_model(model: str) -> Json:
    return {"id": model, "object": "model", "created": _CREATED_S, "owned_by": "simulated"}


def openai_list() -> Json:
    return {"object": "list", "data": [openai_model(model) for model in OPENAI_MODELS]}


def gemini_model(model: str) -> Json:
    return {
        "name": f"models/{model}",
        "version": "1",
        "displayName": model.replace("-", " ").title(),
        "description": "A model of the simulated provider.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }


def gemini_list() -> Json:
    return {"models": [gemini_model(model) for model in GEMINI_MODELS]}
