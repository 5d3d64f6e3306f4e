"""Entries are merged into files and taken out again; everything else keeps every byte."""

import json
import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import assume, given
from hypothesis import strategies as st

from deploy.remote.setup.document import ABSENT, Change, Unreadable, leaves
from deploy.remote.setup.edit import Format, merged, open_text, unmerged
from deploy.remote.setup.json_file import JsonFile

NAMES = st.one_of(st.sampled_from(["env", "model", "provider", "a", "b.c", 'quo"te', "ünï"]), st.text(max_size=5))
SCALARS = st.one_of(st.text(max_size=12), st.booleans(), st.integers(-1000, 1000))
JSON_VALUES = st.recursive(
    st.one_of(SCALARS, st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
JSON_OBJECTS = st.dictionaries(NAMES, JSON_VALUES, max_size=5)
TOML_NAMES = st.text("abcdef-_ .üß", min_size=1, max_size=6)
TOML_VALUES = st.recursive(
    st.one_of(st.text("abc\"'\\ \n#=[]", max_size=8), st.booleans(), st.integers(-1000, 1000)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TOML_NAMES, inner, max_size=3)),
    max_leaves=10,
)
TOML_OBJECTS = st.dictionaries(TOML_NAMES, TOML_VALUES, max_size=5)

OURS = {
    "env": {"ANTHROPIC_BASE_URL": "https://ai.example.com", "ANTHROPIC_MODEL": "claude-sonnet-4-6"},
    "apiKeyHelper": "switchyard key helper",
    "provider": {"switchyard": {"npm": "x", "models": {"m": {"name": "m"}}}},
}
CHANGES = [*list(leaves(OURS, [("provider", "switchyard")])), Change(("env", "ANTHROPIC_API_KEY"), ABSENT)]


def with_comments(draw: Any, text: str) -> str:
    """Put comments and trailing commas where JSON with comments allows them."""
    parts = []
    in_string = False
    previous = ""
    for sign in text:
        if sign == '"' and previous != "\\":
            in_string = not in_string
        previous = "" if previous == "\\" else sign
        parts.append(sign)
        if not in_string and sign in ",{[:" and draw(st.integers(0, 4)) == 0:
            parts.append(draw(st.sampled_from(["/* , } */", ' // it\'s "so"\n', "\n", "\t"])))
    return "".join(parts)


@st.composite
def json_files(draw: Any) -> tuple[str, dict[str, Any]]:
    value = draw(JSON_OBJECTS)
    text = json.dumps(value, indent=draw(st.sampled_from([None, 2, 4, "\t"])), ensure_ascii=draw(st.booleans()))
    text = with_comments(draw, text)
    return draw(st.sampled_from(["", "// mine\n", "\n"])) + text + draw(
        st.sampled_from(["", "\n", " /* end */\n"])
    ), value


def can_hold_ours(value: dict[str, Any]) -> bool:
    return all(isinstance(value.get(name, {}), dict) for name in ("env", "provider"))


@given(json_files())
def test_json_with_comments_is_read_as_what_it_says(file: tuple[str, dict[str, Any]]) -> None:
    text, value = file
    assert JsonFile(text).get(()) == value


@given(json_files())
def test_taking_out_what_was_merged_into_json_gives_back_what_it_said(file: tuple[str, dict[str, Any]]) -> None:
    text, value = file
    assume(can_hold_ours(value))
    after, entries = merged(text, Format.JSON, CHANGES)
    assert JsonFile(after).get(("env", "ANTHROPIC_BASE_URL")) == "https://ai.example.com"
    back, kept = unmerged(after, Format.JSON, entries)
    assert JsonFile(back).get(()) == value
    assert kept == []
    assert merged(after, Format.JSON, CHANGES) == (after, [])


@given(TOML_OBJECTS)
def test_taking_out_what_was_merged_into_toml_gives_back_what_it_said(value: dict[str, Any]) -> None:
    assume(can_hold_ours(value))
    text = tomlkit.dumps(value)
    assume(tomllib.loads(text) == value)
    after, entries = merged(text, Format.TOML, CHANGES)
    assert tomllib.loads(after)["provider"]["switchyard"]["npm"] == "x"
    back, kept = unmerged(after, Format.TOML, entries)
    assert tomllib.loads(back) == value
    assert kept == []


LINES = st.lists(
    st.one_of(
        st.builds("{}={}".format, st.sampled_from(["A", "GEMINI_API_KEY", "B_2"]), st.text("abc'\" #", max_size=6)),
        st.sampled_from(["", "# a comment", "export C=3", "not a line at all", "  D = 'four'  "]),
    ),
    max_size=6,
)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_taking_out_what_was_merged_into_env_gives_back_what_it_said(
    lines: list[str], newline: str, ends_with_one: bool
) -> None:
    text = newline.join(lines) + (newline if ends_with_one else "")
    document = open_text(text, Format.ENV)
    before = {name: document.get((name,)) for name in ("A", "B_2", "C", "D", "GEMINI_API_KEY", "GEMINI_MODEL")}
    # A value that holds both kinds of quotes cannot be written so that every reader reads it alike.
    assume(not any("'" in str(value) and '"' in str(value) for value in before.values()))
    changes = [Change(("GEMINI_API_KEY",), "sypat_x"), Change(("GEMINI_MODEL",), "gemini 2.5")]
    after, entries = merged(text, Format.ENV, changes)
    assert open_text(after, Format.ENV).get(("GEMINI_MODEL",)) == "gemini 2.5"
    back = open_text(unmerged(after, Format.ENV, entries)[0], Format.ENV)
    assert {name: back.get((name,)) for name in before} == before


def test_comments_and_order_of_json_stay() -> None:
    text = """{
    // the theme I like
    "theme": "dark", /* really */
    "env": {
        "FOO": "1" // one
    },
}
"""
    after, entries = merged(text, Format.JSON, [Change(("env", "BAR"), "2"), Change(("apiKeyHelper",), "x")])
    assert (
        after
        == """{
    // the theme I like
    "theme": "dark", /* really */
    "env": {
        "FOO": "1",
        "BAR": "2" // one
    },
    "apiKeyHelper": "x",
}
"""
    )
    assert unmerged(after, Format.JSON, entries)[0] == text


def test_comments_and_order_of_toml_stay() -> None:
    text = """# mine
model = "o3"  # the one I like

[tools]
web_search = true

# a provider of my own
[model_providers.mine]
name = "Mine"
"""
    changes = [
        Change(("model",), "gpt-5.1"),
        Change(("model_provider",), "switchyard"),
        Change(("model_providers", "switchyard"), {"name": "Switchyard", "auth": {"command": "s", "args": ["key"]}}),
    ]
    after, entries = merged(text, Format.TOML, changes)
    assert '# mine\nmodel = "gpt-5.1"  # the one I like\nmodel_provider = "switchyard"\n' in after
    assert "# a provider of my own\n[model_providers.mine]\n" in after
    assert unmerged(after, Format.TOML, entries)[0].split() == text.split()


@pytest.mark.parametrize(
    "text",
    [
        "[a]\nx = 1\n[b]\ny = 2\n[a.c]\nz = 3\n",
        'model_providers = { mine = { name = "M" } }\n',
        'model_providers.mine.name = "M"\n',
        "[[hooks]]\na = 1\n[[hooks]]\na = 2\n",
        '[model_providers.mine]\nname = "M"\n[profiles.x]\nmodel = "m"\n[model_providers.other]\nname = "O"\n',
    ],
    ids=["out of order", "inline", "dotted", "arrays of tables", "tables apart"],
)
def test_every_way_to_write_toml_can_be_merged_into(text: str) -> None:
    changes = [
        Change(("model",), "m"),
        Change(("model_providers", "switchyard"), {"name": "S", "auth": {"command": "c"}}),
    ]
    after, entries = merged(text, Format.TOML, changes)
    assert tomllib.loads(after)["model_providers"]["switchyard"] == {"name": "S", "auth": {"command": "c"}}
    assert tomllib.loads(unmerged(after, Format.TOML, entries)[0]) == tomllib.loads(text)


def test_what_the_person_changed_since_stays() -> None:
    after, entries = merged('{"env": {"FOO": "1"}}', Format.JSON, CHANGES)
    changed = after.replace("https://ai.example.com", "https://elsewhere.example").replace('"1"', '"2"')
    back, kept = unmerged(changed, Format.JSON, entries)
    assert JsonFile(back).get(()) == {"env": {"FOO": "2", "ANTHROPIC_BASE_URL": "https://elsewhere.example"}}
    assert kept == [("env", "ANTHROPIC_BASE_URL")]


def test_what_was_there_before_comes_back() -> None:
    text = '{"env": {"ANTHROPIC_API_KEY": "sk-mine", "ANTHROPIC_BASE_URL": "https://mine"}}'
    after, entries = merged(text, Format.JSON, CHANGES)
    assert JsonFile(after).get(("env", "ANTHROPIC_API_KEY")) is ABSENT
    assert JsonFile(unmerged(after, Format.JSON, entries)[0]).get(()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('{\n "a": 1\n "b": 2\n}', 3, "a comma or }"),
        ('{"a": }', 1, "a value was expected"),
        ('{\n"a": 1', 2, "a comma or }"),
        ("[1]", 1, "one object"),
        ('{"a": 1} x', 1, "behind the end"),
        ('{"a": 1, "a": 2}', 1, "twice"),
        ('{"a" 1}', 1, "a colon"),
        ("{'a': 1}", 1, "in quotes"),
        ("{" * 200, 1, "a name in quotes"),
        ('{"a":' * 200, 1, "nested too deep"),
    ],
)
def test_broken_json_is_told_by_line(text: str, line: int, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as caught:
        merged(text, Format.JSON, CHANGES)
    assert caught.value.line == line


def test_broken_toml_is_told() -> None:
    with pytest.raises(Unreadable, match="line 2"):
        merged("a = 1\nb = \n", Format.TOML, CHANGES)


def test_an_entry_inside_something_else_is_refused() -> None:
    with pytest.raises(Unreadable, match="env is no object"):
        merged('{"env": "text"}', Format.JSON, CHANGES)


def test_a_one_line_object_stays_on_one_line() -> None:
    assert merged('{"a": 1}', Format.JSON, [Change(("b",), 2)])[0] == '{"a": 1, "b": 2}'


def test_a_file_of_nothing_becomes_an_object() -> None:
    assert merged("", Format.JSON, [Change(("a", "b"), "c")])[0] == '{\n  "a": {\n    "b": "c"\n  }\n}\n'


def test_line_endings_stay() -> None:
    after, _ = merged('{\r\n  "a": 1\r\n}\r\n', Format.JSON, [Change(("b",), {"c": 2})])
    assert after == '{\r\n  "a": 1,\r\n  "b": {\r\n    "c": 2\r\n  }\r\n}\r\n'
