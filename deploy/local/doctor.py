"""`switchyard doctor`: what is wrong here, and how to mend it. Changes nothing."""

import argparse
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from deploy.local.findings import Finding, Verdict, fine, problem, table
from deploy.local.installation import new_installation
from deploy.local.machine_checks import check_machine
from deploy.local.settings_page import settings_page
from deploy.local.store_checks import check_stores
from deploy.local.stores import choose_stores
from deploy.local.surroundings import (
    LocalSettings,
    control_environment,
    current_environment,
    pod_environment,
    read_local_settings,
)
from switchyard_contract.settings import InvalidSettings, Plane

READERS: Mapping[Plane, str] = {
    "control": "control_plane.project.environment:read_control_settings",
    "data": "data_plane.settings:read_pod_settings",
    "local": "deploy.local.surroundings:read_local_settings",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was found; 1 when anything is a problem."""
    arguments = _parser().parse_args(argv)
    if arguments.settings_page:
        print(settings_page(), end="")
        return 0
    environment = current_environment()
    found = check_settings(arguments.plane, environment) if arguments.plane else examine(environment)
    findings = list(found)
    print(table(findings))
    problems = sum(finding.verdict is Verdict.PROBLEM for finding in findings)
    print(f"\n{problems or 'no'} problem{'' if problems == 1 else 's'}")
    return 1 if problems else 0


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything that `switchyard up` depends on."""
    local = list(check_settings("local", environment))
    yield from local
    if any(finding.verdict is Verdict.PROBLEM for finding in local):
        return
    settings = read_local_settings(environment)
    yield from check_settings("control", _filled("control", settings, environment))
    yield from check_settings("data", _filled("data", settings, environment))
    yield from check_machine(settings)
    yield from check_stores(settings, environment)


def check_settings(plane: Plane, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Read a plane's settings as its processes would; each wrong one is a finding of its own."""
    module_name, _, function_name = READERS[plane].partition(":")
    try:
        reader: Callable[[Mapping[str, str]], Any] = getattr(importlib.import_module(module_name), function_name)
    except ModuleNotFoundError as failure:
        remedy = f"install switchyard[{plane}] where this plane runs"
        yield problem(f"settings, {plane}", f"{failure.name} is not installed", remedy)
        return
    try:
        reader(environment)
    except InvalidSettings as failure:
        for text in failure.problems:
            name, _, why = text.partition(":")
            yield problem(name, why.strip(), f"docs/operations/settings.md, plane {plane}")
        return
    yield fine(f"settings, {plane}", "complete")


def _filled(plane: Plane, settings: LocalSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """What `switchyard up` would give that plane's processes; secrets it has yet to make are made up here."""
    installation = new_installation()
    stores = choose_stores(environment, installation, settings.home).urls
    if plane == "control":
        filled = control_environment(settings, stores, installation, environment)
    else:
        filled = pod_environment(settings, stores, installation, environment, 0)
    made_up = {**installation.secrets, "SWITCHYARD_POD_TOKEN": "sypod_not-made-yet"}
    for name, value in made_up.items():
        file_name = filled.get(f"{name}_FILE")
        # A file that the person named must exist; one of ours comes with the first start.
        if file_name and f"{name}_FILE" not in environment and not Path(file_name).exists():
            del filled[f"{name}_FILE"]
            filled[name] = value
    return filled


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="switchyard doctor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--plane",
        choices=get_args(Plane),
        help="only the settings of one plane, exactly as set here (for a container that runs one process)",
    )
    parser.add_argument("--settings-page", action="store_true", help="print docs/operations/settings.md")
    return parser
