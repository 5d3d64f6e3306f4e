"""Microsoft Intune: PowerShell for Windows, a custom profile or a shell script for macOS, a shell script for Linux."""

from control_plane.onboarding.rollout.mdm.apple import install_file, profile_file, remove_file
from control_plane.onboarding.rollout.plan import (
    Download,
    Mdm,
    Package,
    Rollout,
    RolloutContext,
    RolloutTool,
    System,
)
from control_plane.onboarding.rollout.scripts import install_script, powershell, powershell_remove


def _render(tool: RolloutTool, rollout: Rollout, context: RolloutContext) -> Package:
    windows = Download(f"switchyard-{tool.id}-install.ps1", "text/plain", powershell(tool, rollout))
    gone = Download(f"switchyard-{tool.id}-remove.ps1", "text/plain", powershell_remove(tool, rollout))
    linux = Download(
        f"switchyard-{tool.id}-install-linux.sh", "text/x-shellscript", install_script(tool, rollout, System.LINUX)
    )
    files: list[Download] = [windows, gone]
    steps = [
        f"Windows: Devices, Scripts and remediations, Platform scripts, Add, Windows 10 and later: {windows.name}. Run "
        "with the logged-on credentials: No. Run in 64-bit PowerShell host: Yes.",
    ]
    if rollout.preferences is not None:
        [profile] = profile_file(tool, rollout, context)
        files.append(profile)
        steps.append(
            f"macOS: Devices, macOS, Configuration, Create, Templates, Custom: upload {profile.name}; deployment "
            "channel: Device channel."
        )
    else:
        install, remove = install_file(tool, rollout), remove_file(tool, rollout)
        files += [install, remove]
        steps.append(
            f"macOS: Devices, macOS, Scripts, Add: {install.name}. Run script as signed-in user: No; "
            "frequency: every day."
        )
    files.append(linux)
    steps += [
        f"Linux: Devices, Linux, Scripts, Add: {linux.name}. Execution context: Root.",
        "Assign each to a group with one test machine first, then to everybody.",
        f"Check on one machine: {rollout.files[0].places[System.WINDOWS]} is there, and the tool's first request shows "
        "in the console under Exchanges.",
        f"To take it back on Windows, assign {gone.name} in place of the other script.",
    ]
    if rollout.registry is not None:
        steps.insert(
            1,
            f"Or by policy: set the registry value {rollout.registry.name} (REG_SZ) of {rollout.registry.key} to the "
            "JSON of the file on one line.",
        )
    return Package(tuple(files), tuple(steps))


MDM = Mdm("intune", "Microsoft Intune", (System.WINDOWS, System.MACOS, System.LINUX), _render)
