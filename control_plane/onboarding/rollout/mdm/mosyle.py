"""Mosyle: a custom profile, or a custom command."""

from control_plane.onboarding.rollout.mdm.apple import check_step, install_file, profile_file, remove_file
from control_plane.onboarding.rollout.plan import Mdm, Package, Rollout, RolloutContext, RolloutTool, System


def _render(tool: RolloutTool, rollout: Rollout, context: RolloutContext) -> Package:
    if rollout.preferences is not None:
        [profile] = profile_file(tool, rollout, context)
        return Package(
            (profile,),
            (
                "Management, macOS, Certificates / Custom Profiles; activate this profile type if it is not listed.",
                f"Add new profile, upload {profile.name}, profile scope: System.",
                "Assign it to one test Mac first, then to everybody.",
                check_step(tool, rollout),
                "To take it back, delete the assignment.",
            ),
        )
    install, remove = install_file(tool, rollout), remove_file(tool, rollout)
    return Package(
        (install, remove),
        (
            "Management, macOS, Custom Commands; activate this profile type if it is not listed.",
            f"Add new profile and paste {install.name}; execution: every day.",
            "Assign it to one test Mac first, then to everybody.",
            check_step(tool, rollout),
            f"To take it back, run {remove.name} once as a custom command.",
        ),
    )


MDM = Mdm("mosyle", "Mosyle", (System.MACOS,), _render)
