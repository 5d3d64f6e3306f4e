"""Error answers in each protocol's own shape."""

from deploy.simulated_provider.ask import Json, ProtocolName

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_TYPES: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("tokens", "rate_limit_exceeded"),
    503: ("server_error", "server_is_overloaded"),
    529: ("server_error", "server_is_overloaded"),
}
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_MESSAGES = {
    400: "The simulated provider was asked to find this request invalid.",
    401: "The simulated provider was asked to refuse this credential.",
    402: "The simulated provider was asked to find this account's credit used up.",
    403: "The simulated provider was asked to forbid this.",
    429: "The simulated provider was asked to say that the rate limit is reached.",
    529: "Overloaded",
}


def error_body(
    protocol: ProtocolName,
    status: int,
    request_id: str,
    message: str = "",
    *,
    parameter: str | None = None,
    retry_after_s: int = 0,
) -> Json:
    """Write an error as the provider of that protocol would; without a message, one is chosen by status."""
    text = message or _MESSAGES.get(status, "The simulated provider was asked to fail.")
    match protocol:
        case "anthropic_messages":
            kind = _ANTHROPIC_TYPES.get(status, "api_error")
            return {"type": "error", "error": {"type": kind, "message": text}, "request_id": request_id}
        case "openai_chat" | "openai_responses" | "openai_embeddings":
            kind, code = _OPENAI_TYPES.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
            return {"error": {"message": text, "type": kind, "param": parameter, "code": code}}
        case "gemini_content":
            error: Json = {"code": status, "message": text, "status": _gemini_status(status)}
            if status == 429:
                error["details"] = [
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after_s}s"}
                ]
            return {"error": error}


def _gemini_status(status: int) -> str:
    return _GEMINI_STATUSES.get(status, "INTERNAL" if status >= 500 else "FAILED_PRECONDITION")


def error_headers(status: int, retry_after_s: int) -> dict[str, str]:
    """Return the headers that tell a client when to come back."""
    return {"retry-after": str(retry_after_s)} if status in (429, 503, 529) else {}
