"""The protocols a key may be limited to: what clients speak on the gateway port, by the names events carry."""

ANTHROPIC_MESSAGES = "anthropic_messages"
OPENAI_CHAT = "openai_chat"
OPENAI_RESPONSES = "openai_responses"
OPENAI_EMBEDDINGS = "openai_embeddings"
GEMINI_CONTENT = "gemini_content"

ROUTES = (ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, OPENAI_EMBEDDINGS, GEMINI_CONTENT)
