"""What a set-up recipe is: pure text from the reader's own address, key and models.

A recipe is one file of this folder that exports `RECIPE`. It renders to variants (ways to sign in), each a list of
steps; a step shows files to write, commands to run, or values to type into a settings page.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """How a tool talks to the gateway; the contract's words for protocols."""

    ANTHROPIC_MESSAGES = "anthropic_messages"
    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    GEMINI_CONTENT = "gemini_content"


@dataclass(frozen=True, slots=True)
class UsableModel:
    """A name that the key may ask for, and the protocols in which its provider answers."""

    name: str
    protocols: frozenset[Protocol]
    passes_caller_credential: bool = False
    """Whether its provider takes the caller's own sign-in (a subscription) in place of a stored credential."""


@dataclass(frozen=True, slots=True)
class SetupContext:
    """What the text is made for.

    base_url: the gateway as tools reach it, without a trailing slash: https://ai.example.com
    key: the real key just minted, or a placeholder where it can no longer be shown.
    """

    base_url: str
    key: str
    models: tuple[UsableModel, ...]
    organization: str

    def speaking(self, protocol: Protocol) -> tuple[str, ...]:
        """Names that answer in a protocol by a stored credential, in the given order."""
        return tuple(
            model.name for model in self.models if protocol in model.protocols and not model.passes_caller_credential
        )

    def of_subscription(self, protocol: Protocol) -> tuple[str, ...]:
        """Names that answer in a protocol on the caller's own subscription."""
        return tuple(
            model.name for model in self.models if protocol in model.protocols and model.passes_caller_credential
        )


@dataclass(frozen=True, slots=True)
class Snippet:
    """Text to copy. where: a file's path, or "Terminal"; language: for the reader, not highlighted."""

    where: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A value to type into a settings page of the tool."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    note: str = ""
    snippets: tuple[Snippet, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to sign in. warning: what would keep it from working here, in a sentence; empty: nothing known."""

    id: str
    label: str
    steps: tuple[Step, ...]
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A tool. icon: a name of the console's icon set. client: how usage events name the tool; empty: by nothing."""

    id: str
    name: str
    icon: str
    summary: str
    render: Callable[[SetupContext], tuple[Variant, ...]]
    client: str = ""


def terminal(*lines: str) -> Snippet:
    """Commands for a POSIX shell."""
    return Snippet("Terminal", "shell", "\n".join(lines))


def exports(**values: str) -> tuple[str, ...]:
    """`export NAME=value` lines, quoted for a POSIX shell."""
    return tuple(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def json_file(where: str, content: object) -> Snippet:
    return Snippet(where, "json", json.dumps(content, indent=2, ensure_ascii=False))


def quoted(text: str) -> str:
    """A double-quoted string that JSON, TOML, YAML, Python and JavaScript all read alike."""
    return json.dumps(text, ensure_ascii=False)


def missing_model(spoken: str) -> str:
    """What is wrong when no model fits the tool."""
    return (
        f"No model that this key may use answers in {spoken}, so the lines below name an example. "
        "Ask an admin to add a provider for it."
    )
