"""The coding tools and official SDKs that are told no, and how each is started.

The SDKs are run as they come: their own number of attempts, except google-genai's, which makes one unless told.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.clients.installing import AIDER, NODE_BIN
from tests.clients.tools import PROMPT, TOOLS, Run

PACKAGES = {
    "claude-code": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "codex-builtin": "@openai/codex",
    "gemini-cli": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "anthropic-js": "@anthropic-ai/sdk",
    "openai-js": "openai",
    "google-genai-js": "@google/genai",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A client. aside: how many further requests it makes beside the one that is refused (a title for the session).

    takes_turns: it works in a loop of calls and results, so that a session of it can reach a cap.
    """

    name: str
    prepare: Callable[[str, str], Run]
    aside: int = 0
    takes_turns: bool = False

    @property
    def version(self) -> str:
        package = PACKAGES.get(self.name)
        if package is not None:
            told = json.loads((NODE_BIN.parent / package / "package.json").read_text(encoding="utf-8"))
            return str(told["version"])
        if self.name == "aider":
            return AIDER.rpartition("=")[2]
        from importlib.metadata import version

        return version({"anthropic": "anthropic", "google-genai": "google-genai"}.get(self.name, "openai"))


def _aider(base_url: str, key: str) -> Run:
    return Run(
        (
            "aider",
            "--model",
            "openai/gpt-5.1",
            "--weak-model",
            "openai/gpt-5.1",
            "--message",
            PROMPT,
            "--yes-always",
            "--no-git",
            "--no-check-update",
            "--no-show-release-notes",
            "--no-show-model-warnings",
            "--analytics-disable",
            "--no-pretty",
            "hello.txt",
        ),
        {"OPENAI_API_BASE": f"{base_url}/v1", "OPENAI_API_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        {},
    )


_MESSAGES = '[{"role": "user", "content": "hi"}]'
_SCRIPTS = {
    "anthropic": f"""import anthropic, os
client = anthropic.Anthropic(base_url=os.environ["BASE"], api_key=os.environ["KEY"])
with client.messages.stream(model="claude-sonnet-4-6", max_tokens=64, messages={_MESSAGES}) as stream:
    print("ANSWER", stream.get_final_text())
""",
    "openai-chat": f"""import openai, os
client = openai.OpenAI(base_url=os.environ["BASE"] + "/v1", api_key=os.environ["KEY"])
answer = client.chat.completions.create(model="gpt-5.1", messages={_MESSAGES})
print("ANSWER", answer.choices[0].message.content)
""",
    "openai-responses": """import openai, os
client = openai.OpenAI(base_url=os.environ["BASE"] + "/v1", api_key=os.environ["KEY"])
print("ANSWER", client.responses.create(model="gpt-5.1", input="hi").output_text)
""",
    "google-genai": """import os
from google import genai
from google.genai import types
retries = types.HttpRetryOptions(attempts=4, initial_delay=2)
options = types.HttpOptions(base_url=os.environ["BASE"], retry_options=retries)
client = genai.Client(api_key=os.environ["KEY"], http_options=options)
print("ANSWER", client.models.generate_content(model="gemini-2.5-pro", contents="hi").text)
""",
}
_MODULES = {
    "anthropic-js": f"""import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({{ baseURL: process.env.BASE, apiKey: process.env.KEY }});
const body = {{ model: "claude-sonnet-4-6", max_tokens: 64, messages: {_MESSAGES} }};
console.log("ANSWER", (await client.messages.create(body)).content);
""",
    "openai-js": f"""import OpenAI from "openai";
const client = new OpenAI({{ baseURL: process.env.BASE + "/v1", apiKey: process.env.KEY }});
const answer = await client.chat.completions.create({{ model: "gpt-5.1", messages: {_MESSAGES} }});
console.log("ANSWER", answer.choices[0].message.content);
""",
    "google-genai-js": """import { GoogleGenAI } from "@google/genai";
const retryOptions = { attempts: 4 };
const client = new GoogleGenAI({ apiKey: process.env.KEY, httpOptions: { baseUrl: process.env.BASE, retryOptions } });
console.log("ANSWER", (await client.models.generateContent({ model: "gemini-2.5-pro", contents: "hi" })).text);
""",
}


def _python(name: str) -> Callable[[str, str], Run]:
    return lambda url, key: Run((sys.executable, "-c", _SCRIPTS[name]), {"BASE": url, "KEY": key}, {})


def _node(name: str) -> Callable[[str, str], Run]:
    # Modules are looked up from the file's own folder, so the program lies beside them.
    program = NODE_BIN.parents[1] / f"{name}.mjs"

    def prepare(url: str, key: str) -> Run:
        program.write_text(_MODULES[name], encoding="utf-8")
        return Run(("node", str(program)), {"BASE": url, "KEY": key}, {})

    return prepare


REFUSED: tuple[Refused, ...] = (
    *(Refused(tool.name, tool.prepare, 1 if tool.name == "opencode" else 0, takes_turns=True) for tool in TOOLS),
    Refused("aider", _aider),
    *(Refused(name, _python(name)) for name in _SCRIPTS),
    *(Refused(name, _node(name)) for name in _MODULES),
)
