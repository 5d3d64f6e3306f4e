"""Kandji (now Iru): a custom profile, or a custom script whose audit part calls for the other one."""

from control_plane.onboarding.rollout.mdm.apple import audit_file, check_step, install_file, profile_file, remove_file
from control_plane.onboarding.rollout.plan import Mdm, Package, Rollout, RolloutContext, RolloutTool, System


def _render(tool: RolloutTool, rollout: Rollout, context: RolloutContext) -> Package:
    if rollout.preferences is not None:
        [profile] = profile_file(tool, rollout, context)
        return Package(
            (profile,),
            (
                "Library, Add new, Custom Profile.",
                f"Device families: Mac. Upload {profile.name}.",
                "Assign it to a blueprint with one test Mac first, then to the others.",
                check_step(tool, rollout),
                "To take it back, take the item out of the blueprint.",
            ),
        )
    audit, install, remove = audit_file(tool, rollout), install_file(tool, rollout), remove_file(tool, rollout)
    return Package(
        (audit, install, remove),
        (
            "Library, Add new, Custom Script. Execution frequency: Run daily.",
            f"Audit Script: paste {audit.name}. Remediation Script: paste {install.name}; it runs when the audit ends "
            "with something other than 0.",
            "Assign it to a blueprint with one test Mac first, then to the others.",
            check_step(tool, rollout),
            f"To take it back, replace both by {remove.name}, run once per device.",
        ),
    )


MDM = Mdm("kandji", "Kandji (Iru)", (System.MACOS,), _render)
