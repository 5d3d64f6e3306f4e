"""What a refusal looks like to each protocol and client; the official SDKs are the judges."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors

from data_plane.policy.decision import Refusal, RuleNumbers
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.codec import Client
from switchyard_contract.reason import Reason
from tests.data_plane.protocols.loopback import Play, playing
from tests.data_plane.protocols.transcripts import stream

DECISION = "01K0DECISION0000000000000A"
CLAUDE = Client("claude-code", "2.1.329")
CODEX = Client("codex", "0.169.0")
PROTOCOLS = sorted(CODECS)


def status_of(reason: Reason, client: Client, protocol: str = "openai_responses") -> int:
    return CODECS[protocol].write_refusal(Refusal(reason), client, DECISION).status


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_said_in_every_protocol_with_its_sentence_and_decision(protocol: str, reason: Reason) -> None:
    answer = CODECS[protocol].write_refusal(Refusal(reason), CLAUDE, DECISION)

    error = json.loads(answer.body)["error"]
    assert answer.status == reason.http_status
    assert reason.sentence in error["message"]
    assert DECISION in error["message"]
    assert (b"content-type", b"application/json") in answer.headers


@pytest.mark.parametrize("reason", list(Reason))
def test_a_final_no_stops_retries_and_a_passing_one_says_how_long(reason: Reason) -> None:
    headers = dict(CODECS["anthropic_messages"].write_refusal(Refusal(reason), CLAUDE, DECISION).headers)

    if reason is Reason.KEY_EXPIRED:
        assert b"x-should-retry" not in headers  # apiKeyHelper fetches a new key after it
    elif reason.waiting_helps:
        assert b"x-should-retry" not in headers
        assert (b"retry-after" in headers) == (reason.http_status in (429, 503))
    else:
        assert headers[b"x-should-retry"] == b"false"


def test_nobody_waits_for_a_rate_that_the_request_never_fits() -> None:
    numbers = RuleNumbers("rate", "ci", "input_tokens", used=0, limit=100, period="minute")
    refusal = Refusal(Reason.RATE_LIMITED, numbers=numbers)
    headers = dict(CODECS["anthropic_messages"].write_refusal(refusal, CLAUDE, DECISION).headers)
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers


def test_codex_is_told_in_the_one_status_that_stops_it() -> None:
    assert status_of(Reason.MODEL_NOT_ALLOWED, CODEX) == 400
    assert status_of(Reason.NO_TARGET, CODEX) == 400
    assert status_of(Reason.BUDGET_EXCEEDED, CODEX) == 400
    assert status_of(Reason.ORGANIZATION_DISABLED, CODEX) == 400
    assert status_of(Reason.KEY_REVOKED, CODEX) == 400
    assert status_of(Reason.KEY_EXPIRED, CODEX) == 401
    assert status_of(Reason.UNAUTHENTICATED, CODEX) == 401
    assert status_of(Reason.POLICY_PENDING, CODEX) == 503


RESETS_AT_MS = 1_795_388_400_000
"""2026-11-23 00:00 in Berlin, an hour before midnight in UTC."""
DAILY = Refusal(
    Reason.BUDGET_EXCEEDED,
    numbers=RuleNumbers(
        kind="budget",
        rule_name="engineer-daily",
        unit="nano_usd",
        used=10_020_000_000,
        limit=10_000_000_000,
        period="day",
        resets_at_ms=RESETS_AT_MS,
        timezone="Europe/Berlin",
        contact="finance@example.com",
        told=("the team lead",),
        counts="ada@example.com",
    ),
)


def test_codex_is_told_of_a_budget_in_its_own_form_with_our_words_beside_it() -> None:
    answer = CODECS["openai_responses"].write_refusal(DAILY, CODEX, DECISION)

    error = json.loads(answer.body)["error"]
    headers = dict(answer.headers)
    assert (answer.status, error["type"], error["resets_at"]) == (429, "usage_limit_reached", RESETS_AT_MS // 1000)
    assert b'The budget "engineer-daily" is spent: $10.02 of $10.00 a day' in headers[b"x-codex-promo-message"]
    assert headers[b"x-codex-promo-message"].isascii()
    assert b"retry-after" not in headers


def test_a_line_break_in_a_rules_name_stays_out_of_the_header() -> None:
    assert DAILY.numbers is not None
    odd = replace(DAILY, numbers=replace(DAILY.numbers, rule_name="a\r\nx-evil: 1 ü"))
    headers = dict(CODECS["openai_responses"].write_refusal(odd, CODEX, DECISION).headers)

    assert b"a x-evil: 1 ?" in headers[b"x-codex-promo-message"]
    assert b"\n" not in headers[b"x-codex-promo-message"]


def test_codex_gets_a_400_under_the_code_whose_message_it_shows_alone() -> None:
    answer = CODECS["openai_responses"].write_refusal(Refusal(Reason.SESSION_CAP), CODEX, DECISION)

    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["reason"]) == (400, "invalid_prompt", "session_cap")
    assert error["message"] == f"Switchyard: This session has reached its cap. (decision {DECISION})"


@pytest.mark.parametrize(
    ("protocol", "status", "kind"),
    [
        ("anthropic_messages", 402, "billing_error"),
        ("openai_chat", 402, "insufficient_quota"),
        ("openai_responses", 402, "insufficient_quota"),
    ],
)
def test_a_spent_budget_is_402_of_the_protocols_own_kind(protocol: str, status: int, kind: str) -> None:
    answer = CODECS[protocol].write_refusal(DAILY, Client("opencode"), DECISION)

    assert (answer.status, json.loads(answer.body)["error"]["type"]) == (status, kind)
    assert dict(answer.headers)[b"x-should-retry"] == b"false"
    assert b"retry-after" not in dict(answer.headers)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("client", [CLAUDE, CODEX, Client("opencode"), Client()], ids=lambda client: client.name)
def test_an_organization_that_counts_429s_gets_them(protocol: str, client: Client) -> None:
    answer = CODECS[protocol].write_refusal(replace(DAILY, http_status=429), client, DECISION)

    error = json.loads(answer.body)["error"]
    headers = dict(answer.headers)
    assert (answer.status, headers[b"x-should-retry"]) == (429, b"false")
    assert b"retry-after" not in headers
    if protocol == "anthropic_messages":
        assert error["type"] == "billing_error"
    elif protocol == "gemini_content":
        # Above 300 s Gemini CLI stops at once.
        assert error["details"][-1]["retryDelay"] == "3600s"
    else:
        assert error["type"] == ("usage_limit_reached" if client is CODEX else "insufficient_quota")


@pytest.mark.parametrize(
    ("client", "status"),
    [
        (CLAUDE, 429),
        (CODEX, 429),
        (Client("opencode"), 402),
        (Client("cline"), 402),
        (Client("google-genai-sdk"), 402),
        (Client("curl"), 429),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_after_a_rate_limit_that_ends_in_hours_nobody_waits_in_silence(client: Client, status: int) -> None:
    answer = CODECS["openai_chat"].write_refusal(Refusal(Reason.RATE_LIMITED, retry_after_s=7200), client, DECISION)

    headers = dict(answer.headers)
    assert answer.status == status
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers


OPENCODE_TRIES_AGAIN = re.compile(
    r"429|500|502|503|504|524|rate increased too quickly|rate limit|rate-limit|rate_limit|too many requests|overloaded|"
    r"service unavailable|internal error|server error|server_error|try again (?:later|in)|resource exhausted",
    re.IGNORECASE,
)
"""From opencode 1.18.33: what in an error's text makes it try again."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.waiting_helps] + [Reason.RATE_LIMITED])
def test_opencode_finds_nothing_in_a_final_refusal_that_would_pass_by(protocol: str, reason: Reason) -> None:
    assert DAILY.numbers is not None
    odd = replace(DAILY.numbers, rule_name="ci-rate-limit-500", used=502 * 10**9, limit=500 * 10**9)
    refusal = replace(DAILY, reason=reason, numbers=odd, retry_after_s=7200)
    answer = CODECS[protocol].write_refusal(refusal, Client("opencode"), "01K0D5O042950350050400000A")

    assert OPENCODE_TRIES_AGAIN.search(answer.body.decode()) is None
    # What is put between is not seen.
    said = json.loads(answer.body)["error"]["message"].replace("\u2060", "")
    assert "ci-rate-limit-500" in said
    assert "01K0D5O042950350050400000A" in said


@pytest.mark.parametrize("client", [Client("aider", is_wrapped=True), Client("openai-sdk", is_wrapped=True)])
@pytest.mark.parametrize("reason", [Reason.BUDGET_EXCEEDED, Reason.MODEL_NOT_ALLOWED, Reason.SESSION_CAP])
def test_litellm_is_told_in_a_status_that_it_does_not_try_again(client: Client, reason: Reason) -> None:
    assert CODECS["openai_chat"].write_refusal(Refusal(reason), client, DECISION).status == 400
    assert CODECS["openai_chat"].write_refusal(Refusal(Reason.KEY_REVOKED), client, DECISION).status == 401
    late = Refusal(Reason.RATE_LIMITED, retry_after_s=7200)
    assert CODECS["openai_chat"].write_refusal(late, client, DECISION).status == 400


@pytest.mark.parametrize("client", [CLAUDE, CODEX, Client("opencode"), Client()], ids=lambda client: client.name)
def test_after_a_short_rate_limit_every_client_is_told_to_wait(client: Client) -> None:
    answer = CODECS["openai_responses"].write_refusal(Refusal(Reason.RATE_LIMITED, retry_after_s=4), client, DECISION)

    assert (answer.status, dict(answer.headers)[b"retry-after"]) == (429, b"4")
    assert b"x-should-retry" not in dict(answer.headers)


def test_the_wait_of_the_refusal_is_passed_on_in_header_and_details() -> None:
    answer = CODECS["gemini_content"].write_refusal(Refusal(Reason.RATE_LIMITED, retry_after_s=17), Client(), DECISION)

    assert (b"retry-after", b"17") in answer.headers
    details = json.loads(answer.body)["error"]["details"]
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"} in details


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.UNAUTHENTICATED, anthropic.AuthenticationError),
        (Reason.MODEL_NOT_ALLOWED, anthropic.PermissionDeniedError),
        (Reason.NO_TARGET, anthropic.NotFoundError),
        (Reason.BUDGET_EXCEEDED, anthropic.APIStatusError),
        (Reason.REQUEST_INVALID, anthropic.BadRequestError),
    ],
)
def test_the_anthropic_sdk_raises_its_own_class_after_one_request(reason: Reason, kind: type[Exception]) -> None:
    answer = CODECS["anthropic_messages"].write_refusal(Refusal(reason), Client(), DECISION)
    play = Play(answer.status, answer.headers, answer.body)

    with (
        playing(play) as url,
        anthropic.Anthropic(base_url=url, api_key="k", max_retries=3) as client,
        pytest.raises(kind) as raised,
    ):
        client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}])

    assert reason.sentence in str(raised.value)
    assert len(play.requests) == 1


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.UNAUTHENTICATED, openai.AuthenticationError),
        (Reason.MODEL_NOT_ALLOWED, openai.PermissionDeniedError),
        (Reason.NO_TARGET, openai.NotFoundError),
        (Reason.BUDGET_EXCEEDED, openai.APIStatusError),
    ],
)
def test_the_openai_sdk_raises_its_own_class_after_one_request(reason: Reason, kind: type[Exception]) -> None:
    answer = CODECS["openai_chat"].write_refusal(Refusal(reason), Client(), DECISION)
    play = Play(answer.status, answer.headers, answer.body)

    with (
        playing(play) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=3) as client,
        pytest.raises(kind) as raised,
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert reason.sentence in str(raised.value)
    assert len(play.requests) == 1


@pytest.mark.parametrize("reason", [Reason.UNAUTHENTICATED, Reason.MODEL_NOT_ALLOWED, Reason.BUDGET_EXCEEDED])
def test_the_google_sdk_raises_its_own_class_after_one_request(reason: Reason) -> None:
    answer = CODECS["gemini_content"].write_refusal(Refusal(reason), Client(), DECISION)
    play = Play(answer.status, answer.headers, answer.body)

    with playing(play) as url:
        client = genai.Client(api_key="k", http_options={"base_url": url})
        with pytest.raises(genai_errors.ClientError) as raised:
            client.models.generate_content(model="m", contents="hi")

    assert reason.sentence in str(raised.value)
    assert len(play.requests) == 1


@pytest.mark.parametrize("protocol", ["anthropic_messages", "openai_chat", "openai_responses", "gemini_content"])
def test_the_sdks_raise_our_sentence_when_an_answer_may_not_go_on(protocol: str) -> None:
    name, reader, kind = READERS[protocol]
    begun = b"".join(stream(name).events[:2])
    play = Play(
        200,
        ((b"content-type", b"text/event-stream"),),
        begun + CODECS[protocol].stream_failure(DAILY, DECISION),
        aborts=True,
    )

    with playing(play) as url, pytest.raises(kind, match="engineer-daily"):
        list(reader(url))


TRUNCATED = Refusal(Reason.UPSTREAM_TRUNCATED, "Provider anthropic-main broke off.")


def read_anthropic(url: str) -> Iterator[object]:
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield from client.messages.create(
            model="m", max_tokens=5, stream=True, messages=[{"role": "user", "content": "hi"}]
        )


def read_chat(url: str) -> Iterator[object]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield from client.chat.completions.create(model="m", stream=True, messages=[{"role": "user", "content": "hi"}])


def read_responses(url: str) -> Iterator[object]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield from client.responses.create(model="m", stream=True, input="hi")


def read_gemini(url: str) -> Iterator[object]:
    client = genai.Client(api_key="k", http_options={"base_url": url})
    yield from client.models.generate_content_stream(model="m", contents="hi")


READERS: dict[str, tuple[str, Callable[[str], Iterator[Any]], type[Exception]]] = {
    "anthropic_messages": ("anthropic_text", read_anthropic, anthropic.APIStatusError),
    "openai_chat": ("chat_text", read_chat, openai.APIError),
    "openai_responses": ("responses_text", read_responses, openai.APIError),
    "gemini_content": ("gemini_text", read_gemini, genai_errors.APIError),
}


@pytest.mark.parametrize("protocol", sorted(READERS))
def test_the_sdks_raise_our_sentence_when_a_stream_fails_in_the_middle(protocol: str) -> None:
    name, reader, kind = READERS[protocol]
    begun = b"".join(stream(name).events[:2])
    failure = CODECS[protocol].stream_failure(TRUNCATED, DECISION)
    play = Play(200, ((b"content-type", b"text/event-stream"),), begun + failure, aborts=True)

    with playing(play) as url, pytest.raises(kind, match="broke off"):
        list(reader(url))


@pytest.mark.parametrize("protocol", sorted(READERS))
def test_the_sdks_read_on_over_signs_of_life(protocol: str) -> None:
    name, reader, _ = READERS[protocol]
    transcript = stream(name)
    sign = CODECS[protocol].keep_alive
    quiet = Play(200, ((b"content-type", b"text/event-stream"),), transcript.wire)
    lively = Play(200, quiet.headers, sign + sign.join(transcript.events))

    with playing(quiet) as url:
        expected = [repr(event) for event in reader(url)]
    with playing(lively) as url:
        seen = [repr(event) for event in reader(url) if "RawMessagePing" not in repr(event)]

    plain = [event for event in expected if "type='ping'" not in event]
    assert [event for event in seen if "type='ping'" not in event] == plain


@pytest.mark.parametrize("protocol", sorted(READERS))
def test_a_failure_event_is_an_end_to_our_own_tap(protocol: str) -> None:
    transcript = stream(READERS[protocol][0])
    tap = transcript.codec.tap(transcript.facts, streamed=True)
    tap.feed(transcript.events[0])
    tap.feed(transcript.codec.stream_failure(TRUNCATED, DECISION))

    assert tap.has_ended
    assert tap.finish().error_type
