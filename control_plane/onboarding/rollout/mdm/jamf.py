"""Jamf Pro: the profile is uploaded as it is or as a property list; scripts run by a policy."""

from control_plane.onboarding.rollout.mdm.apple import check_step, install_file, profile_file, remove_file
from control_plane.onboarding.rollout.plan import Download, Mdm, Package, Rollout, RolloutContext, RolloutTool, System
from control_plane.onboarding.rollout.profiles import preference_list


def _render(tool: RolloutTool, rollout: Rollout, context: RolloutContext) -> Package:
    remove = remove_file(tool, rollout)
    if rollout.preferences is not None:
        domain = rollout.preferences.domain
        plist = Download(f"{domain}.plist", "application/xml", preference_list(rollout.preferences))
        [profile] = profile_file(tool, rollout, context)
        return Package(
            (profile, plist),
            (
                f"Computers, Configuration Profiles, Upload: choose {profile.name}.",
                f"Or build it there: Application & Custom Settings, Upload, preference domain {domain}, and paste "
                f"{plist.name}.",
                "Level: Computer Level. Scope it to a smart group with one test Mac first, then to everybody.",
                check_step(tool, rollout),
                "To take it back, take the group out of the scope.",
            ),
        )
    install = install_file(tool, rollout)
    return Package(
        (install, remove),
        (
            f"Settings, Computer management, Scripts, New: paste {install.name}.",
            "Computers, Policies, New: trigger Recurring Check-in, frequency Once every day; add the script.",
            "Scope it to a smart group with one test Mac first, then to everybody.",
            check_step(tool, rollout),
            f"To take it back, run {remove.name} by a policy with the frequency Once per computer.",
        ),
    )


MDM = Mdm("jamf", "Jamf Pro", (System.MACOS,), _render)
