"""The small promises through the whole stack: who am I, which models, hello, no websocket; and keys that end otherwise
than by revocation are dead as fast."""

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.extra_pod import ANTHROPIC, Answer, ask
from tests.end_to_end.stack import Stack, until
from tests.promises import within

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


def get(stack: Stack, path: str, **headers: str) -> Answer:
    return ask(f"{stack.gateway_url}{path}", headers={name.replace("_", "-"): text for name, text in headers.items()})


def bearer(stack: Stack) -> dict[str, str]:
    return {"authorization": f"Bearer {stack.virtual_key}"}


def test_a_key_is_told_who_it_is_and_what_it_may_use(stack: Stack) -> None:
    for headers in (bearer(stack), {"x-api-key": stack.virtual_key}, {"x-switchyard-key": stack.virtual_key}):
        answer = get(stack, "/switchyard/v1/me", **headers)
        assert answer.status == 200
        found = answer.json()
        assert found["organization"]["name"] == "Acme"
        assert found["team"]["name"] == "platform"
        assert found["user"]["name"] == stack.local["admin_email"]
        assert found["key"]["name"] == "first key"
        assert stack.virtual_key.startswith(found["key"]["prefix"])
        assert {"claude-sonnet-4-6", "gpt-5.1", "gemini-2.5-pro"} <= set(found["models"])
        assert found["contact"] == stack.local["admin_email"]
        assert found["policy_version"].startswith("1.")
        assert stack.virtual_key.encode() not in answer.body
    assert get(stack, "/switchyard/v1/me").status == 401


def test_models_are_listed_in_the_shape_of_whoever_asks(stack: Stack) -> None:
    offered = set(get(stack, "/switchyard/v1/me", **bearer(stack)).json()["models"])

    as_openai = get(stack, "/v1/models", **bearer(stack)).json()
    assert as_openai["object"] == "list"
    assert {row["id"] for row in as_openai["data"]} == offered
    assert {row["object"] for row in as_openai["data"]} == {"model"}
    one = get(stack, "/v1/models/gpt-5.1", **bearer(stack)).json()
    assert one == next(row for row in as_openai["data"] if row["id"] == "gpt-5.1")

    version = {"anthropic_version": "2023-06-01", "x_api_key": stack.virtual_key}
    as_anthropic = get(stack, "/v1/models", **version).json()
    assert {row["id"] for row in as_anthropic["data"]} == offered
    assert {row["type"] for row in as_anthropic["data"]} == {"model"}
    assert as_anthropic["has_more"] is False
    assert as_anthropic["first_id"] == as_anthropic["data"][0]["id"]
    assert get(stack, "/v1/models/claude-sonnet-4-6", **version).json()["type"] == "model"

    as_gemini = get(stack, "/v1beta/models", x_goog_api_key=stack.virtual_key).json()
    assert {row["name"] for row in as_gemini["models"]} == {f"models/{name}" for name in offered}
    assert ask(f"{stack.gateway_url}/v1beta/models?key={stack.virtual_key}").json() == as_gemini
    one = get(stack, "/v1beta/models/gemini-2.5-pro", x_goog_api_key=stack.virtual_key).json()
    assert one["name"] == "models/gemini-2.5-pro"

    missing = get(stack, "/v1/models/gpt-5.11", **bearer(stack))
    assert missing.status == 404
    assert "gpt-5.11" in missing.json()["error"]["message"]


def test_hello_needs_no_key(stack: Stack) -> None:
    for path in ("/", "/api/hello"):
        answer = ask(f"{stack.gateway_url}{path}", method="HEAD")
        assert (answer.status, answer.body) == (200, b"")


def test_a_websocket_is_declined_so_that_the_client_goes_on_over_http(stack: Stack) -> None:
    address = urlsplit(stack.gateway_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    headers = {
        **bearer(stack),
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    try:
        connection.request("GET", "/v1/responses", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 426
        assert b"POST /v1/responses" in answer.read()
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Minted:
    """A key of somebody made for one test."""

    id: str
    text: str
    owner_id: str
    owner_name: str


def a_member_with_key(stack: Stack, name: str) -> Minted:
    user = stack.api("POST", "users", {"email": f"{name}@example.com", "teams": ["platform"]})
    return minted(stack, name, {"user": user["id"]}, user["id"], user["email"])


def a_service_account_with_key(stack: Stack, name: str) -> Minted:
    account = stack.api("POST", "service-accounts", {"name": name, "team": "platform"})
    return minted(stack, name, {"service_account": account["id"]}, account["id"], name)


def minted(stack: Stack, name: str, owner: dict[str, str], owner_id: str, owner_name: str) -> Minted:
    made = stack.api("POST", "keys?wait=applied", {"name": name, "owner": owner, "team": "platform"})
    return Minted(made["id"], made["key"], owner_id, owner_name)


def deactivate_user(stack: Stack, key: Minted) -> None:
    stack.api("POST", f"users/{key.owner_id}/deactivate", {"reason": "test: left"})


def switch_off_account(stack: Stack, key: Minted) -> None:
    stack.api("PATCH", f"service-accounts/{key.owner_id}", {"is_active": False})


def remove_membership(stack: Stack, key: Minted) -> None:
    (membership,) = stack.api("GET", f"memberships?user={key.owner_name}")["results"]
    stack.api("DELETE", f"memberships/{membership['id']}")


def rotate_without_grace(stack: Stack, key: Minted) -> None:
    stack.api("POST", f"keys/{key.id}/rotate", {"grace_seconds": 0})


@pytest.mark.parametrize(
    ("make", "end"),
    [
        (a_member_with_key, deactivate_user),
        (a_service_account_with_key, switch_off_account),
        (a_member_with_key, remove_membership),
        (a_member_with_key, rotate_without_grace),
    ],
    ids=["user deactivated", "service account off", "membership removed", "rotated"],
)
def test_a_key_that_ends_is_dead_on_every_pod_within_a_second(
    stack: Stack, make: Callable[[Stack, str], Minted], end: Callable[[Stack, Minted], None]
) -> None:
    key = make(stack, f"ends-{end.__name__.replace('_', '-')}")
    pods = {ask_briefly(stack, key.text).headers["x-switchyard-pod"] for _ in range(30)}
    assert len(pods) == len(stack.local["pod_admin_urls"]), "not every pod was asked"
    end(stack, key)
    ended_s = time.monotonic()
    last_success_s, refused_by = 0.0, set()
    while time.monotonic() < ended_s + 2.5:
        sent_s = time.monotonic()
        answer = ask_briefly(stack, key.text)
        if answer.status == 200:
            last_success_s = sent_s
        else:
            assert answer.status == 401, answer.body
            refused_by.add(answer.headers["x-switchyard-pod"])
    assert last_success_s - ended_s < within(1)
    assert refused_by == pods


def test_a_person_who_comes_back_has_working_keys_again(stack: Stack) -> None:
    key = a_member_with_key(stack, "comes-back")
    deactivate_user(stack, key)
    until(lambda: ask_briefly(stack, key.text).status == 401, 2, "still served")
    stack.api("POST", f"users/{key.owner_id}/reactivate", {"reason": "test: came back"})

    def is_served_by_all() -> bool:
        return all(ask_briefly(stack, key.text).status == 200 for _ in range(20))

    # At once as a rule. A pod whose counter store was lost shortly before distrusts it for a minute.
    until(is_served_by_all, 75, "the key does not work again")


def ask_briefly(stack: Stack, key: str) -> Answer:
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return ask(f"{stack.gateway_url}/v1/messages", body, {**ANTHROPIC, "authorization": f"Bearer {key}"})
