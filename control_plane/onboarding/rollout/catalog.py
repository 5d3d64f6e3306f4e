"""Collects tools and device managements, and renders any tool in any format."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TypeVar

from control_plane.onboarding import rollout
from control_plane.onboarding.rollout import mdm
from control_plane.onboarding.rollout.plan import (
    SYSTEM_NAMES,
    Download,
    Mdm,
    Package,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
)
from control_plane.onboarding.rollout.scripts import files_for

FRAME = frozenset({"catalog", "plan", "profiles", "scripts"})
MDM_FRAME = frozenset({"apple"})
TOOL_ORDER = ("claude-code", "codex", "gemini-cli", "opencode", "vscode")
MDM_ORDER = ("jamf", "kandji", "mosyle", "intune")
PROJECT, VENDOR = "project", "vendor-console"
MEDIA_TYPES = {
    "json": "application/json",
    "toml": "application/toml",
    "shell": "text/x-shellscript",
    "plist": "application/xml",
}
Plug = TypeVar("Plug", RolloutTool, Mdm)


class InvalidCatalog(Exception):
    """A file exports nothing, the wrong thing, or an id that another file already has."""


@cache
def all_tools() -> Mapping[str, RolloutTool]:
    """Every tool by its id, in the order people see."""
    return _collected(rollout, "TOOL", RolloutTool, FRAME, TOOL_ORDER)


@cache
def all_mdms() -> Mapping[str, Mdm]:
    """Every device management by its id, in the order people see."""
    return _collected(mdm, "MDM", Mdm, MDM_FRAME, MDM_ORDER)


@cache
def format_names() -> Mapping[str, str]:
    """Every format by its id: systems, device managements, a vendor's console, a project."""
    return {
        **{system.value: f"{SYSTEM_NAMES[system]}, as files" for system in System},
        **{one.id: one.name for one in all_mdms().values()},
        VENDOR: "Vendor's admin console",
        PROJECT: "A project's repository",
    }


def formats_of(made: Rollout) -> tuple[str, ...]:
    """The formats that a tool comes in."""
    absent = {
        VENDOR if made.vendor is None else "",
        "" if made.project else PROJECT,
    }
    return tuple(name for name in format_names() if name not in absent)


def package_of(tool: RolloutTool, name: str, context: RolloutContext) -> Package | None:
    """A tool in one format; None: it does not come in that one."""
    made = tool.render(context)
    if name not in formats_of(made):
        return None
    if name in all_mdms():
        return all_mdms()[name].render(tool, made, context)
    if name == VENDOR:
        assert made.vendor is not None
        return Package((Download(f"{tool.id}-settings.json", "application/json", made.vendor.text),), made.vendor.steps)
    if name == PROJECT:
        files = tuple(
            Download(file.path.rpartition("/")[2], MEDIA_TYPES[file.kind], file.text, file.path)
            for file in made.project
        )
        notes = tuple(file.note for file in made.project if file.note)
        return Package(files, (f"Check {files[0].path} in; it holds no secret.",), notes)
    return _plain(tool, made, System(name))


def _plain(tool: RolloutTool, made: Rollout, system: System) -> Package:
    files = files_for(tool, made, system)
    steps = [f"Put {file.name} at {file.places[system]}, readable by all and writable by root alone." for file in files]
    if system is System.WINDOWS:
        steps = [f"Put {file.name} at {file.places[system]}, writable by administrators alone." for file in files]
        steps += [f"Set the machine's variable {name} to {value}." for name, value in made.variables.items()]
    return Package(
        tuple(Download(file.name, MEDIA_TYPES[file.kind], file.text, file.places[system]) for file in files),
        tuple(steps),
        tuple(file.note for file in files if file.note),
    )


def _collected(
    package: object, constant: str, kind: type[Plug], frame: frozenset[str], order: tuple[str, ...]
) -> Mapping[str, Plug]:
    by_id: dict[str, Plug] = {}
    name, path = package.__name__, package.__path__  # type: ignore[attr-defined]  # a package has both
    for module in pkgutil.iter_modules(path):
        if module.ispkg or module.name in frame:
            continue
        exported = getattr(import_module(f"{name}.{module.name}"), constant, None)
        if not isinstance(exported, kind):
            raise InvalidCatalog(f"{name}.{module.name} exports no {constant}")
        if exported.id in by_id:
            raise InvalidCatalog(f"{name}.{module.name}: the id {exported.id!r} is taken by another file")
        by_id[exported.id] = exported
    place = {one: number for number, one in enumerate(order)}
    return {one: by_id[one] for one in sorted(by_id, key=lambda one: (place.get(one, len(place)), one))}
