"""The tool call that each client's own tools make of the same sentence."""

import json
from typing import Any

import pytest

from deploy.simulated_provider import anthropic_messages, gemini_content, openai_chat, openai_responses
from deploy.simulated_provider.ask import Ask, OfferedTool, Passage
from deploy.simulated_provider.task import GREETING
from deploy.simulated_provider.toolbox import choose_calls

SHELL = f"printf '%s\\n' '{GREETING}' > '/tmp/work/hello.txt'"
WRITTEN = {"file_path": "/tmp/work/hello.txt", "content": f"{GREETING}\n"}


def read(request: Any) -> Ask:
    path, body = request["path"].partition("?")[0], request["body"]
    if path == "/v1/messages":
        return anthropic_messages.read_ask(body)
    if path == "/v1/responses":
        return openai_responses.read_ask(body)
    if path == "/v1/chat/completions":
        return openai_chat.read_ask(body)
    return gemini_content.read_ask("gemini-2.5-pro", body, streams=True)


@pytest.mark.parametrize(
    ("client", "tool", "namespace", "arguments"),
    [
        ("claude-code", "Write", None, WRITTEN),
        ("claude-code-newmodel", "Write", None, WRITTEN),
        ("codex", "exec_command", None, {"cmd": SHELL}),
        ("gemini-cli", "write_file", None, WRITTEN),
        ("opencode", "bash", None, {"command": SHELL}),
        ("opencode-openai", "bash", None, {"command": SHELL}),
    ],
)
def test_a_recorded_client_gets_a_call_of_its_own_tool(
    client_request: Any, client: str, tool: str, namespace: str | None, arguments: dict[str, str]
) -> None:
    (call,) = choose_calls(read(client_request(client)), 0)
    assert (call.tool.name, call.tool.namespace, json.loads(call.arguments)) == (tool, namespace, arguments)


def test_code_mode_gets_javascript_in_its_namespace(client_request: Any) -> None:
    (call,) = choose_calls(read(client_request("codex-codemode")), 0)
    assert (call.tool.name, call.tool.namespace, call.tool.kind) == ("exec", "functions", "custom")
    assert call.arguments == (
        f"const r = await tools.exec_command({{cmd: {json.dumps(SHELL)}}}); text(JSON.stringify(r));"
    )


@pytest.mark.parametrize("client", ["opencode-title", "aider"])
def test_a_request_without_tools_gets_no_call(client_request: Any, client: str) -> None:
    assert choose_calls(read(client_request(client)), 0) == ()


def ask_with(*tools: OfferedTool, text: str = "Create a file named hello.txt", forced: str | None = None) -> Ask:
    passages = (Passage("system", "Working directory: /tmp/work"), Passage("user", text))
    return Ask("openai_chat", "m", False, passages, tools, forced)


def function(name: str, *required: str, **properties: Any) -> OfferedTool:
    return OfferedTool(name, "function", {"type": "object", "properties": properties, "required": list(required)})


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (
            function("write", filePath=TEXT, content=TEXT),
            {"filePath": "/tmp/work/hello.txt", "content": f"{GREETING}\n"},
        ),
        (
            function("create_new_file", filepath=TEXT, contents=TEXT),
            {"filepath": "/tmp/work/hello.txt", "contents": f"{GREETING}\n"},
        ),
        (
            function(
                "developer__text_editor",
                command={"type": "string", "enum": ["view", "write", "str_replace"]},
                path=TEXT,
                file_text=TEXT,
            ),
            {"command": "write", "path": "/tmp/work/hello.txt", "file_text": f"{GREETING}\n"},
        ),
        (
            function("write_to_file", "path", "content", "requires_approval", path=TEXT, content=TEXT,
                     requires_approval={"type": "boolean"}),
            {"path": "/tmp/work/hello.txt", "content": f"{GREETING}\n", "requires_approval": True},
        ),
        (function("run_commands", commands={"type": "array", "items": TEXT}), {"commands": [SHELL]}),
        (function("shell", command={"type": "array", "items": TEXT}), {"command": ["bash", "-lc", SHELL]}),
        (
            function("apply_patch", patchText=TEXT),
            {"patchText": f"*** Begin Patch\n*** Add File: hello.txt\n+{GREETING}\n*** End Patch\n"},
        ),
        (OfferedTool("bash", "bash", {}), {"command": SHELL}),
        (
            OfferedTool("str_replace_based_edit_tool", "editor", {}),
            {"command": "create", "path": "/tmp/work/hello.txt", "file_text": f"{GREETING}\n"},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, OfferedTool) else "",
)  # fmt: skip
def test_the_call_follows_the_tools_schema(tool: OfferedTool, arguments: dict[str, Any]) -> None:
    (call,) = choose_calls(ask_with(function("read_file", path=TEXT), tool), 0)
    assert call.tool is tool
    assert json.loads(call.arguments) == arguments


def test_a_free_form_patch_is_written_as_text() -> None:
    (call,) = choose_calls(ask_with(OfferedTool("apply_patch", "custom", {})), 0)
    assert call.arguments == f"*** Begin Patch\n*** Add File: hello.txt\n+{GREETING}\n*** End Patch\n"


def test_after_a_tools_result_there_is_no_further_call() -> None:
    asked = ask_with(function("write", path=TEXT, content=TEXT))
    answered = (
        *asked.passages,
        Passage("assistant", ""),
        Passage("tool_result", ""),
        Passage("user", "<system-reminder>"),
    )
    assert choose_calls(Ask("openai_chat", "m", False, answered, asked.tools), 0) == ()


def test_a_new_task_after_a_result_is_a_new_call() -> None:
    asked = ask_with(function("write", path=TEXT, content=TEXT))
    again = (*asked.passages, Passage("tool_result", ""), Passage("user", "Now create a file named two.txt"))
    (call,) = choose_calls(Ask("openai_chat", "m", False, again, asked.tools), 0)
    assert json.loads(call.arguments)["path"] == "/tmp/work/two.txt"


def test_a_forced_or_named_tool_is_called_with_its_required_arguments() -> None:
    days = {"type": "integer", "minimum": 2}
    weather = function("get_weather", "city", "days", city=TEXT, days=days, unit=TEXT)
    forced = choose_calls(ask_with(weather, text="Hi", forced="*"), 0)
    named = choose_calls(ask_with(weather, text="Please use get_weather now."), 0)
    assert [json.loads(call.arguments) for call in (*forced, *named)] == [{"city": "simulated", "days": 2}] * 2
    assert choose_calls(ask_with(weather, text="Hi"), 0) == ()


def test_several_calls_at_once_are_made_on_demand() -> None:
    tools = (function("a"), function("b"), function("c"))
    assert [call.tool.name for call in choose_calls(ask_with(*tools, text="Hi"), 2)] == ["a", "b"]
