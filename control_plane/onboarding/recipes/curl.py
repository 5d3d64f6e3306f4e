"""curl: the shortest proof that address, key and model fit, in each protocol."""

from control_plane.onboarding.recipes.model_choice import claude_slots, preferred
from control_plane.onboarding.recipes.recipe import (
    Protocol,
    Recipe,
    SetupContext,
    Step,
    Variant,
    missing_model,
    quoted,
    terminal,
)

PROMPT = "Say hello in one sentence."


def _render(context: SetupContext) -> tuple[Variant, ...]:
    messages = context.speaking(Protocol.ANTHROPIC_MESSAGES)
    claude = claude_slots(messages).main or (messages[0] if messages else "claude-sonnet-4-6")
    chat, responses = context.speaking(Protocol.OPENAI_CHAT), context.speaking(Protocol.OPENAI_RESPONSES)
    gemini = context.speaking(Protocol.GEMINI_CONTENT)
    one_turn = f'"messages": [{{"role": "user", "content": {quoted(PROMPT)}}}]'
    ways = (
        (
            "messages",
            "Anthropic",
            "Anthropic Messages",
            bool(messages),
            _call(
                f"{context.base_url}/v1/messages",
                (f"x-api-key: {context.key}", "anthropic-version: 2023-06-01"),
                f'{{"model": {quoted(claude)}, "max_tokens": 64, {one_turn}}}',
            ),
        ),
        (
            "chat",
            "OpenAI chat",
            "OpenAI Chat Completions",
            bool(chat),
            _call(
                f"{context.base_url}/v1/chat/completions",
                (f"Authorization: Bearer {context.key}",),
                f'{{"model": {quoted(preferred(chat, family="gpt") or "gpt-5.1")}, {one_turn}}}',
            ),
        ),
        (
            "responses",
            "OpenAI responses",
            "OpenAI Responses",
            bool(responses),
            _call(
                f"{context.base_url}/v1/responses",
                (f"Authorization: Bearer {context.key}",),
                f'{{"model": {quoted(preferred(responses, family="gpt") or "gpt-5.1")}, "input": {quoted(PROMPT)}}}',
            ),
        ),
        (
            "gemini",
            "Gemini",
            "Gemini",
            bool(gemini),
            _call(
                f"{context.base_url}/v1beta/models/"
                f"{preferred(gemini, family='gemini') or 'gemini-2.5-pro'}:generateContent",
                (f"x-goog-api-key: {context.key}",),
                f'{{"contents": [{{"role": "user", "parts": [{{"text": {quoted(PROMPT)}}}]}}]}}',
            ),
        ),
    )
    who = Step(
        "See who the key is and what it may use",
        snippets=(
            terminal(f"curl -sS {context.base_url}/switchyard/v1/me \\", f'  -H "Authorization: Bearer {context.key}"'),
        ),
    )
    # What works comes first, so that the first thing copied is the first thing that answers.
    return tuple(
        Variant(
            way, label, (Step("Ask once", snippets=(terminal(*lines),)), who), "" if works else missing_model(spoken)
        )
        for way, label, spoken, works, lines in sorted(ways, key=lambda way: not way[3])
    )


def _call(url: str, headers: tuple[str, ...], body: str) -> tuple[str, ...]:
    return (
        f"curl -sS {url} \\",
        *(f'  -H "{header}" \\' for header in headers),
        '  -H "content-type: application/json" \\',
        f"  -d '{body}'",
    )


RECIPE = Recipe(
    id="curl",
    name="curl",
    icon="link",
    summary="One request by hand, in each protocol.",
    render=_render,
    client="curl",
)
