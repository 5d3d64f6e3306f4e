"""What of a request decides how much it may cost at most: read only where a budget needs it.

One look over the body finds what a model reads that is not in it, or that is more than its bytes: pictures, files by
name, tools that the provider runs. What stands in a text cannot look like it, because there every quote is escaped.
"""

import re
from collections.abc import Mapping

import msgspec

from data_plane.policy.request_size import RequestSize
from data_plane.protocols.codec import Body, RequestFacts
from data_plane.protocols.output_limit import asked_for
from switchyard_contract.routes import ANTHROPIC_MESSAGES, GEMINI_CONTENT, OPENAI_CHAT, OPENAI_RESPONSES

SEARCHES_UNSAID = 20
"""Searches of the web that are taken for possible where the request sets no limit of its own."""
_KIND = rb'"type"[ \t\n\r]*:[ \t\n\r]*"(%b)'


class _Marks(msgspec.Struct, frozen=True):
    """What to look for in one protocol."""

    parts: re.Pattern[bytes]
    """Over the whole body; its group says what was found."""
    pictures: frozenset[bytes]
    tools: re.Pattern[bytes]
    """Tools that the provider runs, over the list of tools."""
    searches: tuple[bytes, ...]
    elsewhere: tuple[str, ...]
    """Fields of the top level that name what the provider keeps."""


_MARKS: Mapping[str, _Marks] = {
    ANTHROPIC_MESSAGES: _Marks(
        re.compile(_KIND % b"image|document|url|file|container_upload" + b'"'),
        frozenset({b"image"}),
        re.compile(_KIND % b"web_search_|web_fetch_|code_execution_"),
        (b"web_search_",),
        ("mcp_servers", "container"),
    ),
    OPENAI_CHAT: _Marks(
        re.compile(_KIND % b"image_url|file" + b'"'),
        frozenset({b"image_url"}),
        re.compile(_KIND % b"web_search|file_search|code_interpreter|mcp"),
        (b"web_search",),
        ("web_search_options",),
    ),
    OPENAI_RESPONSES: _Marks(
        re.compile(_KIND % b"input_image|input_file|item_reference" + b'"'),
        frozenset({b"input_image"}),
        re.compile(_KIND % b"web_search|file_search|code_interpreter|mcp|image_generation"),
        (b"web_search",),
        ("previous_response_id", "conversation", "prompt"),
    ),
    GEMINI_CONTENT: _Marks(
        re.compile(rb'"(inlineData|inline_data|fileData|file_data)"[ \t\n\r]*:'),
        frozenset({b"inlineData", b"inline_data"}),
        re.compile(
            rb'"(googleSearch|google_search|googleSearchRetrieval|google_search_retrieval|urlContext|url_context'
            rb'|codeExecution|code_execution|fileSearch|file_search)"[ \t\n\r]*:'
        ),
        (b"googleSearch", b"google_search", b"googleSearchRetrieval", b"google_search_retrieval"),
        ("cachedContent", "cached_content"),
    ),
}
_LIMIT_OF_SEARCHES = re.compile(rb'"max_uses"[ \t\n\r]*:[ \t\n\r]*(\d{1,6})')
_NOTHING = frozenset({b"null", b"[]", b"{}", b'""'})
_TEXT = msgspec.json.Decoder(str)


def read_size(facts: RequestFacts, body: Body) -> RequestSize:
    """Say how large a request is and how much it may bring about."""
    marks = _MARKS.get(facts.protocol)
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
