"""Tags in headers."""

import json

import pytest

from data_plane.protocols.fields import InvalidRequest
from data_plane.protocols.metadata import MAX_TAGS, read_metadata
from tests.data_plane.protocols.transcripts import head


def tags(**headers: str) -> dict[str, str]:
    return read_metadata(head("/", **headers).headers)


@pytest.mark.parametrize(
    "name", ["x_switchyard_metadata", "x_tfy_metadata", "x_portkey_metadata", "x_langwatch_metadata"]
)
def test_tags_are_read_under_every_name(name: str) -> None:
    assert tags(**{name: '{"team": "blue", "build": 7, "dirty": true, "none": null}'}) == {
        "team": "blue",
        "build": "7",
        "dirty": "true",
    }


def test_helicone_properties_are_tags() -> None:
    assert tags(helicone_property_session="a%20b") == {"session": "a b"}


def test_our_own_name_wins() -> None:
    assert tags(x_portkey_metadata='{"a":"theirs","b":"kept"}', x_switchyard_metadata='{"a":"ours"}') == {
        "a": "ours",
        "b": "kept",
    }


def test_no_header_is_no_tags() -> None:
    assert tags() == {}
    assert tags(x_switchyard_metadata=" ") == {}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("x", "no JSON object"),
        ("[]", "no JSON object"),
        ("[" * 5000, "no JSON object"),
        ('{"a":{}}', "neither text nor a number"),
        ('{"a":"' + "x" * 257 + '"}', "longer than 256"),
        ('{"":"x"}', "empty"),
        ('{"' + "n" * 65 + '":"x"}', "longer than 64"),
        (json.dumps({str(number): "x" for number in range(MAX_TAGS + 1)}), "64 are allowed"),
        ('{"a":"' + "x" * 20_000 + '"}', "longer than"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(value: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        tags(x_switchyard_metadata=value)
