"""The console script `switchyard`: one sub-command, one plane imported.

A pod's image has no Django and the control plane's has no pod, so every sub-command names its module as text and loads
it when it is called.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

POD_PROCESSES = "SWITCHYARD_POD_PROCESSES"


@dataclass(frozen=True, slots=True)
class SubCommand:
    """One entry of `switchyard --help`. target: "module:function".

    takes_arguments: the function parses what follows itself.
    """

    name: str
    target: str
    help: str
    extra: str = ""
    takes_arguments: bool = False


SUB_COMMANDS: tuple[SubCommand, ...] = (
    SubCommand("up", "deploy.local.up:main", "the whole platform on this machine, in the foreground", "local"),
    SubCommand("migrate", "control_plane.project.processes:run_migrate", "bring the database up to date", "control"),
    SubCommand("web", "control_plane.project.processes:run_web", "console and REST API", "control"),
    SubCommand("grpc", "control_plane.project.processes:run_grpc", "snapshots down, usage up", "control"),
    SubCommand("worker", "control_plane.project.processes:run_worker", "background work", "control"),
    SubCommand("beat", "control_plane.project.processes:run_beat", "the clock of the background work", "control"),
    SubCommand("pod", "data_plane.__main__:main", f"the gateway; {POD_PROCESSES} of them side by side", "data"),
    SubCommand("doctor", "deploy.local.doctor:main", "what is wrong here, and how to mend it", "local", True),
    SubCommand(
        "simulated-provider",
        "deploy.simulated_provider.__main__:main",
        "an upstream that speaks all protocols and needs no key",
        "data",
        True,
    ),
    SubCommand(
        "bootstrap",
        "control_plane.project.operator_commands:run_bootstrap",
        "an organization and its admin, at first and later",
        "control",
        True,
    ),
    SubCommand(
        "pod-token",
        "control_plane.project.operator_commands:run_pod_token",
        "create, list and revoke join tokens of pods",
        "control",
        True,
    ),
    SubCommand(
        "verify-audit",
        "deploy.verify.audit:main",
        "check an exported audit offline: which entry was altered, deleted or cut off",
        "",
        True,
    ),
    SubCommand(
        "verify-snapshot",
        "deploy.verify.snapshot:main",
        "check signed snapshots offline, such as a pod's shelf",
        "",
        True,
    ),
    SubCommand("login", "deploy.remote.sign_in:login_main", "sign this machine in to a console", "", True),
    SubCommand("logout", "deploy.remote.sign_in:logout_main", "end that sign-in", "", True),
    SubCommand("whoami", "deploy.remote.sign_in:whoami_main", "who is signed in, and where", "", True),
    SubCommand("setup", "deploy.remote.setup.command:main", "point a coding tool here, or undo it", "remote", True),
    SubCommand("statusline", "deploy.remote.statusline:main", "a line for Claude Code's status bar", "", True),
    SubCommand("plan", "deploy.remote.policy:plan_main", "what an apply of policy files would change", "", True),
    SubCommand("apply", "deploy.remote.policy:apply_main", "make the policy what files say", "", True),
    SubCommand("export", "deploy.remote.policy:export_main", "the policy as a file", "", True),
    SubCommand("import", "deploy.remote.policy:import_main", "another gateway's files as ours", "remote", True),
    SubCommand("key", "deploy.key_command:main", "create, list, rotate, revoke virtual keys; key helper", "", True),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; its result is the exit code."""
    arguments, rest = _parser().parse_known_args(argv)
    chosen = next(entry for entry in SUB_COMMANDS if entry.name == arguments.command)
    if chosen.takes_arguments:
        return _run(chosen, [*arguments.rest, *rest])
    if arguments.rest or rest:
        _parser().error(f"`{chosen.name}` takes no arguments: {' '.join([*arguments.rest, *rest])}")
    processes = os.environ.get(POD_PROCESSES, "1")
    if chosen.name == "pod" and processes != "1":
        return _call("deploy.pod_processes:main")
    return _run(chosen)


def _run(chosen: SubCommand, *arguments: Any) -> int:
    try:
        return _call(chosen.target, *arguments)
    except ModuleNotFoundError as failure:
        missing = (failure.name or "").partition(".")[0]
        # Only what this image was built without is explained; a hole in our own code must show its stack.
        if not chosen.extra or missing in ("deploy", "switchyard_contract"):
            raise
        print(
            f"`switchyard {chosen.name}` needs {failure.name!r}, which is not installed here. "
            f"Install switchyard[{chosen.extra}].",
            file=sys.stderr,
        )
        return 1


def _call(target: str, *arguments: Any) -> int:
    module_name, _, function_name = target.partition(":")
    function: Callable[..., int | None] = getattr(importlib.import_module(module_name), function_name)
    return function(*arguments) or 0


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {entry.name:<20}{entry.help}" for entry in SUB_COMMANDS)
    parser = argparse.ArgumentParser(
        prog="switchyard",
        usage="switchyard <command> [arguments]",
        description="Switchyard, a self-hosted AI gateway for coding tools.",
        epilog=f"commands:\n{lines}\n\nSettings come from the environment: docs/operations/settings.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        choices=[entry.name for entry in SUB_COMMANDS],
        metavar="command",
        help="one of those below; `switchyard <command> --help` tells more where there is more",
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
