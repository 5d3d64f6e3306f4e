"""Scripts that put a tool's files in place on one system, and take them away again. They hold no secret.

Written to be run again and again by a device management: the same text twice changes nothing.
"""

import plistlib
import shlex
from collections.abc import Iterator

from control_plane.onboarding.rollout.plan import ManagedFile, Rollout, RolloutTool, System

END_MARK = "SWITCHYARD_END_OF_FILE"
HOME = "~"
HOMES = {System.MACOS: "/Users", System.LINUX: "/home"}


def variables_file(tool: RolloutTool, rollout: Rollout, system: System) -> ManagedFile | None:
    """The file that gives a machine its variables; None: none are needed, or the system keeps them elsewhere."""
    if not rollout.variables or system is System.WINDOWS:
        return None
    if system is System.LINUX:
        lines = [f"export {name}={shlex.quote(value)}" for name, value in rollout.variables.items()]
        return ManagedFile(
            f"switchyard-{tool.id}.sh",
            "shell",
            "\n".join(lines) + "\n",
            {System.LINUX: f"/etc/profile.d/switchyard-{tool.id}.sh"},
            "Read by every login shell.",
        )
    label = f"dev.switchyard.{tool.id}"
    commands = "; ".join(
        f"/bin/launchctl setenv {name} {shlex.quote(value)}" for name, value in rollout.variables.items()
    )
    agent = {"Label": label, "ProgramArguments": ["/bin/sh", "-c", commands], "RunAtLoad": True}
    return ManagedFile(
        f"{label}.plist",
        "plist",
        plistlib.dumps(agent).decode(),
        {System.MACOS: f"/Library/LaunchAgents/{label}.plist"},
        "Gives every program of a person the variables from the next sign-in on.",
    )


def files_for(tool: RolloutTool, rollout: Rollout, system: System) -> tuple[ManagedFile, ...]:
    """Everything that lies on a machine of one system."""
    own = tuple(file for file in rollout.files if system in file.places)
    variables = variables_file(tool, rollout, system)
    return own if variables is None else (*own, variables)


def install_script(tool: RolloutTool, rollout: Rollout, system: System) -> str:
    """A POSIX shell script for macOS or Linux, run as root."""
    parts = [*_head(tool, "puts its files in place"), *_FUNCTIONS]
    for file in files_for(tool, rollout, system):
        parts += _put(file, file.places[system], system)
    return "\n".join(parts) + "\n"


def remove_script(tool: RolloutTool, rollout: Rollout, system: System) -> str:
    """Takes away what the other script wrote; people's own files stay."""
    parts = _head(tool, "takes its files away again; people's own files stay")
    for file in files_for(tool, rollout, system):
        path = file.places[system]
        if not path.startswith(HOME):
            parts.append(f"rm -f {shlex.quote(path)}")
    return "\n".join(parts) + "\n"


def audit_script(tool: RolloutTool, rollout: Rollout, system: System) -> str:
    """Ends with 0 when every file is there with the right text, else with 1: so that it is put right again."""
    parts = [*_head(tool, "says whether its files are in place"), "state=0"]
    for file in files_for(tool, rollout, system):
        path = file.places[system]
        if path.startswith(HOME):
            parts += _missing_in_homes(path, system)
            continue
        parts += [
            f"if ! cmp -s - {shlex.quote(path)} <<'{END_MARK}'",
            *_lines(file.text),
            END_MARK,
            "then",
            f"  echo {shlex.quote(f'{path} is missing or differs')}",
            "  state=1",
            "fi",
        ]
    parts.append('exit "$state"')
    return "\n".join(parts) + "\n"


def powershell(tool: RolloutTool, rollout: Rollout) -> str:
    """For Windows, run as SYSTEM in a 64-bit PowerShell."""
    lines = [
        f"# Switchyard: {tool.name}. Puts its files in place; running it again changes nothing. Holds no secret.",
        "$ErrorActionPreference = 'Stop'",
        "$utf8 = New-Object System.Text.UTF8Encoding $false",
    ]
    for file in files_for(tool, rollout, System.WINDOWS):
        path = file.places[System.WINDOWS]
        # A here-string in single quotes takes everything as it is, up to its end at the beginning of a line.
        lines += ["$text = @'", *_lines(file.text), "'@"]
        if path.startswith(HOME):
            lines += _powershell_homes(path.removeprefix(HOME))
        else:
            lines += [
                f"$path = {_single(path)}",
                "New-Item -ItemType Directory -Force -Path (Split-Path $path) | Out-Null",
                '[System.IO.File]::WriteAllText($path, ($text -replace "`r`n", "`n") + "`n", $utf8)',
            ]
    for name, value in rollout.variables.items():
        lines.append(f"[Environment]::SetEnvironmentVariable({_single(name)}, {_single(value)}, 'Machine')")
    return "\r\n".join(lines) + "\r\n"


def powershell_remove(tool: RolloutTool, rollout: Rollout) -> str:
    lines = [f"# Switchyard: {tool.name}. Takes its files away again; people's own files stay."]
    for file in files_for(tool, rollout, System.WINDOWS):
        path = file.places[System.WINDOWS]
        if not path.startswith(HOME):
            lines.append(f"Remove-Item -Force -ErrorAction SilentlyContinue -Path {_single(path)}")
    for name in rollout.variables:
        lines.append(f"[Environment]::SetEnvironmentVariable({_single(name)}, $null, 'Machine')")
    return "\r\n".join(lines) + "\r\n"


_FUNCTIONS = (
    "# put PATH: writes what comes in, whole or not at all.",
    "put() {",
    '  mkdir -p "$(dirname "$1")"',
    '  part="$(mktemp "$1.XXXXXX")"',
    '  cat > "$part"',
    '  chmod 0644 "$part"',
    '  mv -f "$part" "$1"',
    "}",
    "",
)


def _head(tool: RolloutTool, does: str) -> list[str]:
    return [
        "#!/bin/sh",
        f"# Switchyard: {tool.name}. Run as root, it {does}. Holds no secret.",
        "set -eu",
        "umask 022",
        "",
    ]


def _put(file: ManagedFile, path: str, system: System) -> Iterator[str]:
    if not path.startswith(HOME):
        yield f"put {shlex.quote(path)} <<'{END_MARK}'"
        yield from _lines(file.text)
        yield END_MARK
        return
    yield from _each_home(path, system)
    yield '  if [ -e "$target" ]; then echo "$target is there already; add to it by hand"; continue; fi'
    # As the person, so that folders made on the way are theirs too.
    yield f"""  su "$owner" -c 'mkdir -p "$(dirname "$1")" && cat > "$1"' sh "$target" <<'{END_MARK}'"""
    yield from _lines(file.text)
    yield END_MARK
    yield "done"


def _missing_in_homes(path: str, system: System) -> Iterator[str]:
    """People's own files are looked for, not compared: what stands in them is theirs."""
    yield from _each_home(path, system)
    yield '  if [ ! -e "$target" ]; then echo "$target is missing"; state=1; fi'
    yield "done"


def _each_home(path: str, system: System) -> Iterator[str]:
    yield f"for home in {HOMES[system]}/*; do"
    yield f'  target="$home"{shlex.quote(path.removeprefix(HOME))}'
    yield '  owner="$(ls -ld "$home" | awk \'{print $3}\')"'
    yield '  if [ ! -d "$home" ] || [ "$owner" = root ]; then continue; fi'


def _powershell_homes(inner: str) -> list[str]:
    return [
        "foreach ($home_ in Get-ChildItem C:\\Users -Directory | Where-Object { $_.Name -ne 'Public' }) {",
        f"  $path = Join-Path $home_.FullName {_single(inner.lstrip(chr(92)))}",
        '  if (Test-Path $path) { Write-Output "$path is there already; add to it by hand"; continue }',
        "  New-Item -ItemType Directory -Force -Path (Split-Path $path) | Out-Null",
        '  [System.IO.File]::WriteAllText($path, ($text -replace "`r`n", "`n") + "`n", $utf8)',
        "}",
    ]


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _single(text: str) -> str:
    """A PowerShell string in which nothing is special."""
    return "'" + text.replace("'", "''") + "'"
