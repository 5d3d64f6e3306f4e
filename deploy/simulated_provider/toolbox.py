"""Choose, among the tools a client offers, the one that creates a file, and fill in its arguments."""

import json
import re
from dataclasses import dataclass
from typing import Any

from deploy.simulated_provider.ask import Ask, Json, OfferedTool, object_of
from deploy.simulated_provider.schema_values import fit_value
from deploy.simulated_provider.task import FileTask, read_file_task

_PATH_NAMES = (
    "file_path", "filePath", "filepath", "path", "absolute_path", "target_file", "file", "filename", "file_name",
)  # fmt: skip
_CONTENT_NAMES = ("content", "contents", "file_text", "new_content", "file_content", "text", "code_content")
_COMMAND_NAMES = ("command", "cmd", "commands", "script", "shell_command")
_PATCH_NAMES = ("patchText", "patch", "patch_text", "input", "diff")
_WRITER = re.compile(r"write|create|save|editor|new_?file", re.IGNORECASE)
_SHELL = re.compile(r"bash|shell|exec|run|terminal|command", re.IGNORECASE)
_PATCHER = re.compile(r"apply_?patch", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of an offered tool. arguments is JSON text, or free text for a custom tool."""

    tool: OfferedTool
    arguments: str

    @property
    def fields(self) -> Json:
        return object_of(json.loads(self.arguments)) if self.tool.kind != "custom" else {"input": self.arguments}


def choose_calls(ask: Ask, parallel_calls: int) -> tuple[ToolCall, ...]:
    """Decide which tools to call now; none after a tool has answered, or when nothing asks for one."""
    instruction, answered = ask.instruction()
    if not ask.tools or answered:
        return ()
    if parallel_calls:
        return tuple(_call_with_fitting_arguments(tool) for tool in ask.tools[:parallel_calls])
    task = read_file_task(instruction, ask.passages)
    candidates = ask.tools
    if ask.forced_tool not in (None, "*"):
        candidates = tuple(tool for tool in ask.tools if tool.name == ask.forced_tool)
    if task is not None and (call := call_that_creates(task, candidates)) is not None:
        return (call,)
    if ask.forced_tool is not None and candidates:
        return (_call_with_fitting_arguments(candidates[0]),)
    named = [
        tool
        for tool in ask.tools
        if re.search(rf"\b(?:use|call)\b[^.\n]{{0,30}}\b{re.escape(tool.name)}\b", instruction)
    ]
    return (_call_with_fitting_arguments(named[0]),) if named else ()


def call_that_creates(task: FileTask, tools: tuple[OfferedTool, ...]) -> ToolCall | None:
    """Build the call that creates the file: by a writing tool, else a shell, else a patch, else code.

    None when none of the tools can do it.
    """
    for build in (_write, _run, _patch, _run_code):
        for tool in tools:
            if (call := build(task, tool)) is not None:
                return call
    return None


def _write(task: FileTask, tool: OfferedTool) -> ToolCall | None:
    if tool.kind == "editor":
        return _function_call(tool, {"command": "create", "path": task.path, "file_text": task.content})
    if tool.kind != "function" or not _WRITER.search(tool.name):
        return None
    properties = object_of(tool.schema.get("properties"))
    path = next((name for name in _PATH_NAMES if name in properties), None)
    content = next((name for name in _CONTENT_NAMES if name in properties), None)
    if path is None or content is None:
        return None
    fields: Json = {path: task.path, content: task.content}
    verb = object_of(properties.get("command"))
    verbs = verb.get("enum")
    if isinstance(verbs, list):
        fitting = next((name for name in ("create", "write") if name in verbs), None)
        if fitting is None:
            return None
        fields = {"command": fitting} | fields
    elif "command" in properties:
        fields = {"command": "write" if "write" in json.dumps(verb) else "create"} | fields
    return _function_call(tool, fields)


def _run(task: FileTask, tool: OfferedTool) -> ToolCall | None:
    command = shell_command(task)
    if tool.kind == "bash":
        return _function_call(tool, {"command": command})
    if tool.kind != "function" or not _SHELL.search(tool.name):
        return None
    properties = object_of(tool.schema.get("properties"))
    name = next((name for name in _COMMAND_NAMES if name in properties), None)
    if name is None:
        return None
    value: Any = command
    if str(object_of(properties[name]).get("type")).lower() == "array":
        items = object_of(object_of(properties[name]).get("items"))
        if "properties" in items:
            field = next((key for key in _COMMAND_NAMES if key in object_of(items["properties"])), "command")
            value = [{field: command}]
        else:
            value = [command] if name == "commands" else ["bash", "-lc", command]
    return _function_call(tool, {name: value})


def _patch(task: FileTask, tool: OfferedTool) -> ToolCall | None:
    if not _PATCHER.search(tool.name):
        return None
    lines = "".join(f"+{line}\n" for line in task.content.splitlines())
    patch = f"*** Begin Patch\n*** Add File: {task.name}\n{lines}*** End Patch\n"
    if tool.kind == "custom":
        return ToolCall(tool, patch)
    name = next((name for name in _PATCH_NAMES if name in object_of(tool.schema.get("properties"))), None)
    return _function_call(tool, {name: patch}) if name is not None else None


def _run_code(task: FileTask, tool: OfferedTool) -> ToolCall | None:
    if tool.kind != "custom" or tool.name != "exec":
        return None
    command = json.dumps(shell_command(task))
    return ToolCall(tool, f"const r = await tools.exec_command({{cmd: {command}}}); text(JSON.stringify(r));")


def shell_command(task: FileTask) -> str:
    """Write the command that creates the file in a POSIX shell."""
    return f"printf '%s\\n' {_quoted(task.content.removesuffix(chr(10)))} > {_quoted(task.path)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _function_call(tool: OfferedTool, fields: Json) -> ToolCall:
    """Fill in the other required arguments, so that a strict client accepts the call."""
    properties = object_of(tool.schema.get("properties"))
    required = tool.schema.get("required")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in fields and isinstance(properties.get(name), dict):
            fields[name] = fit_value(properties[name], tool.schema)
    return ToolCall(tool, json.dumps(fields, ensure_ascii=False))


def _call_with_fitting_arguments(tool: OfferedTool) -> ToolCall:
    if tool.kind == "custom":
        return ToolCall(tool, "simulated input")
    return _function_call(tool, {})
