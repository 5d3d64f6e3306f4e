"""Which tool calls, and in which session."""

import pytest

from data_plane.protocols.client import KNOWN_CLIENTS, identify, place, read_tool
from data_plane.protocols.codec import Client, RequestHead, SessionHints
from tests.data_plane.protocols.transcripts import capture, head

PATH = "/v1/messages"


@pytest.mark.parametrize(
    ("agent", "name", "version"),
    [
        ("claude-cli/2.1.329 (external, sdk-cli)", "claude-code", "2.1.329"),
        ("claude-cli/0.24.4 (external, cli)", "qwen-code", "0.24.4"),
        ("QwenCode/0.24.4 (linux; x64)", "qwen-code", "0.24.4"),
        ("GeminiCLI-tui/0.61.0/gemini-2.5-pro (linux; x64; terminal)", "gemini-cli", "0.61.0"),
        ("opencode/1.18.33 ai-sdk/provider-utils/4.0.23 runtime/bun/1.3.14", "opencode", "1.18.33"),
        ("ai-sdk/openai-compatible/3.0.37 ai-sdk/provider-utils/4.0.23", "ai-sdk", "3.0.37"),
        ("litellm/1.81.10", "aider", "1.81.10"),
        ("Agents/Python 0.24.0", "openai-agents", "0.24.0"),
        ("Anthropic/JS 1.11.0", "anthropic-sdk", "1.11.0"),
        ("OpenAI/Python 3.52.0", "openai-sdk", "3.52.0"),
        ("google-genai-sdk/3.4.0 gl-python/3.11.7", "google-genai-sdk", "3.4.0"),
        ("curl/8.5.0", "curl", "8.5.0"),
        ("node-fetch", "node-fetch", ""),
        ("ls/JS 5.23.2", "ls", "5.23.2"),
        ("", "", ""),
        ("\x01\x02", "", ""),
    ],
)
def test_user_agents(agent: str, name: str, version: str) -> None:
    found = identify(head(PATH, user_agent=agent))

    assert (found.name, found.version) == (name, version)


def test_codex_names_itself_as_originator_and_its_sub_agents_by_thread() -> None:
    main = identify(head(PATH, originator="codex_exec", user_agent="codex_exec/0.169.0", session_id="s", thread_id="s"))
    sub = identify(
        head(PATH, originator="codex_vscode", user_agent="x", version="0.170.0", session_id="s", thread_id="t")
    )

    assert main == Client("codex", "0.169.0", "s")
    assert sub == Client("codex", "0.170.0", "s", agent_id="t")


def test_goose_has_no_name_and_its_counter_is_unique_only_with_the_key() -> None:
    request = head(PATH, agent_session_id="20261121_1")

    assert identify(request, None, "KEY") == Client("goose", "", "20261121_1@KEY")


def test_sub_agents_and_parents() -> None:
    claude = identify(head(PATH, x_claude_code_session_id="s", x_claude_code_agent_id="a"))
    opencode = identify(head(PATH, x_session_id="child", x_parent_session_id="parent"))

    assert (claude.session_id, claude.agent_id) == ("s", "a")
    assert (opencode.session_id, opencode.parent_session_id) == ("child", "parent")


@pytest.mark.parametrize(
    ("headers", "agent_id"),
    [
        ({"session_id": "s", "thread_id": "s"}, ""),
        ({"session-id": "s"}, ""),
        ({"thread_id": "s"}, ""),
        ({"thread_id": "t", "x_codex_parent_thread_id": "s"}, "t"),
        ({"session-id": "s", "thread-id": "t", "x-codex-parent-thread-id": "s"}, "t"),
        ({"session-id": "s", "thread-id": "u", "x-codex-parent-thread-id": "t", "x-openai-subagent": "x"}, "u"),
        ({"session-id": "s", "thread-id": "s", "x-openai-subagent": "compact"}, ""),
        ({"session-id": "s", "x-openai-subagent": "review"}, "review"),
        ({"session-id": "s", "x-openai-subagent": "compact"}, ""),
    ],
)
def test_a_thread_of_codex_is_an_agent_where_it_is_not_the_session_s_own(
    headers: dict[str, str], agent_id: str
) -> None:
    found = identify(head(PATH, originator="codex_exec", user_agent="codex_exec/0.169.0", **headers))

    assert (found.agent_id, found.parent_session_id) == (agent_id, "")


@pytest.mark.parametrize("name", ["codex", "codex-builtin", "codex-codemode", "claude-code", "opencode", "gemini-cli"])
def test_what_was_recorded_of_main_conversations_is_no_sub_agent(name: str) -> None:
    for request_head, _ in capture(name):
        found = identify(request_head)
        assert (found.agent_id, found.parent_session_id) == ("", "")


@pytest.mark.parametrize(
    ("headers", "agent_id"),
    [
        ({"x_claude_code_agent_id": "a1"}, "a1"),
        ({"x_claude_code_agent_id": "a1", "x_claude_code_request_class": "subagent"}, "a1"),
        ({"x_claude_code_request_class": "subagent", "x_claude_code_agent_type": "Explore"}, "Explore"),
        ({"x_claude_code_request_class": "workflow"}, "workflow"),
        ({"x_claude_code_request_class": "main", "x_claude_code_agent_id": "a1"}, ""),
        ({"x_claude_code_request_class": "compaction"}, ""),
        ({"x_claude_code_request_class": "auxiliary"}, ""),
        ({"x_claude_code_request_class": "to be"}, ""),
    ],
)
def test_the_hints_of_claude_code_tell_its_sub_agents(headers: dict[str, str], agent_id: str) -> None:
    found = identify(head(PATH, user_agent="claude-cli/2.1.329", x_claude_code_session_id="s", **headers))

    assert (found.session_id, found.agent_id) == ("s", agent_id)


def test_no_session_is_its_own_child() -> None:
    assert identify(head(PATH, x_session_id="s", x_parent_session_id="s")).parent_session_id == ""


@pytest.mark.parametrize("name", ["x_switchyard_session", "helicone_session_id", "x_portkey_trace_id"])
def test_our_own_header_wins_over_the_tool_s(name: str) -> None:
    assert identify(head(PATH, x_claude_code_session_id="tool", **{name: "mine"})).session_id == "mine"


def test_a_session_is_kept_short_and_printable() -> None:
    assert identify(head(PATH, x_switchyard_session="a\x07b" + "c" * 900)).session_id == "ab" + "c" * 197


def test_names_for_metrics_are_a_closed_set() -> None:
    assert {"claude-code", "codex", "gemini-cli", "opencode"} <= KNOWN_CLIENTS


def test_an_sdk_inside_of_litellm_is_known_by_its_raw_answers() -> None:
    aider, _ = capture("aider")[0]
    plain, _ = capture("sdk-py-chat")[0]

    assert read_tool(aider).client.is_wrapped
    assert not read_tool(plain).client.is_wrapped
    named = RequestHead("POST", "/v1/messages", "", ((b"user-agent", b"litellm/1.81.10"),))
    assert read_tool(named).client.is_wrapped
    assert place(read_tool(aider), SessionHints("s1"), "k").is_wrapped
