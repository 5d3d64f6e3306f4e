"""The vendors' Python SDKs: each takes an address and a key; the rest of the code stays."""

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
        f"""answer = client.responses.create(model={quoted(gpt)}, input="Say hello in one sentence.")
print(answer.output_text)"""
        if context.speaking(Protocol.OPENAI_RESPONSES) or not openai_names
        else f"""answer = client.chat.completions.create(
    model={quoted(gpt)},
    messages=[{{"role": "user", "content": "Say hello in one sentence."}}],
)
print(answer.choices[0].message.content)"""
    )
    return (
        _variant(
            context,
            "anthropic",
            "Anthropic",
            "anthropic",
            f"""import os

from anthropic import Anthropic

client = Anthropic(base_url={quoted(context.base_url)}, api_key=os.environ["SWITCHYARD_API_KEY"])
answer = client.messages.create(
    model={quoted(claude)},
    max_tokens=64,
    messages=[{{"role": "user", "content": "Say hello in one sentence."}}],
)
print(answer.content[0].text)""",
            "" if messages else missing_model("Anthropic Messages"),
        ),
        _variant(
            context,
            "openai",
            "OpenAI",
            "openai",
            f"""import os

from openai import OpenAI

client = OpenAI(base_url={quoted(context.base_url + "/v1")}, api_key=os.environ["SWITCHYARD_API_KEY"])
{openai_call}""",
            "" if openai_names else missing_model("OpenAI Responses"),
        ),
        _variant(
            context,
            "google",
            "Google Gen AI",
            "google-genai",
            f"""import os

from google import genai

client = genai.Client(
    api_key=os.environ["SWITCHYARD_API_KEY"],
    http_options={{"base_url": {quoted(context.base_url)}}},
)
answer = client.models.generate_content(model={quoted(gemini)}, contents="Say hello in one sentence.")
print(answer.text)""",
            "" if gemini_names else missing_model("Gemini"),
        ),
    )


def _variant(context: SetupContext, way: str, label: str, package: str, code: str, warning: str) -> Variant:
    return Variant(
        way,
        label,
        (
            Step("Install", snippets=(terminal(f"pip install {package}"),)),
            Step("Set the key", "Keep it out of the code.", (terminal(*exports(SWITCHYARD_API_KEY=context.key)),)),
            Step("Run", snippets=(Snippet("hello.py", "python", code),)),
        ),
        warning,
    )


RECIPE = Recipe(
    id="sdk-python",
    name="Python SDKs",
    icon="file-code",
    summary="anthropic, openai and google-genai.",
    render=_render,
)
