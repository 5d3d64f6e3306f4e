"""How the gateway says no: status by client, envelope by protocol, and what is always told."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from switchyard_contract import virtual_key
from switchyard_contract.reason import Reason
from switchyard_contract.virtual_key import KeyKind, KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.processes import Pod
from tests.gateway.wire import Answer

CLIENTS = {
    "claude-code": {"user_agent": "claude-cli/2.1.329 (external, sdk-cli)", "x_app": "cli"},
    "codex": {"user_agent": "codex_exec/0.160.0 (Debian 12)", "originator": "codex_exec"},
    "gemini-cli": {"user_agent": "GeminiCLI-tui/0.61.0/gemini-2.5-pro (linux; x64; terminal)"},
    "sdk": {"user_agent": "OpenAI/Python 3.52.0"},
}
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}
GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A reason that can come up, how to meet it, and what is expected. codex_status 0: the same."""

    reason: Reason
    status: int
    codex_status: int = 0
    should_retry: str | None = "false"
    retry_after: str | None = None
    model: str = ""
    credential: str = "good"
    body: bytes | None = None
    says: str = ""


CASES = (
    Case(Reason.UNAUTHENTICATED, 401, credential="none", says="No valid Switchyard key"),
    Case(Reason.UNAUTHENTICATED, 401, credential="unknown", says="No valid Switchyard key"),
    Case(Reason.KEY_REVOKED, 401, 400, credential="revoked", says="revoked"),
    Case(Reason.KEY_EXPIRED, 401, should_retry=None, credential="expired", says="expired"),
    Case(Reason.MODEL_NOT_ALLOWED, 403, 400, credential="narrow", says="may not use the model"),
    Case(Reason.NO_TARGET, 404, 400, model="nothing-like-it", says="Closest names"),
    Case(Reason.REQUEST_INVALID, 400, body=b"[]", says="JSON object"),
    Case(Reason.UPSTREAM_FAILED, 502, should_retry=None, retry_after="2", model="dead-end", says="nobody"),
)


@pytest.fixture(scope="module")
def credentials(fleet: Fleet) -> dict[str, str | None]:
    control = fleet.control
    revoked = control.mint()
    control.installation.revoke(revoked)
    control.publish("deny")
    return {
        "good": control.mint().text,
        "none": None,
        "unknown": virtual_key.mint(KeyKind.PERSONAL).text,
        "revoked": revoked.text,
        "expired": control.mint(expires_at_ms=1_000).text,
        "narrow": control.mint(models=["house-*"]).text,
    }


def refused(fleet: Fleet, dialect: Dialect, case: Case, credential: str | None, client: str) -> Answer:
    model = case.model or dialect.model
    body = dialect.body(model, streams=True) if case.body is None else case.body
    headers = dialect.headers(credential, **CLIENTS[client])
    return fleet.pod.call("POST", dialect.target(model, streams=True), headers, body)


def sentence_of(dialect: Dialect, answer: Answer) -> str:
    """The message in the protocol's own envelope, which is checked on the way."""
    value, status = answer.json, answer.status
    match dialect.name:
        case "anthropic_messages":
            assert value["type"] == "error"
            assert value["error"]["type"] == ANTHROPIC_TYPES.get(status, "api_error")
            assert value["request_id"] == answer.header("x-switchyard-request-id")
        case "gemini_content":
            assert (value["error"]["code"], value["error"]["status"]) == (status, GEMINI_STATUSES[status])
            assert isinstance(value["error"]["details"], list)
        case _:
            assert value["error"].keys() - {"reason"} == {"message", "type", "param", "code"}
    return str(value["error"]["message"])


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reason.code}-{case.credential}")
def test_a_refusal_stops_this_client_and_says_why(
    fleet: Fleet, credentials: dict[str, str | None], dialect: Dialect, case: Case
) -> None:
    for client in CLIENTS:
        answer = refused(fleet, dialect, case, credentials[case.credential], client)
        expected = case.codex_status if client == "codex" and case.codex_status else case.status
        assert answer.status == expected, client
        sentence = sentence_of(dialect, answer)
        assert case.says in sentence
        assert sentence.startswith("Switchyard: ")
        assert sentence.endswith(f"(decision {answer.header('x-switchyard-decision')})")
        assert answer.header("x-should-retry") == case.should_retry
        assert answer.header("retry-after") == case.retry_after
        assert answer.header("content-type") == "application/json"
        assert answer.header("x-switchyard-error-source") == "gateway"
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", answer.header("traceparent") or "")


def test_every_way_of_being_unknown_sounds_the_same(fleet: Fleet, key: KeyToken) -> None:
    """An outsider learns neither which ids exist nor which kinds of token there are."""
    text = key.text
    wrong_secret = virtual_key.mint(KeyKind.PERSONAL).text
    swapped = text[: text.index("_") + 13] + wrong_secret[wrong_secret.index("_") + 13 :]
    tokens = [
        "sypat_tooshort",
        text[:-1] + ("a" if text[-1] != "a" else "b"),
        swapped,
        wrong_secret,
        *(virtual_key.mint(kind).text for kind in KeyKind if kind not in virtual_key.VIRTUAL_KINDS),
        "sk-ant-something-else-entirely",
    ]
    told = set()
    for token in tokens:
        answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(token), ANTHROPIC.body("x", streams=False))
        assert answer.status == 401
        told.add(answer.text.replace(answer.header("x-switchyard-request-id") or "", "<id>"))
    assert len(told) == 1


def test_failed_authentications_are_counted_and_reported(fleet: Fleet) -> None:
    name = 'switchyard_failed_authentications_total{reason="unauthenticated"}'
    before, told = fleet.pod.metric(name), fleet.control.failed_authentications["unauthenticated", "127.0.0.1"]
    for _ in range(3):
        fleet.pod.call("POST", "/v1/messages", (), b"{}")
    assert fleet.pod.metric(name) == before + 3
    fleet.control.wait(
        lambda: fleet.control.failed_authentications["unauthenticated", "127.0.0.1"] >= told + 3,
        "the counts did not arrive",
    )


def test_two_different_keys_are_a_mistake(fleet: Fleet, key: KeyToken) -> None:
    other = virtual_key.mint(KeyKind.PERSONAL).text
    headers = [*ANTHROPIC.headers(key), ("authorization", f"Bearer {other}")]
    answer = fleet.pod.call("POST", "/v1/messages", headers, ANTHROPIC.body("x", streams=False))
    assert answer.status == 400
    assert "two different keys" in answer.text
    assert key.text not in answer.text


@pytest.mark.parametrize(
    ("asked", "closest"),
    [
        ("claude-sonet-4-6", "claude-sonnet-4-6"),
        ("gpt5.2", "gpt-5.2"),
        ("gemini-2.5", "gemini-2.5-pro"),
        ("llama-4.1-70b", "meta-llama/llama-4.1-70b"),
        ("House-Model", "house-model"),
    ],
)
def test_an_unknown_model_is_answered_with_the_closest_names(
    fleet: Fleet, key: KeyToken, asked: str, closest: str
) -> None:
    # Globs of the accounts would take what begins like a known family.
    asked = f"x{asked}" if asked[0].islower() else asked
    answer = fleet.pod.call("POST", "/v1/chat/completions", CHAT.headers(key), CHAT.body(asked, streams=False))
    assert answer.status == 404
    named = re.search(r"may use: (.+?)\. ", answer.json["error"]["message"])
    assert named is not None
    names = named[1].split(", ")
    assert len(names) == 3
    assert names[0] == closest


def test_a_narrow_key_hears_only_of_what_it_may_use(fleet: Fleet) -> None:
    key = fleet.control.mint(models=["house-model", "claude-haiku-*"])
    answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), ANTHROPIC.body("gpt", streams=False))
    assert answer.status == 404
    assert "claude-haiku-4-5, house-model" in answer.text or "house-model, claude-haiku-4-5" in answer.text
    assert "gemini" not in answer.text
    listed = fleet.pod.call("GET", "/v1/models", CHAT.headers(key)).json["data"]
    assert [model["id"] for model in listed] == ["claude-haiku-4-5", "house-model"]


def test_a_model_of_another_protocol_names_the_path_to_use(fleet: Fleet, key: KeyToken) -> None:
    body = CHAT.body("claude-sonnet-4-6", streams=False)
    answer = fleet.pod.call("POST", "/v1/chat/completions", CHAT.headers(key), body)
    assert answer.status == 404
    assert "/v1/messages" in answer.text


def test_a_switched_off_organization_is_told_so(fleet: Fleet, key: KeyToken) -> None:
    fleet.control.installation.change(is_disabled=True)
    fleet.control.publish("global")
    try:
        for dialect in DIALECTS:
            target = dialect.target(dialect.model, streams=True)
            body = dialect.body(dialect.model, streams=True)
            answer = fleet.pod.call("POST", target, dialect.headers(key), body)
            assert (answer.status, answer.header("x-should-retry")) == (403, "false")
            assert "switched off" in sentence_of(dialect, answer)
            codex = fleet.pod.call("POST", target, dialect.headers(key, originator="codex_exec"), body)
            assert codex.status == 400
    finally:
        fleet.control.installation.change(is_disabled=False)
        fleet.control.publish("global")


def test_a_pod_that_lacks_a_shard_asks_to_wait_and_does_not_say_401(fleet: Fleet, key: KeyToken) -> None:
    """The list of organizations is ahead of their shards: a second bucket of keys is promised and not there yet."""
    control = fleet.control
    payload: Any = control.installation.payload("global")
    payload.organizations[0].key_buckets = 2
    at = control.version_of("global")
    ahead = control.installation.seal("global", payload, type(at)(at.epoch, at.version + 1))
    control.offer(ahead)
    try:
        unknown = virtual_key.mint(KeyKind.PERSONAL).text
        for dialect in DIALECTS:
            target = dialect.target(dialect.model, streams=True)
            body = dialect.body(dialect.model, streams=True)
            answer = fleet.pod.call("POST", target, dialect.headers(unknown), body)
            assert answer.status == 503
            assert int(answer.header("retry-after") or 0) > 0
            assert sentence_of(dialect, answer)
    finally:
        control.publish("global")
        control.publish("global")
    answer = fleet.pod.call(
        "POST", "/v1/messages", ANTHROPIC.headers(key), ANTHROPIC.body(ANTHROPIC.model, streams=False)
    )
    assert answer.status == 200


@pytest.fixture(scope="module")
def tiny_pod(fleet: Fleet) -> Iterator[Pod]:
    """It takes two exchanges at once, and small bodies."""
    pod = Pod(
        fleet.control,
        fleet.counters_url,
        fleet.home / "tiny",
        SWITCHYARD_MAX_IN_FLIGHT="2",
        SWITCHYARD_MAX_BODY="4096",
    )
    pod.start()
    yield pod
    pod.end()


@pytest.fixture(scope="module")
def narrow_pod(fleet: Fleet) -> Iterator[Pod]:
    """It holds a MiB of large bodies."""
    pod = Pod(fleet.control, fleet.counters_url, fleet.home / "narrow", SWITCHYARD_MAX_BODIES=str(1024 * 1024))
    pod.start()
    yield pod
    pod.end()


def test_large_bodies_share_a_room_and_small_ones_need_none(narrow_pod: Pod, key: KeyToken) -> None:
    target = ANTHROPIC.target(ANTHROPIC.model, streams=True)
    slow = ANTHROPIC.headers(key, x_sim_behaviour="sim-text-60-delay20")
    large = ANTHROPIC.body(ANTHROPIC.model, streams=True, prompt="x" * 600_000)
    small = ANTHROPIC.body(ANTHROPIC.model, streams=True)
    with narrow_pod.open("POST", target, slow, large):
        refused = narrow_pod.call("POST", target, ANTHROPIC.headers(key), large)
        assert (refused.status, refused.header("retry-after")) == (429, "1")
        assert narrow_pod.call("POST", target, ANTHROPIC.headers(key), small).status == 200
    narrow_pod.settle()
    assert narrow_pod.call("POST", target, ANTHROPIC.headers(key), large).status == 200


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_full_pod_asks_to_come_back(tiny_pod: Pod, key: KeyToken, dialect: Dialect) -> None:
    target, body = dialect.target(dialect.model, streams=True), dialect.body(dialect.model, streams=True)
    slow = dialect.headers(key, x_sim_behaviour="sim-text-60-delay20")
    with tiny_pod.open("POST", target, slow, body), tiny_pod.open("POST", target, slow, body):
        answer = tiny_pod.call("POST", target, dialect.headers(key), body)
        assert (answer.status, answer.header("retry-after")) == (429, "1")
        assert answer.header("x-should-retry") is None
        assert "at its limit" in sentence_of(dialect, answer)
    tiny_pod.settle()


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_body_above_the_limit_is_told_in_the_caller_s_words(tiny_pod: Pod, key: KeyToken, dialect: Dialect) -> None:
    body = dialect.body(dialect.model, streams=True, prompt="x" * 5000)
    answer = tiny_pod.call("POST", dialect.target(dialect.model, streams=True), dialect.headers(key), body)
    assert (answer.status, answer.header("x-should-retry")) == (413, "false")
    assert "4096" in sentence_of(dialect, answer)
    codex = dialect.headers(key, originator="codex_exec")
    assert tiny_pod.call("POST", dialect.target(dialect.model, streams=True), codex, body).status == 400


def test_a_refusal_costs_the_provider_nothing(fleet: Fleet, credentials: dict[str, str | None]) -> None:
    before = fleet.provider.get("/ledger?limit=1")
    for case in CASES[:7]:
        refused(fleet, ANTHROPIC, case, credentials[case.credential], "sdk")
    assert fleet.provider.get("/ledger?limit=1") == before
