import pytest

from data_plane.protocols.codec import RawHeaders, RequestHead
from data_plane.protocols.fields import InvalidRequest
from data_plane.protocols.headers import upstream_headers
from data_plane.protocols.standing import provider_headers, standing_of

TOOL: RawHeaders = (
    (b"host", b"gateway"),
    (b"user-agent", b"claude-cli/2.1.0"),
    (b"x-claude-code-session-id", b"s1"),
    (b"x-switchyard-metadata", b'{"cost_center": "7"}'),
    (b"anthropic-beta", b"a,b"),
    (b"x-of-tomorrow", b"kept"),
)
CREDENTIAL = ((b"x-api-key", b"account"),)


def _head(*more: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead("POST", "/v1/messages", "", (*TOOL, *more))


def test_what_stays_the_same_is_read_once_whatever_key_length_and_trace_come_with_it() -> None:
    first = standing_of(_head((b"authorization", b"Bearer one"), (b"content-length", b"10")))
    again = standing_of(_head((b"x-api-key", b"two"), (b"content-length", b"99"), (b"traceparent", b"00-1-2-01")))
    assert again is first
    assert first.tool.client.name == "claude-code"
    assert first.tool.client.session_id == "s1"
    assert first.tags == {"cost_center": "7"}


def test_another_session_is_another_standing() -> None:
    assert standing_of(_head((b"x-session-id", b"s2"))) != standing_of(_head())


def test_no_credential_is_kept() -> None:
    held = repr(standing_of(_head((b"authorization", b"Bearer secret-1"), (b"cookie", b"secret-2"))))
    assert "secret" not in held


@pytest.mark.parametrize(
    "more",
    [
        (),
        ((b"authorization", b"Bearer one"), (b"content-length", b"3")),
        ((b"traceparent", b"00-1-2-01"), (b"tracestate", b"a=b")),
        ((b"traceparent", b"00-1-2-01"), (b"connection", b"close, Traceparent")),
    ],
)
def test_a_provider_gets_the_headers_that_the_rule_says(more: RawHeaders) -> None:
    head = _head(*more)
    ruled = upstream_headers(head, passes_caller=False, credential=CREDENTIAL)
    assert sorted(provider_headers(head, standing_of(head), CREDENTIAL)) == sorted(ruled)


def test_tags_that_cannot_be_read_are_refused_each_time() -> None:
    head = _head((b"x-portkey-metadata", b"[]"))
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            standing_of(head)
