"""A session through gateway, ledger and analysis: the turn at which a cache broke, why, and what it cost."""

import secrets
from typing import Any

import pytest

from tests.end_to_end.extra_pod import ask
from tests.end_to_end.stack import Stack, until
from tests.end_to_end.test_revocation import mint_key

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

SYSTEM = "You are a careful engineer. " * 20


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"The tool {name}.", "input_schema": {"type": "object", "properties": {}}}


class Agent:
    """A client that resends its whole history with each turn, as coding tools do."""

    def __init__(self, stack: Stack, key: str) -> None:
        self._stack, self._key = stack, key
        self.session = f"session-{secrets.token_hex(8)}"
        self._messages: list[dict[str, Any]] = [{"role": "user", "content": "Mend the build. " * 80}]
        self.tools = [tool("Bash"), tool("Edit")]

    def turn(self, usage: str, command: str = "") -> None:
        """Ask; then answer the tool call that the model is taken to have made."""
        answer = ask(
            f"{self._stack.gateway_url}/v1/messages",
            {
                "model": "claude-sonnet-4-6",
                "max_tokens": 1024,
                "system": SYSTEM,
                "tools": self.tools,
                "messages": self._messages,
            },
            {
                "content-type": "application/json",
                "anthropic-version": "2023-06-01",
                "x-api-key": self._key,
                "x-claude-code-session-id": self.session,
                "user-agent": "claude-cli/2.1.329 (external, sdk-cli)",
                "x-sim-behaviour": f"sim-usage-{usage}",
            },
        )
        assert answer.status == 200, answer.body
        number = len(self._messages)
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": command or number}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "done. " * 20}
        self._messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


def test_a_broken_cache_and_a_loop_are_named_with_turn_cause_and_money(stack: Stack) -> None:
    _, key = mint_key(stack, "sessions")
    agent = Agent(stack, key)
    # $3 fresh, $0.30 read, $3.75 written for 5 minutes.
    agent.turn("in2-read0-w5m40000-out50")
    agent.turn("in2-read40000-w5m1000-out50")
    agent.turn("in2-read41000-w5m1000-out50")
    # A server of tools joins: 42,000 tokens that were there are written anew.
    agent.tools.append(tool("Search"))
    agent.turn("in2-read0-w5m43000-out50")
    for number in range(4):
        agent.turn(f"in2-read{43_000 + number * 500}-w5m500-out50", command="make")
    agent.turn("in2-read45000-w5m500-out50")

    def told() -> dict[str, Any] | None:
        rows = stack.api("GET", f"sessions?session={agent.session}")["results"]
        if not rows or rows[0]["turns"] != 9 or not rows[0]["is_analysed"]:
            return None
        found: dict[str, Any] = stack.api("GET", f"sessions/{rows[0]['id']}")
        return found

    session = until(told, 60, "the session was not looked at")
    broken, loop = session["finding_list"]
    assert (broken["kind"], broken["cause"], broken["turn"]) == ("cache_break", "tools_changed", 4)
    assert (broken["lost_tokens"], broken["cost_nano_usd"]) == (42_000, 42_000 * (3_750 - 300))
    assert broken["sentence"] == "The list of tools changed at turn 4."
    assert (loop["kind"], loop["cause"]) == ("loop", "same_tool_call")
    assert loop["sentence"].startswith("The same tool call of Bash was made 4 times")
    assert session["avoidable_nano_usd"] == broken["cost_nano_usd"] + loop["cost_nano_usd"]
    spent = stack.api("GET", "sessions/avoidable?by=session&limit=200")["groups"]
    (mine,) = [group for group in spent if group["group_id"] == session["id"]]
    assert mine["broken_nano_usd"] == broken["cost_nano_usd"]
    assert mine["loop_nano_usd"] == loop["cost_nano_usd"] > 0
