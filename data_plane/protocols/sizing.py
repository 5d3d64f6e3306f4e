"""What of a request decides how much it may cost at most: read only where a budget needs it.

One look over the body finds what a model reads that is not in it, or that is more than its bytes: pictures, files by
name, tools that the provider runs. What stands in a text cannot look like it, because there every quote is escaped.
"""

import re
from collections.abc import Mapping

import msgspec

from data_plane.policy.request_size import RequestSize
from data_plane.protocols.codec import Body, RequestFacts
from data_plane.protocols.output_limit import asked_for, strictest
from switchyard_contract.routes import ANTHROPIC_MESSAGES, GEMINI_CONTENT, OPENAI_CHAT, OPENAI_RESPONSES

SEARCHES_UNSAID = 20
"""Searches of the web that are taken for possible where the request sets no limit of its own."""
_KIND = rb'"type"[ \t\n\r]*:[ \t\n\r]*"(%b)'
_NAME = rb'"(%b)"[ \t\n\r]*:'


class _Marks(msgspec.Struct, frozen=True):
    """What to look for in one protocol."""

    parts: re.Pattern[bytes]
    """Over the whole body; its group says what was found."""
    pictures: frozenset[bytes]
    tools: re.Pattern[bytes]
    """Tools that the provider runs, over the list of tools."""
    either: re.Pattern[bytes]
    """One of these, somewhere."""
    searches: tuple[bytes, ...]
    elsewhere: tuple[str, ...]
    """Fields of the top level that name what the provider keeps."""
    limits: tuple[str, ...]
    """Fields of the top level that limit the output; none: it is limited elsewhere."""
    special: frozenset[str]
    """Fields of the top level with which a request is not priced in a few steps."""


def _marks(
    parts: bytes,
    tools: bytes,
    *,
    pictures: tuple[bytes, ...],
    searches: tuple[bytes, ...],
    elsewhere: tuple[str, ...],
    limits: tuple[str, ...] = (),
    by_type: bool = True,
) -> _Marks:
    """by_type: parts and tools are named by their "type"; False: by the field that they are in."""
    # A tool's type goes on with its version.
    form, whole = (_KIND, b'(?:%b)"' % parts) if by_type else (_NAME, parts)
    return _Marks(
        parts=re.compile(_KIND % parts + b'"' if by_type else _NAME % parts),
        pictures=frozenset(pictures),
        tools=re.compile(form % tools),
        either=re.compile(form % (whole + b"|" + tools)),
        searches=searches,
        elsewhere=elsewhere,
        limits=limits,
        special=frozenset((*elsewhere, "web_search_options", "service_tier", "speed", "n", "N")),
    )


_MARKS: Mapping[str, _Marks] = {
    ANTHROPIC_MESSAGES: _marks(
        b"image|document|url|file|container_upload",
        b"web_search_|web_fetch_|code_execution_",
        pictures=(b"image",),
        searches=(b"web_search_",),
        elsewhere=("mcp_servers", "container"),
        limits=("max_tokens",),
    ),
    OPENAI_CHAT: _marks(
        b"image_url|file",
        b"web_search|file_search|code_interpreter|mcp",
        pictures=(b"image_url",),
        searches=(b"web_search",),
        elsewhere=("web_search_options",),
        limits=("max_completion_tokens", "max_tokens"),
    ),
    OPENAI_RESPONSES: _marks(
        b"input_image|input_file|item_reference",
        b"web_search|file_search|code_interpreter|mcp|image_generation",
        pictures=(b"input_image",),
        searches=(b"web_search",),
        elsewhere=("previous_response_id", "conversation", "prompt"),
        limits=("max_output_tokens",),
    ),
    GEMINI_CONTENT: _marks(
        b"inlineData|inline_data|fileData|file_data",
        b"googleSearch|google_search|googleSearchRetrieval|google_search_retrieval|urlContext|url_context"
        b"|codeExecution|code_execution|fileSearch|file_search",
        pictures=(b"inlineData", b"inline_data"),
        searches=(b"googleSearch", b"google_search", b"googleSearchRetrieval", b"google_search_retrieval"),
        elsewhere=("cachedContent", "cached_content"),
        by_type=False,
    ),
}
_LIMIT_OF_SEARCHES = re.compile(rb'"max_uses"[ \t\n\r]*:[ \t\n\r]*(\d{1,6})')
_NOTHING = frozenset({b"null", b"[]", b"{}", b'""'})
_TEXT = msgspec.json.Decoder(str)


def read_size(facts: RequestFacts, body: Body) -> RequestSize:
    """Say how large a request is and how much it may bring about."""
    marks, fields = _MARKS.get(facts.protocol), facts.fields
    if (
        marks is not None
        and fields is not None
        and marks.limits
        and facts.operation == "generate"
        and marks.special.isdisjoint(fields.raw)
        and marks.either.search(body) is None
    ):
        # Most requests of coding tools.
        return RequestSize(facts.body_bytes, strictest(fields.raw, marks.limits), is_plain=True)
    return _look_closely(facts, body, marks)


def _look_closely(facts: RequestFacts, body: Body, marks: _Marks | None) -> RequestSize:
    is_generation = facts.operation in ("generate", "compact")
    if marks is None or not is_generation or facts.fields is None:
        return RequestSize(
            facts.body_bytes,
            is_billable=facts.operation != "count_tokens",
            answers_with_text=is_generation,
        )
    fields, (max_output, answers) = facts.fields.raw, asked_for(facts)
    found = marks.parts.findall(body)
    is_unbounded = bool(found) and not marks.pictures.issuperset(found)
    for name in marks.elsewhere:
        if name in fields and bytes(fields[name]) not in _NOTHING:
            is_unbounded = True
    tools = fields.get("tools")
    searches = 0
    if tools is not None and (run := marks.tools.findall(tools)):
        is_unbounded = True
        if any(each in marks.searches for each in run):
            searches = _most_searches(bytes(tools))
    if "web_search_options" in fields:
        searches = SEARCHES_UNSAID
    if not (found or is_unbounded or searches or answers != 1 or "service_tier" in fields or "speed" in fields):
        return RequestSize(facts.body_bytes, max_output, is_plain=True)
    images = sum(1 for each in found if each in marks.pictures) if found else 0
    tier = _tier(fields) if "service_tier" in fields or "speed" in fields else ""
    return RequestSize(facts.body_bytes, max_output, answers, images, is_unbounded, searches, tier)


def _most_searches(tools: bytes) -> int:
    limit = _LIMIT_OF_SEARCHES.search(tools)
    return int(limit[1]) if limit is not None else SEARCHES_UNSAID


def _tier(fields: Mapping[str, msgspec.Raw]) -> str:
    for name in ("service_tier", "speed"):
        raw = fields.get(name)
        if raw is None or len(raw) > 64:
            continue
        try:
            return _TEXT.decode(raw)
        except msgspec.DecodeError:
            # Null, or no text: the provider's to refuse.
            continue
    return ""
