"""Byte ranges of top-level fields, and splices between them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.protocols.body import read_fields, splice
from data_plane.protocols.codec import Splice
from data_plane.protocols.fields import InvalidRequest

WATCHED = frozenset({"model", "stream"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    fields=st.dictionaries(st.text(max_size=10), VALUES, max_size=8),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " :  ")]),
    ascii_only=st.booleans(),
)
def test_each_span_holds_exactly_its_value(
    fields: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    fields = {name: value for name, value in fields.items() if name.lower() not in WATCHED}
    text = json.dumps(fields, separators=separators, ensure_ascii=ascii_only)
    try:
        body = f" \n{text}\n ".encode()
    except UnicodeEncodeError:
        return

    found = read_fields(body, WATCHED)

    assert list(found.spans) == list(fields)
    for name, (start, end) in found.spans.items():
        assert json.loads(body[start:end]) == fields[name]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"a","x":1,"mod\\u0065l":"b"}',
        b'{"x":[1,2],"model":"cheap","x":[1,2]}',
        b'{"model":"aaaa","y":"ab\\",\\"model\\":\\"b","model":"b"}',
        b'{"messages":[1],"model":"dear","z":"],\\"a\\":1","messages":[1,2,3,4,5,6],"model":"cheap"}',
        b'{"":1,"":2}',
    ],
)
def test_a_field_that_comes_twice_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="twice"):
        read_fields(body, WATCHED)


@given(first=VALUES, second=VALUES, between=st.dictionaries(st.text(max_size=4), VALUES, max_size=3))
def test_no_content_hides_a_repeated_field(first: Any, second: Any, between: dict[str, Any]) -> None:
    between.pop("model", None)
    middle = "".join(f"{json.dumps(name)}:{json.dumps(value)}," for name, value in between.items())
    text = f'{{"model":{json.dumps(first)},{middle}"model":{json.dumps(second)}}}'

    with pytest.raises(InvalidRequest):
        read_fields(text.encode(), WATCHED)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1}x',
        b'{"a":NaN}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\x01"}',
        b"{'a':1}",
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b'{"a":' * 100_000,
    ],
)
def test_what_is_no_object_is_refused_and_never_breaks(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_fields(body, WATCHED)


@pytest.mark.parametrize("name", ["Model", "MODEL", "Stream"])
def test_a_field_that_differs_only_in_case_is_refused(name: str) -> None:
    # Servers that ignore case would obey it, after the other one was allowed.
    with pytest.raises(InvalidRequest, match="must be written"):
        read_fields(json.dumps({"model": "a", name: "b"}).encode(), WATCHED)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_read_alike(kind: type) -> None:
    body = kind(b'{"model":"m","stream":true}')

    fields = read_fields(body, WATCHED)

    assert fields.model() == "m"
    assert fields.flag("stream")


@pytest.mark.parametrize("model", ["null", '""', "1", "[]", '"' + "x" * 600 + '"', '"\\ud800"'])
def test_a_model_that_names_nothing_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequest, match="model"):
        read_fields(f'{{"model":{model}}}'.encode(), WATCHED).model()


@pytest.mark.parametrize("half", ["\\ud83d", "\\uDE00", "\\ud83d\\ud83d\\ude00", "\\\\\\ud83d"])
def test_half_an_emoji_in_a_text_is_none_of_our_business(half: str) -> None:
    body = f'{{"messages":[{{"content":"cut {half}"}}],"model":"m \\ud83d\\ude00","stream":true}}'.encode()

    fields = read_fields(body, WATCHED)

    assert fields.body is body
    assert fields.model() == "m 😀"
    assert body[slice(*fields.spans["messages"])].endswith(b'"}]')


def test_an_escaped_backslash_before_a_u_is_no_escape() -> None:
    body = rb'{"x":"\\ud83d","y":"\ud83d","model":"m"}'

    assert read_fields(body, WATCHED).spans["x"] == (5, 14)


def test_a_model_may_hold_slashes_dots_and_signs_of_any_language() -> None:
    body = '{"model":"publisher/größe-1.5:free@2\\u0041"}'.encode()

    assert read_fields(body, WATCHED).model() == "publisher/größe-1.5:free@2A"


def test_a_flag_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="true or false"):
        read_fields(b'{"stream":"yes"}', WATCHED).flag("stream")


@given(body=st.binary(max_size=60), data=st.data())
def test_a_splice_changes_its_range_and_nothing_else(body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    text = data.draw(st.binary(max_size=10))

    assert b"".join(splice(body, [Splice(start, end, text)])) == body[:start] + text + body[end:]


def test_nothing_to_splice_is_the_very_same_body() -> None:
    body = bytearray(b"{}")

    assert splice(body, []) == (body,)
    assert splice(body, [])[0] is body
