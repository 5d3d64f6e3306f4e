"""The header rule, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.protocols.codec import RawHeaders, RequestHead
from data_plane.protocols.headers import client_headers, names_a_session, upstream_headers
from switchyard_contract import virtual_key
from switchyard_contract.virtual_key import KeyKind

IDENTITY = (b"accept-encoding", b"identity")
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True).map(lambda name: f"z-{name}".encode())


def sent(headers: RawHeaders, *, passes_caller: bool = False, credential: RawHeaders = ()) -> RawHeaders:
    head = RequestHead("POST", "/v1/messages", "", headers)
    return upstream_headers(head, passes_caller=passes_caller, credential=credential)


@given(headers=st.lists(st.tuples(NAMES, st.binary(max_size=10)), max_size=10).map(tuple))
def test_whatever_is_unknown_passes_in_order_repeats_included(headers: RawHeaders) -> None:
    assert sent(headers) == (*headers, IDENTITY)
    assert client_headers(headers) == headers


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "content-encoding",
        "expect",
        "cookie",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "accept-encoding",
        "x-switchyard-key",
        "x-switchyard-anything",
        "x-tfy-metadata",
        "x-tfy-api-key",
        "x-portkey-metadata",
        "x-portkey-api-key",
        "x-portkey-trace-id",
        "x-langwatch-metadata",
        "x-litellm-api-key",
        "helicone-auth",
        "helicone-session-id",
        "helicone-property-team",
        "x-tfy-logging-config",
        "content_length",
        "transfer_encoding",
        "x_forwarded_for",
        "x_api_key",
    ],
)
def test_what_is_named_never_reaches_a_provider(name: str) -> None:
    assert sent(((name.encode(), b"1"),)) == (IDENTITY,)


@pytest.mark.parametrize("name", [b"session_id", b"anthropic-beta", b"openai-beta", b"user-agent", b"x-app"])
def test_headers_of_tools_pass(name: bytes) -> None:
    assert (name, b"1") in sent(((name, b"1"),))


def test_what_connection_names_stays_here() -> None:
    headers = ((b"connection", b"close, X-Private"), (b"x-private", b"1"), (b"x-public", b"1"))

    assert sent(headers) == ((b"x-public", b"1"), IDENTITY)
    assert client_headers(headers) == ((b"x-public", b"1"),)


def test_the_account_s_credential_takes_the_place_of_the_caller_s() -> None:
    headers = ((b"authorization", b"Bearer caller"), (b"x-api-key", b"caller"))

    assert sent(headers, credential=((b"x-api-key", b"account"),)) == (IDENTITY, (b"x-api-key", b"account"))


def test_a_subscription_s_credential_travels_on_untouched_but_a_virtual_key_never_does() -> None:
    ours = virtual_key.mint(KeyKind.PERSONAL).text.encode()
    headers = (
        (b"authorization", b"Bearer sk-ant-oat01-abc"),
        (b"x-api-key", ours),
        (b"x-goog-api-key", b"g"),
        (b"x-switchyard-key", ours),
    )

    assert sent(headers, passes_caller=True) == ((b"authorization", b"Bearer sk-ant-oat01-abc"), IDENTITY)


def test_extra_betas_are_appended_to_what_the_tool_sent() -> None:
    headers = ((b"anthropic-beta", b"a-1,b-2"), (b"x-switchyard-anthropic-beta", b"b-2, c-3"))

    assert sent(headers) == ((b"anthropic-beta", b"a-1,b-2,c-3"), IDENTITY)
    assert sent(headers[1:]) == ((b"anthropic-beta", b"b-2,c-3"), IDENTITY)


@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie",
        "Alt-Svc",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "anthropic-organization-id",
        "openai-organization",
        "Strict-Transport-Security",
        "x-switchyard-provider",
    ],
)
def test_what_binds_to_the_provider_never_reaches_a_client(name: str) -> None:
    assert client_headers([(name.encode(), b"1"), (b"Request-Id", b"req_1")]) == ((b"request-id", b"req_1"),)


@pytest.mark.parametrize(
    "name", [b"retry-after", b"x-should-retry", b"anthropic-ratelimit-unified-status", b"x-codex-turn-state"]
)
def test_what_clients_steer_by_comes_back(name: bytes) -> None:
    assert client_headers([(name, b"1")]) == ((name, b"1"),)


def test_a_session_in_a_header_is_noticed() -> None:
    assert names_a_session(RequestHead("POST", "/", "", ((b"x-session-id", b"s"),)))
    assert names_a_session(RequestHead("POST", "/", "", ((b"helicone-session-id", b"s"),)))
    assert not names_a_session(RequestHead("POST", "/", "", ((b"user-agent", b"curl"),)))


def test_a_virtual_key_never_leaves_whatever_its_header_is_called() -> None:
    key = virtual_key.mint(KeyKind.PERSONAL).text
    head = RequestHead(
        "POST",
        "/v1/messages",
        "",
        (
            (b"ocp-apim-subscription-key", key.encode()),
            (b"x-litellm-key", f"Bearer {key}".encode()),
            (b"x-other", b"sypat_too_short"),
        ),
    )
    for passes_caller in (False, True):
        sent = upstream_headers(head, passes_caller=passes_caller)
        assert key.encode() not in b"".join(value for _, value in sent)
        assert (b"x-other", b"sypat_too_short") in sent
