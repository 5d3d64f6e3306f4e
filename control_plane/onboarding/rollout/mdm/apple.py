"""What the Apple managements have in common: a profile where the tool reads preferences, a script for its files."""

from control_plane.onboarding.rollout.plan import Download, Rollout, RolloutContext, RolloutTool, System
from control_plane.onboarding.rollout.profiles import mobileconfig
from control_plane.onboarding.rollout.scripts import audit_script, install_script, remove_script

PROFILE = "application/x-apple-aspen-config"
SHELL = "text/x-shellscript"


def profile_file(tool: RolloutTool, rollout: Rollout, context: RolloutContext) -> tuple[Download, ...]:
    if rollout.preferences is None:
        return ()
    text = mobileconfig(tool, rollout.preferences, context.organization)
    return (Download(f"switchyard-{tool.id}.mobileconfig", PROFILE, text),)


def install_file(tool: RolloutTool, rollout: Rollout, system: System = System.MACOS) -> Download:
    return Download(f"switchyard-{tool.id}-install.sh", SHELL, install_script(tool, rollout, system))


def audit_file(tool: RolloutTool, rollout: Rollout, system: System = System.MACOS) -> Download:
    return Download(f"switchyard-{tool.id}-audit.sh", SHELL, audit_script(tool, rollout, system))


def remove_file(tool: RolloutTool, rollout: Rollout, system: System = System.MACOS) -> Download:
    return Download(f"switchyard-{tool.id}-remove.sh", SHELL, remove_script(tool, rollout, system))


def check_step(tool: RolloutTool, rollout: Rollout) -> str:
    where = rollout.files[0].places[System.MACOS]
    if rollout.preferences is not None:
        return (
            f"Check on one Mac: the profile is under System Settings, Device Management, and {tool.name} asks the "
            "gateway. Its first request shows in the console under Exchanges."
        )
    return f"Check on one Mac: {where} is there. The first request shows in the console under Exchanges."
