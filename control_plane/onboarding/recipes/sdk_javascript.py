"""The vendors' JavaScript SDKs: each takes an address and a key; the rest of the code stays."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Snippet,
    Step,
    Variant,
    exports,
    missing_model,
    quoted,
    terminal,
)


def _render(context: SetupContext) -> tuple[Variant, ...]:
    messages = context.speaking(Protocol.ANTHROPIC_MESSAGES)
    claude = claude_slots(messages).main or (messages[0] if messages else "claude-sonnet-4-6")
    openai_names = context.speaking(Protocol.OPENAI_RESPONSES) or context.speaking(Protocol.OPENAI_CHAT)
    gpt = preferred(openai_names, family="gpt") or "gpt-5.1"
    gemini_names = context.speaking(Protocol.GEMINI_CONTENT)
    gemini = preferred(gemini_names, family="gemini") or "gemini-2.5-pro"
    openai_call = (
        f"""const answer = await client.responses.create({{
  model: {quoted(gpt)},
  input: "Say hello in one sentence.",
}});
console.log(answer.output_text);"""
        if context.speaking(Protocol.OPENAI_RESPONSES) or not openai_names
        else f"""const answer = await client.chat.completions.create({{
  model: {quoted(gpt)},
  messages: [{{ role: "user", content: "Say hello in one sentence." }}],
}});
console.log(answer.choices[0].message.content);"""
    )
    return (
        _variant(
            context,
            "anthropic",
            "Anthropic",
            "@anthropic-ai/sdk",
            f"""import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({{
  baseURL: {quoted(context.base_url)},
  apiKey: process.env.SWITCHYARD_API_KEY,
}});
const answer = await client.messages.create({{
  model: {quoted(claude)},
  max_tokens: 64,
  messages: [{{ role: "user", content: "Say hello in one sentence." }}],
}});
console.log(answer.content[0].text);""",
            "" if messages else missing_model("Anthropic Messages"),
        ),
        _variant(
            context,
            "openai",
            "OpenAI",
            "openai",
            f"""import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: {quoted(context.base_url + "/v1")},
  apiKey: process.env.SWITCHYARD_API_KEY,
}});
{openai_call}""",
            "" if openai_names else missing_model("OpenAI Responses"),
        ),
        _variant(
            context,
            "google",
            "Google Gen AI",
            "@google/genai",
            f"""import {{ GoogleGenAI }} from "@google/genai";

const client = new GoogleGenAI({{
  apiKey: process.env.SWITCHYARD_API_KEY,
  httpOptions: {{ baseUrl: {quoted(context.base_url)} }},
}});
const answer = await client.models.generateContent({{
  model: {quoted(gemini)},
  contents: "Say hello in one sentence.",
}});
console.log(answer.text);""",
            "" if gemini_names else missing_model("Gemini"),
        ),
    )


def _variant(context: SetupContext, way: str, label: str, package: str, code: str, warning: str) -> Variant:
    return Variant(
        way,
        label,
        (
            Step("Install", snippets=(terminal(f"npm install {package}"),)),
            Step("Set the key", "Keep it out of the code.", (terminal(*exports(SWITCHYARD_API_KEY=context.key)),)),
            Step("Run", snippets=(Snippet("hello.mjs", "javascript", code),)),
        ),
        warning,
    )


RECIPE = Recipe(
    id="sdk-javascript",
    name="JavaScript SDKs",
    icon="file-braces",
    summary="@anthropic-ai/sdk, openai and @google/genai.",
    render=_render,
)
