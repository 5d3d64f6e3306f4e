"""Filters (RFC 7644 §3.4.2.2): text to a condition.

The grammar is scim2-filter-parser's. Three things of it are mended here: "and" binds tighter than "or", which it does
not there; strings are JSON with its escapes; numbers have more than one digit.
"""

import json
from dataclasses import dataclass
from typing import Any

from scim2_filter_parser import ast
from scim2_filter_parser.lexer import SCIMLexer
from scim2_filter_parser.parser import SCIMParser, SCIMParserError

from control_plane.identity.scim.errors import Unreadable

MAX_LENGTH = 4000
MAX_PARENTHESES = 40
MAX_TERMS = 200

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Path:
    """An attribute, in the letters of the caller. urn: of the schema, if one was named."""

    attribute: str
    sub: str = ""
    urn: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, (self.urn, ".".join(filter(None, (self.attribute, self.sub))))))


@dataclass(frozen=True, slots=True)
class Compare:
    """operator: eq ne co sw ew gt ge lt le pr. value: None for pr, and for null."""

    path: Path
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Every:
    terms: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    terms: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    term: "Condition"


@dataclass(frozen=True, slots=True)
class Within:
    """One value of a multi-valued attribute meets the whole inner condition: emails[type eq "work"]."""

    path: Path
    term: "Condition"


Condition = Compare | Every | Some | Not | Within


class _Lexer(SCIMLexer):
    tokens = SCIMLexer.tokens
    FALSE = r"(?i:false)\b"
    TRUE = r"(?i:true)\b"
    NULL = r"(?i:null)\b"
    NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"

    @_(r'"(?:[^"\\]|\\.)*"')  # type: ignore[name-defined]  # noqa: F821  # sly hands the name to the class body
    def COMP_VALUE(self, t: Any) -> Any:  # a token's name
        """Keep the quotes: they tell "true" from true."""
        return t


def read_filter(text: str) -> Condition:
    """Read a filter. Raises Unreadable (invalidFilter)."""
    if len(text) > MAX_LENGTH or text.count("(") + text.count("[") > MAX_PARENTHESES or "\x00" in text:
        raise _refused("The filter is too long.")
    try:
        tree = SCIMParser().parse(_Lexer().tokenize(text))
    except (SCIMParserError, ValueError) as failure:
        raise _refused(f"The filter {text[:200]!r} could not be read.") from failure
    if not isinstance(tree, ast.Filter):
        raise _refused(f"The filter {text[:200]!r} could not be read.")
    return _condition(tree)


def _condition(tree: Any) -> Condition:
    terms, operators = _chain(tree)
    if len(terms) > MAX_TERMS:
        raise _refused(f"The filter has more than {MAX_TERMS} terms.")
    read = [_term(term) for term in terms]
    if len(read) == 1:
        return read[0]
    # What stands between two "or" belongs together.
    groups: list[list[Condition]] = [[read[0]]]
    for operator, term in zip(operators, read[1:], strict=True):
        if operator == "and":
            groups[-1].append(term)
        else:
            groups.append([term])
    joined = tuple(group[0] if len(group) == 1 else Every(tuple(group)) for group in groups)
    return joined[0] if len(joined) == 1 else Some(joined)


def _chain(tree: Any) -> tuple[list[Any], list[str]]:
    """Unroll terms joined without parentheses; the parser nests them to the left."""
    terms: list[Any] = []
    operators: list[str] = []
    while type(tree.expr) is ast.LogExpr and not tree.negated and tree.namespace is None:
        terms.append(tree.expr.expr2)
        operators.append(tree.expr.op.lower())
        tree = tree.expr.expr1
    terms.append(tree)
    return terms[::-1], operators[::-1]


def _term(tree: Any) -> Condition:
    if tree.namespace is not None:
        inner: Condition = Within(_path(tree.namespace), _condition(tree.expr))
    elif isinstance(tree.expr, ast.AttrExpr):
        inner = _compare(tree.expr)
    else:
        inner = _condition(tree.expr)
    return Not(inner) if tree.negated else inner


def _compare(tree: Any) -> Condition:
    operator = tree.value.lower()
    value = None if tree.comp_value is None else _value(tree.comp_value.value)
    named = tree.attr_path.attr_name
    if not isinstance(named, ast.Filter):
        return Compare(_path(tree.attr_path), operator, value)
    # emails[type eq "work"].value eq "ada@example.com": one more thing the same value must meet.
    within = _term(named.expr if named.namespace is None else named)
    if not isinstance(within, Within) or not within.path.sub:
        raise _refused("A filter in brackets stands for one value; compare a part of it: emails[...].value eq ...")
    return Within(
        Path(within.path.attribute, urn=within.path.urn),
        Every((within.term, Compare(Path(within.path.sub), operator, value))),
    )


def _path(tree: Any) -> Path:
    if not isinstance(tree.attr_name, str):
        raise _refused("Brackets inside brackets are not understood.")
    return Path(tree.attr_name, tree.sub_attr.value if tree.sub_attr is not None else "", tree.uri or "")


def _value(text: str) -> Value:
    try:
        found = json.loads(text if text.startswith('"') else text.lower())
    except ValueError as failure:
        raise _refused(f"{text[:100]} is no JSON value.") from failure
    if isinstance(found, str) and "\x00" in found:
        raise _refused("A NUL character cannot be searched for.")
    value: Value = found
    return value


def _refused(detail: str) -> Unreadable:
    return Unreadable(detail, "invalidFilter")


def equalities(condition: Condition) -> dict[str, Value] | None:
    """What a condition of nothing but "eq" and "and" fixes, by attribute in lower case; None: it says more."""
    match condition:
        case Compare(path, "eq", value) if not path.sub:
            return {path.attribute.lower(): value}
        case Every(terms):
            fixed: dict[str, Value] = {}
            for term in terms:
                part = equalities(term)
                if part is None:
                    return None
                fixed |= part
            return fixed
        case _:
            return None
