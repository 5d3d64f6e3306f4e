"""What `switchyard setup` is told, and that the command line takes all of it."""

from typing import Any

import pytest

from control_plane.onboarding.recipes.recipe import Protocol, SetupContext, UsableModel
from control_plane.onboarding.setup_facts import SETUP_TOOLS
from deploy.remote.setup.tools import TOOLS, Access, Facts, changes_of
from tests.control_plane.api.world import Tenant, a_tenant, client

ALL = frozenset(Protocol)
MODELS = (
    UsableModel("claude-opus-4-8", frozenset({Protocol.ANTHROPIC_MESSAGES})),
    UsableModel("claude-sonnet-4-6", ALL),
    UsableModel("team/gpt-5.1:fast", frozenset({Protocol.OPENAI_CHAT, Protocol.OPENAI_RESPONSES})),
    UsableModel("gpt-5.1-mini", frozenset({Protocol.OPENAI_CHAT, Protocol.OPENAI_RESPONSES})),
    UsableModel("gemini-2.5-pro", frozenset({Protocol.GEMINI_CONTENT})),
)


def test_both_sides_know_the_same_tools() -> None:
    assert set(SETUP_TOOLS) == set(TOOLS)
    assert {tool: SETUP_TOOLS[tool].keys_by_command for tool in SETUP_TOOLS} == {
        tool: TOOLS[tool].has_helper for tool in TOOLS
    }


@pytest.mark.parametrize("models", [MODELS, ()], ids=["models", "none"])
@pytest.mark.parametrize("tool", list(SETUP_TOOLS))
def test_the_command_line_takes_every_entry(tool: str, models: tuple[UsableModel, ...]) -> None:
    facts = SETUP_TOOLS[tool].facts(SetupContext("https://ai.example.com:8443", "", models, "Acme"))
    assert bool(facts.warning) is not bool(models)
    told = Facts(tool, "Acme", "https://ai.example.com:8443", facts.settings)
    access = Access(command=("switchyard", "key", "helper")) if TOOLS[tool].has_helper else Access(key="sypat_x")
    changes = changes_of(TOOLS[tool], told, access)
    assert all(changes.values())


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


def test_a_member_is_told_how_to_set_up_a_tool(acme: Tenant) -> None:
    answer: Any = acme.as_member.get("/api/v1/recipes/claude-code")
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["tool"], told["organization_name"], told["teams"]) == ("claude-code", "Acme", ["Platform"])
    assert told["settings"]["settings"]["env"]["ANTHROPIC_BASE_URL"] == told["gateway_url"]
    assert "key" not in str(told["settings"]).lower()
    assert [row["tool"] for row in acme.as_member.get("/api/v1/recipes").json()] == list(SETUP_TOOLS)


def test_what_is_no_tool_is_not_there_and_strangers_are_told_nothing(acme: Tenant) -> None:
    assert acme.as_member.get("/api/v1/recipes/notepad").status_code == 404
    assert client("").get("/api/v1/recipes/codex").status_code == 401
