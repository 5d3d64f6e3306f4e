"""Claude Agent SDK: starts its own Claude Code, which takes the address and key from the `env` option."""

from control_plane.onboarding.recipes.claude_code import key_variables, model_warning
from control_plane.onboarding.recipes.model_choice import claude_slots
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Snippet,
    Step,
    Variant,
    exports,
    quoted,
    terminal,
)

EXAMPLE_MODEL = "claude-sonnet-4-6"


def _render(context: SetupContext) -> tuple[Variant, ...]:
    names = context.speaking(Protocol.ANTHROPIC_MESSAGES)
    model = claude_slots(names).main or (names[0] if names else EXAMPLE_MODEL)
    address_and_key = exports(ANTHROPIC_BASE_URL=context.base_url, ANTHROPIC_AUTH_TOKEN=context.key)
    python = f"""import asyncio
import os

from claude_agent_sdk import ClaudeAgentOptions, query

options = ClaudeAgentOptions(
    model={quoted(model)},
    env={{
        "ANTHROPIC_BASE_URL": {quoted(context.base_url)},
        "ANTHROPIC_AUTH_TOKEN": os.environ["ANTHROPIC_AUTH_TOKEN"],
    }},
)


async def main() -> None:
    async for message in query(prompt="Say hello in one sentence.", options=options):
        print(message)


asyncio.run(main())"""
    javascript = f"""import {{ query }} from "@anthropic-ai/claude-agent-sdk";

const answer = query({{
  prompt: "Say hello in one sentence.",
  options: {{
    model: {quoted(model)},
    env: {{
      ...process.env,
      ANTHROPIC_BASE_URL: {quoted(context.base_url)},
      ANTHROPIC_AUTH_TOKEN: process.env.ANTHROPIC_AUTH_TOKEN,
    }},
  }},
}});
for await (const message of answer) console.log(message);"""
    slots = {name: value for name, value in key_variables(context).items() if name.endswith("_MODEL")}
    return (
        Variant(
            "python",
            "Python",
            (
                Step("Install", snippets=(terminal("pip install claude-agent-sdk"),)),
                Step("Set the key", "Keep it out of the code.", (terminal(*address_and_key, *exports(**slots)),)),
                Step("Run", snippets=(Snippet("hello.py", "python", python),)),
            ),
            model_warning(context),
        ),
        Variant(
            "javascript",
            "TypeScript",
            (
                Step("Install", snippets=(terminal("npm install @anthropic-ai/claude-agent-sdk"),)),
                Step("Set the key", "Keep it out of the code.", (terminal(*address_and_key, *exports(**slots)),)),
                Step("Run", snippets=(Snippet("hello.mjs", "javascript", javascript),)),
            ),
            model_warning(context),
        ),
    )


RECIPE = Recipe(
    id="claude-agent-sdk",
    name="Claude Agent SDK",
    icon="bot",
    summary="Claude Code as a library, in Python and TypeScript.",
    render=_render,
    client="claude-agent-sdk",
)
