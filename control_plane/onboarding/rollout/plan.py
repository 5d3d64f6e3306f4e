"""What a roll-out recipe is: for one tool and one group of people, the files of every system and the steps around them.

A tool is one file of this folder that exports `TOOL`; a device management is one file of `mdm/` that exports `MDM`.
Nothing here holds a key: people get theirs by `switchyard key helper`, which signs them in and mints one that lives for
an hour, or put their own where the tool asks for it. Pure: text in, text out.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from control_plane.onboarding.recipes.recipe import Protocol, UsableModel

HELPER = "switchyard key helper"
STATUS_LINE = "switchyard statusline"
# Words with spaces, and without any sign that is special between double quotes in one of the shells.
_TAKES_QUOTES = re.compile(r"""(?=.*[ '()&])[^"$`\\%!\n]+""")


class System(StrEnum):
    MACOS = "macos"
    LINUX = "linux"
    WINDOWS = "windows"


SYSTEM_NAMES: Mapping[System, str] = {System.MACOS: "macOS", System.LINUX: "Linux", System.WINDOWS: "Windows"}


@dataclass(frozen=True, slots=True)
class RolloutContext:
    """What the text is made for.

    base_url: the gateway, and console_url: the console, without a trailing slash. group: whose models are named;
    empty: everybody. charged_to: the team that the helper's keys are charged to; empty: each person's only one.
    with_helper: whether tools ask a command for their key; without, people put their own key in. with_status_line:
    whether a status bar that can say what is left of the budget does so.
    project, repository: tags of a project's own file; empty: none.
    """

    base_url: str
    console_url: str
    organization: str
    models: tuple[UsableModel, ...]
    group: str = ""
    charged_to: str = ""
    with_helper: bool = True
    with_status_line: bool = False
    project: str = ""
    repository: str = ""

    def speaking(self, protocol: Protocol) -> tuple[str, ...]:
        """Names that answer in a protocol by a stored credential, in the given order."""
        return tuple(
            model.name for model in self.models if protocol in model.protocols and not model.passes_caller_credential
        )

    @property
    def tags(self) -> dict[str, str]:
        """What a project says of itself with every request."""
        tags = {"project": self.project, "repository": self.repository}
        return {name: value for name, value in tags.items() if value}


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A file that only the administrator of a machine may write. places: its path, per system that has one."""

    name: str
    kind: str
    text: str
    places: Mapping[System, str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of a repository, checked in for everybody who works there."""

    path: str
    kind: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Managed preferences of macOS: what a configuration profile sets. domain: as the tool reads it."""

    domain: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Registry:
    """A value of the Windows registry that the tool reads as its policy."""

    key: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class VendorConsole:
    """Text to paste into the vendor's own admin console."""

    title: str
    text: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """Everything of one tool. variables: of the machine, for tools that take their address from nowhere else.

    warning: what would keep it from working here, in a sentence; limit: what people can still override.
    """

    files: tuple[ManagedFile, ...]
    variables: Mapping[str, str]
    limit: str
    warning: str = ""
    project: tuple[ProjectFile, ...] = ()
    preferences: Preferences | None = None
    registry: Registry | None = None
    vendor: VendorConsole | None = None
    before: tuple[str, ...] = ()
    """What people's machines need besides, in sentences."""


@dataclass(frozen=True, slots=True)
class RolloutTool:
    """checked_against: the version in which each setting's name was looked up."""

    id: str
    name: str
    icon: str
    checked_against: str
    render: Callable[[RolloutContext], Rollout]


@dataclass(frozen=True, slots=True)
class Download:
    """A file as it is handed out. path: where it belongs on a machine or in a repository; empty: it is uploaded."""

    name: str
    media_type: str
    text: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """One format of one tool: files, and what to do with them, step by step."""

    files: tuple[Download, ...]
    steps: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mdm:
    """A device management. systems: those it is used for here."""

    id: str
    name: str
    systems: tuple[System, ...]
    render: Callable[[RolloutTool, Rollout, RolloutContext], Package]


def helper_command(context: RolloutContext, tool: str) -> tuple[str, ...]:
    """The command that prints a short-lived key. It asks for a sign-in once per machine."""
    return (*HELPER.split(), *_whose_key(context, tool))


def status_line_command(context: RolloutContext, tool: str) -> tuple[str, ...]:
    """The command that prints what is left; with a helper it takes the key that the helper gave out last."""
    command = (*STATUS_LINE.split(), "--gateway", context.base_url)
    return (*command, *_whose_key(context, tool)) if context.with_helper else command


def _whose_key(context: RolloutContext, tool: str) -> tuple[str, ...]:
    words = ("--tool", tool, "--url", context.console_url)
    return (*words, "--team", context.charged_to) if context.charged_to else words


def shell_line(command: tuple[str, ...]) -> str:
    """A command as one line that a POSIX shell and the one of Windows read alike, as far as its words allow."""
    return " ".join(f'"{word}"' if _TAKES_QUOTES.fullmatch(word) else shlex.quote(word) for word in command)


def helper_needs(context: RolloutContext) -> tuple[str, ...]:
    if not context.with_helper:
        own = "People put a key of their own in; they mint it under “My keys” in the console."
        return (own, "The switchyard command is on everybody's PATH.") if context.with_status_line else (own,)
    return (
        "The switchyard command is on everybody's PATH. It prints keys that live for an hour.",
        f"Everybody signs in once: switchyard login --url {context.console_url}",
    )


def as_json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def missing(spoken: str, group: str) -> str:
    whose = f"that {group} may use" if group else "in use here"
    return f"No model {whose} answers in {spoken}, so nothing is named. Add a provider for it, or choose another group."
