"""The header rule: lists are open both ways, what is dropped is named."""

import json

import pytest

from switchyard_contract.virtual_key import KeyToken
from tests.fakes.installation import UPSTREAM_SECRET
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, Dialect
from tests.gateway.conftest import Fleet

BODY = ANTHROPIC.body("claude-sonnet-4-6", streams=False)

UNKNOWN = [
    ("X-Brand-New-Header", "one"),
    ("x-brand-new-header", "two"),
    ("aNtHrOpIc-BeTa", "beta-1"),
    ("anthropic-beta", "beta-2,beta-3"),
    ("X-Stainless-Lang", "python"),
    ("user-agent", "claude-cli/9.9.9 (external, cli)"),
    ("x-claude-code-session-id", "s-1"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("x-utf8", "h\xc3\xa9"),
    ("accept", "application/json"),
    ("x_with_underscore", "kept"),
]
DROPPED = [
    ("Connection", "close, X-Named, x-api-key"),
    ("X-Named", "by Connection"),
    ("Keep-Alive", "timeout=5"),
    ("TE", "trailers"),
    ("Trailer", "x-t"),
    ("Proxy-Authorization", "Basic xyz"),
    ("Proxy-Connection", "keep-alive"),
    ("Cookie", "session=secret-cookie"),
    ("Forwarded", "for=1.2.3.4"),
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Anything", "x"),
    ("X-Real-IP", "1.2.3.4"),
    ("True-Client-IP", "1.2.3.4"),
    ("CF-Connecting-IP", "1.2.3.4"),
    ("Accept-Encoding", "gzip, br"),
    ("x-switchyard-metadata", '{"feature":"search"}'),
    ("x-tfy-metadata", '{"feature":"tfy","other":"1"}'),
    ("x-portkey-metadata", '{"third":"2"}'),
    ("x-langwatch-metadata", "{}"),
    ("Helicone-Property-App", "my%20app"),
    ("x-switchyard-session", "session-7"),
    ("helicone-session-id", "other"),
    ("x-portkey-trace-id", "other"),
    ("x-switchyard-log", '{"enabled": true}'),
    ("x-tfy-logging-config", "{}"),
    ("x-switchyard-anything", "x"),
    ("X_Forwarded_For", "1.2.3.4"),
    ("x_api_key", "smuggled"),
]


def test_everything_unknown_goes_upstream_and_everything_named_does_not(
    fleet: Fleet, key: KeyToken, marker: str
) -> None:
    headers = [*ANTHROPIC.headers(key, x_sim_marker=marker), *UNKNOWN, *DROPPED]
    answer = fleet.pod.call("POST", "/v1/messages", headers, BODY)
    assert answer.status == 200, answer.text
    request = fleet.provider.request(marker)
    for name, value in UNKNOWN:
        assert value in request.header_values(name.lower()), name
    assert request.header_values("x-brand-new-header") == ["one", "two"]
    assert ",".join(request.header_values("anthropic-beta")) == "beta-1,beta-2,beta-3"
    dropped = {name.lower() for name, _ in DROPPED} - {"accept-encoding"}
    assert dropped & {name for name, _ in request.headers} == set()
    assert request.header_values("accept-encoding") == ["identity"]
    assert request.header_values("x-api-key") == [UPSTREAM_SECRET]
    assert request.header_values("content-length") == [str(len(BODY))]
    assert request.header("host") == fleet.provider.url.removeprefix("http://")
    assert key.text not in str(request.headers)


def test_what_was_dropped_was_understood(fleet: Fleet, key: KeyToken, marker: str) -> None:
    headers = [*ANTHROPIC.headers(key, x_sim_marker=marker), *UNKNOWN, *DROPPED]
    fleet.pod.call("POST", "/v1/messages", headers, BODY)
    row = fleet.control.rows_of(key)[0]
    assert (row.session_id, row.session_is_derived) == ("session-7", False)
    assert row.request_tags == {"feature": "search", "other": "1", "third": "2", "app": "my app"}
    assert row.tags == {"project": "apollo", "from": "key", "cost": "c-1"}
    assert (row.client, row.client_version) == ("claude-code", "9.9.9")
    assert row.traceparent.startswith("00-0af7651916cd43dd8448eb211c80319c-")


@pytest.mark.parametrize("name", ["x-switchyard-anthropic-beta", "x-tfy-anthropic-beta"])
def test_extra_betas_are_added_behind_the_client_s_own(fleet: Fleet, key: KeyToken, marker: str, name: str) -> None:
    headers = [*ANTHROPIC.headers(key, x_sim_marker=marker), ("anthropic-beta", "a,b"), (name, "b, c")]
    fleet.pod.call("POST", "/v1/messages", headers, BODY)
    assert fleet.provider.request(marker).header_values("anthropic-beta") == ["a,b,c"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_the_account_s_credential_takes_the_place_of_the_key(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect
) -> None:
    target = dialect.target(dialect.model, streams=False)
    body = dialect.body(dialect.model, streams=False)
    every_way = [("x-api-key", key.text), ("authorization", f"Bearer {key.text}"), ("x-goog-api-key", key.text)]
    headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01"), ("x-sim-marker", marker)]
    assert fleet.pod.call("POST", target, headers + every_way, body).status == 200
    request = fleet.provider.request(marker)
    carriers = {name: value for name, value in request.headers if UPSTREAM_SECRET in value}
    assert carriers.keys() == {dialect.carrier}
    assert key.text not in str(request.headers) + request.target


@pytest.mark.parametrize(
    "name", ["x-switchyard-key", "x-tfy-api-key", "x-portkey-api-key", "x-litellm-api-key", "helicone-auth", "api-key"]
)
def test_a_key_may_come_under_the_name_people_already_have(fleet: Fleet, key: KeyToken, marker: str, name: str) -> None:
    value = f"Bearer {key.text}" if name == "helicone-auth" else key.text
    headers = [*CHAT.headers(None, x_sim_marker=marker), (name, value)]
    answer = fleet.pod.call("POST", "/v1/chat/completions", headers, CHAT.body("gpt-5.2", streams=False))
    assert answer.status == 200, answer.text
    assert name not in [header for header, _ in fleet.provider.request(marker).headers]


def test_a_key_in_the_query_of_a_gemini_path_stays_here(fleet: Fleet, key: KeyToken, marker: str) -> None:
    target = f"/v1beta/models/gemini-2.5-pro:generateContent?key={key.text}&alt=json"
    headers = [("content-type", "application/json"), ("x-sim-marker", marker)]
    body = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
    assert fleet.pod.call("POST", target, headers, body).status == 200
    assert fleet.provider.request(marker).target == "/v1beta/models/gemini-2.5-pro:generateContent?alt=json"
    assert key.text not in fleet.control.rows_of(key)[0].path


def test_the_provider_s_headers_come_back_but_for_the_named_ones(fleet: Fleet, key: KeyToken, marker: str) -> None:
    kept = [("X-New", "1"), ("x-new", "2"), ("Retry-After", "9"), ("anthropic-ratelimit-tokens-remaining", "5")]
    kept += [("Request-Id", "req_1"), ("Content-Type", "application/json; charset=utf-8")]
    dropped = [("Set-Cookie", "a=b"), ("anthropic-organization-id", "org-1"), ("openai-organization", "o")]
    dropped += [("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=3"), ("Alt-Svc", "h3")]
    dropped += [("Strict-Transport-Security", "max-age=1"), ("x-switchyard-budget", "forged:1")]
    answer_headers = [[name, value] for name, value in kept + dropped]
    fleet.provider.script(marker, {"headers": answer_headers, "chunks": [{"text": '{"usage":{}}'}]})
    answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key, x_sim_script=marker), BODY)
    assert answer.body == b'{"usage":{}}'
    for name, value in kept:
        assert value in answer.header_values(name.lower()), name
    present = {name for name, _ in answer.headers}
    assert {name.lower() for name, _ in dropped} & present == set()
    assert fleet.control.rows_of(key)[0].upstream_request_id == "req_1"


def test_every_answer_says_where_it_came_from(fleet: Fleet, key: KeyToken, marker: str) -> None:
    answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key, x_sim_marker=marker), BODY)
    row = fleet.control.rows_of(key)[0]
    assert answer.header("x-switchyard-request-id") == row.exchange_id
    assert answer.header("x-switchyard-decision") == row.exchange_id
    assert answer.header("x-switchyard-provider") == "anthropic-main"
    assert answer.header("x-switchyard-model") == "claude-sonnet-4-6"
    assert answer.header("x-switchyard-attempts") == "1"
    assert answer.header("x-switchyard-policy-version") == f"{row.policy_epoch}.{row.policy_version}"
    assert answer.header("x-switchyard-pod") == row.pod_id
    assert answer.header("x-switchyard-version")
    assert answer.header("traceparent") == row.traceparent


# The caller's own subscription.

BEARER = "sk-ant-oat01-the-caller-s-own-sign-in-0123456789"


def test_a_subscription_s_bearer_travels_on(fleet: Fleet, key: KeyToken, marker: str) -> None:
    headers = [
        *ANTHROPIC.headers(None, x_sim_marker=marker),
        ("x-switchyard-key", key.text),
        ("Authorization", f"Bearer {BEARER}"),
    ]
    answer = fleet.pod.call("POST", "/v1/messages", headers, ANTHROPIC.body("my-max", streams=True))
    assert answer.status == 200, answer.text
    request = fleet.provider.request(marker)
    assert request.header_values("authorization") == [f"Bearer {BEARER}"]
    assert UPSTREAM_SECRET not in str(request.headers)
    assert key.text not in str(request.headers)
    assert json.loads(request.body)["model"] == "claude-sonnet-4-6"
    row = fleet.control.rows_of(key)[0]
    assert (row.is_subscription, row.provider_name) == (True, "claude-max")
    assert row.cost_nano_usd > 0


def test_the_bearer_goes_nowhere_else(fleet: Fleet, key: KeyToken, marker: str) -> None:
    headers = [
        *ANTHROPIC.headers(None, x_sim_marker=marker),
        ("x-switchyard-key", key.text),
        ("Authorization", f"Bearer {BEARER}"),
    ]
    assert fleet.pod.call("POST", "/v1/messages", headers, BODY).status == 200
    request = fleet.provider.request(marker)
    assert BEARER not in str(request.headers)
    assert request.header_values("x-api-key") == [UPSTREAM_SECRET]
    assert not fleet.control.rows_of(key)[0].is_subscription


def test_a_subscription_account_without_a_sign_in_is_explained(fleet: Fleet, key: KeyToken) -> None:
    body = ANTHROPIC.body("my-max", streams=True)
    answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), body)
    assert answer.status == 400
    assert "x-switchyard-key" in answer.json["error"]["message"]


def test_a_provider_s_401_for_a_subscription_is_the_caller_s_own(fleet: Fleet, key: KeyToken) -> None:
    headers = [
        *ANTHROPIC.headers(None, x_sim_behaviour="fault-401"),
        ("x-switchyard-key", key.text),
        ("Authorization", f"Bearer {BEARER}"),
    ]
    answer = fleet.pod.call("POST", "/v1/messages", headers, ANTHROPIC.body("my-max", streams=True))
    assert (answer.status, answer.header("x-switchyard-error-source")) == (401, "upstream")


def test_a_key_put_into_authorization_too_never_leaves(fleet: Fleet, key: KeyToken, marker: str) -> None:
    headers = [
        *ANTHROPIC.headers(None, x_sim_marker=marker),
        ("x-switchyard-key", key.text),
        ("Authorization", f"Bearer {BEARER}"),
        ("x-api-key", key.text),
    ]
    assert fleet.pod.call("POST", "/v1/messages", headers, ANTHROPIC.body("my-max", streams=True)).status == 200
    assert key.text not in str(fleet.provider.request(marker).headers)
