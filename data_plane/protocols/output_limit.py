"""How much a request lets the model write, and how that is lowered where a budget has room for less.

Lowering is a splice like the model's name: everything else of the body stays byte for byte what it was.
"""

from collections.abc import Iterable, Mapping

import msgspec

from data_plane.protocols.body import read_fields
from data_plane.protocols.codec import OutputLimit, RequestFacts, Splice
from data_plane.protocols.fields import Fields, InvalidRequest

_NUMBER = msgspec.json.Decoder(int)
_MOST = 10**9
_NAMES = {
    "anthropic_messages": ("max_tokens",),
    "openai_chat": ("max_completion_tokens", "max_tokens"),
    "openai_responses": ("max_output_tokens",),
}
_NO_NAMES: frozenset[str] = frozenset()


def output_of(facts: RequestFacts) -> OutputLimit:
    """Find what limits the output of a request. Worked out where a budget asks, not for every request."""
    fields = facts.fields
    if fields is None:
        return OutputLimit()
    match facts.protocol:
        case "anthropic_messages":
            return read_limit(fields, "max_tokens", least=number_in(fields, "thinking", "budget_tokens"))
        case "openai_chat":
            names = ("max_completion_tokens", "max_tokens")
            return read_limit(fields, *names, absent=names[0], choices="n")
        case "openai_responses":
            return read_limit(fields, "max_output_tokens", absent="max_output_tokens")
        case "gemini_content":
            # Both spellings are taken, as for the system prompt.
            settings = "generation_config" if "generation_config" in fields.raw else "generationConfig"
            least = number_in(fields, settings, "thinkingConfig", "thinkingBudget")
            names = ("maxOutputTokens", "max_output_tokens")
            return read_nested_limit(fields, settings, *names, least=least, choices="candidateCount")
        case _:
            return OutputLimit()


def asked_for(facts: RequestFacts) -> tuple[int, int]:
    """Only how much is asked for: tokens of an answer (0: not said), and how many answers. Asked for every exchange
    that a budget counts."""
    names = _NAMES.get(facts.protocol)
    if names is None or facts.fields is None:
        output = output_of(facts)
        return output.tokens, output.answers
    fields, answers = facts.fields, 1
    tokens, spans = strictest(fields.raw, names), fields.spans
    if ("n" in spans or "N" in spans) and facts.protocol == "openai_chat":
        answers = max([answers, *(_number(fields, name) for name in ("n", "N") if name in spans)])
    return tokens, answers


def strictest(raw: Mapping[str, msgspec.Raw], names: Iterable[str]) -> int:
    """The least of the numbers that these fields hold; 0: none of them says any."""
    least = 0
    for name in names:
        text = raw.get(name)
        if text is not None:
            told = _read_number(text)
            least = min(least, told) if least and told else least or told
    return least


def read_limit(fields: Fields, *names: str, absent: str = "", least: int = 0, choices: str = "") -> OutputLimit:
    """Find the field that limits the output.

    names: of the fields that may, the strictest wins. absent: the field to be put in where none of them is there.
    least: what it cannot be lowered below. choices: the field that says how many answers are asked for.
    """
    spans, answers = fields.spans, 1
    if choices:
        # Some upstreams ignore case, and so short a name may be anybody's.
        for spelling in (choices, choices.upper()):
            if spelling in spans:
                answers = max(answers, _number(fields, spelling))
    found = OutputLimit(answers=answers, least=least)
    for name in names:
        if name not in spans:
            continue
        tokens = _number(fields, name)
        start, end = fields.spans[name]
        # Null, or of another kind, is the provider's to refuse; in its place a number may be put all the same.
        least_of_both = min(tokens, found.tokens) if tokens and found.tokens else tokens or found.tokens
        found = OutputLimit(least_of_both, found.answers, least, (*found.places, (start, end)))
    if not found.places and absent and fields.spans:
        place = (fields.after_brace, fields.after_brace)
        return OutputLimit(0, answers, least, (place,), f'"{absent}":'.encode(), b",")
    return found


def read_nested_limit(fields: Fields, outer: str, *names: str, least: int = 0, choices: str = "") -> OutputLimit:
    """The same for a field inside an object of the body, like Gemini's generationConfig.maxOutputTokens.

    names: the first is the one that is put in.
    """
    name = names[0]
    raw = fields.raw.get(outer)
    if raw is None or bytes(raw) == b"null":
        if not fields.spans:
            return OutputLimit(least=least)
        if raw is not None:
            return OutputLimit(0, 1, least, (fields.spans[outer],), b'{"%b":' % name.encode(), b"}")
        place = (fields.after_brace, fields.after_brace)
        return OutputLimit(0, 1, least, (place,), b'"%b":{"%b":' % (outer.encode(), name.encode()), b"},")
    try:
        inner = read_fields(bytes(raw), _NO_NAMES)
    except InvalidRequest:
        # Of another kind, or given twice inside: the provider's to refuse.
        return OutputLimit(least=least)
    start = fields.spans[outer][0]
    found = read_limit(inner, *names, absent=name, least=least, choices=choices)
    if not inner.spans:
        place = (start + inner.after_brace, start + inner.after_brace)
        return OutputLimit(0, 1, least, (place,), b'"%b":' % name.encode(), b"")
    places = tuple((start + begin, start + end) for begin, end in found.places)
    return OutputLimit(found.tokens, found.answers, least, places, found.before, found.after)


def lowered(limit: OutputLimit, tokens: int) -> tuple[Splice, ...]:
    """What makes the request ask for so many tokens at most."""
    text = limit.before + b"%d" % tokens + limit.after
    return tuple(Splice(start, end, text) for start, end in limit.places)


def number_in(fields: Fields, outer: str, *names: str) -> int:
    """A number inside an object of the body; 0: it is not there, or none."""
    raw = fields.raw.get(outer)
    if raw is None or len(raw) > 4096:
        return 0
    try:
        told = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return 0
    for name in names:
        if not isinstance(told, dict):
            return 0
        told = told.get(name)
    return min(told, _MOST) if isinstance(told, int) and told > 0 else 0


def _number(fields: Fields, name: str) -> int:
    return _read_number(fields.raw[name])


def _read_number(text: msgspec.Raw) -> int:
    try:
        number = _NUMBER.decode(text)
        return number if 0 <= number <= _MOST else min(_MOST, max(0, number))
    except (msgspec.DecodeError, RecursionError):
        return 0
