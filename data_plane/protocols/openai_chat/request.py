"""What the gateway needs of a chat request."""

from data_plane.protocols.body import read_fields, read_hints
from data_plane.protocols.codec import Body, RequestFacts, RequestHead, Splice
from data_plane.protocols.fields import Fields, InvalidRequest
from switchyard_contract.routes import OPENAI_CHAT

WATCHED = frozenset(
    {
        *("model", "stream", "stream_options", "messages", "tools", "prompt_cache_key"),
        *("max_completion_tokens", "max_tokens"),
    }
)
_ASK = b'"include_usage":true'


def read_request(head: RequestHead, operation: str, body: Body) -> RequestFacts:
    """Read a chat request.

    A stream without include_usage tells no usage: it is asked for on the caller's behalf, by an insertion.
    """
    fields = read_fields(body, WATCHED)
    streamed = fields.flag("stream")
    usage_splice = _ask_for_usage(fields) if streamed else None
    return RequestFacts(
        protocol=OPENAI_CHAT,
        operation=operation,
        model=fields.model(),
        model_span=fields.spans["model"],
        streamed=streamed,
        adds_usage=usage_splice is not None,
        usage_splice=usage_splice,
        # The system prompt is a turn here; it is read with the others.
        hints=read_hints(head, fields, fields.text("prompt_cache_key"), system="", turns="messages"),
        cache_write_default=cache_lifetime(fields),
        has_tools=fields.has_items("tools"),
        body_bytes=len(body),
        fields=fields,
    )


def cache_lifetime(fields: Fields) -> str:
    """The lifetime of cache writes that the request asks for; OpenAI's default is 30 minutes."""
    if "prompt_cache_options" not in fields.raw:
        return "cache_write_30m"
    return "cache_write_12h" if b'"12h"' in fields.prefix("prompt_cache_options", 1024) else "cache_write_30m"


def _ask_for_usage(fields: Fields) -> Splice | None:
    options = fields.raw.get("stream_options")
    if options is None:
        return Splice(fields.after_brace, fields.after_brace, b'"stream_options":{' + _ASK + b"},")
    start, end = fields.spans["stream_options"]
    if bytes(options) == b"null":
        return Splice(start, end, b"{" + _ASK + b"}")
    inner = read_fields(bytes(options), frozenset({"include_usage"}))
    asked = inner.raw.get("include_usage")
    if asked is None:
        after_brace = start + inner.after_brace
        return Splice(after_brace, after_brace, _ASK + (b"," if inner.raw else b""))
    if bytes(asked) == b"true":
        return None
    if bytes(asked) not in (b"false", b"null"):
        raise InvalidRequest("stream_options.include_usage", "must be true or false")
    inner_start, inner_end = inner.spans["include_usage"]
    return Splice(start + inner_start, start + inner_end, b"true")
