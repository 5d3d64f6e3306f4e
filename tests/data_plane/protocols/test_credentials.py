"""Where a virtual key may be."""

import pytest

from data_plane.protocols.credentials import Presented, presented_key
from data_plane.protocols.fields import InvalidRequest
from tests.data_plane.protocols.transcripts import head

PATH = "/v1/messages"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer k"},
        {"authorization": "bearer  k "},
        {"authorization": "k"},
        {"x_api_key": "k"},
        {"x_goog_api_key": "k"},
        {"x_switchyard_key": "k"},
        {"x_switchyard_key": "Bearer k"},
        {"x_tfy_api_key": "k"},
        {"x_portkey_api_key": "k"},
        {"x_litellm_api_key": "Bearer k"},
        {"helicone_auth": "Bearer k"},
        {"authorization": "Bearer k", "x_api_key": "k"},
        {"authorization": "Bearer k", "x_goog_api_key": "k"},
        {"x_switchyard_key": "k", "x_portkey_api_key": "k"},
    ],
)
def test_every_carrier_is_read_and_the_same_key_twice_is_fine(headers: dict[str, str]) -> None:
    assert presented_key(head(PATH, **headers)) == Presented("k", passes_caller=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer a", "x_api_key": "b"},
        {"x_api_key": "a", "x_goog_api_key": "b"},
        {"x_switchyard_key": "a", "x_tfy_api_key": "b"},
    ],
)
def test_two_different_keys_are_refused_without_being_repeated(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="different") as raised:
        presented_key(head(PATH, **headers))

    assert "'a'" not in str(raised.value)


def test_beside_our_header_the_caller_s_own_credential_belongs_to_the_provider() -> None:
    both = head(PATH, x_switchyard_key="k", authorization="Bearer subscription")

    assert presented_key(both) == Presented("k", passes_caller=True)
    assert presented_key(head(PATH, x_switchyard_key="k", x_api_key="own")) == Presented("k", passes_caller=True)


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Basic dXNlcg=="}, {"authorization": "Bearer"}]
)
def test_nothing_that_is_a_key_is_no_key(headers: dict[str, str]) -> None:
    assert presented_key(head(PATH, **headers)) == Presented(None, passes_caller=False)


def test_a_key_in_the_query_counts_on_gemini_routes_only() -> None:
    assert presented_key(head("/v1beta/models/m:generateContent?alt=sse&key=k%2B")).key == "k+"
    assert presented_key(head("/v1/messages?key=k")).key is None
    with pytest.raises(InvalidRequest):
        presented_key(head("/v1beta/models/m:generateContent?key=a&key=b"))


def test_a_key_never_shows_in_a_repr() -> None:
    assert "secret" not in repr(presented_key(head(PATH, x_api_key="secret")))
