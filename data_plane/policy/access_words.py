"""What people are told whom a rule of access refuses a model."""

from collections.abc import Sequence

from data_plane.policy.access import models_for
from data_plane.policy.access_rules import Sight, Verdict
from data_plane.policy.conditions import Scene
from data_plane.policy.decision import Refusal
from data_plane.policy.naming import clip, closest
from data_plane.policy.snapshot import PolicySnapshot
from switchyard_contract.reason import Reason

_RULES_SHOWN = 3


def refuse_model(
    policy: PolicySnapshot, scene: Scene, sight: Sight, verdicts: Sequence[Verdict], denying: Verdict | None
) -> Refusal:
    """Name the rule that denies, or those that match and do not grant; and what may be used instead."""
    asked = clip(sight.asked)
    target = f"{sight.provider_name}/{sight.model}"
    leads = "" if sight.asked in (sight.model, target) else f" (it leads to {clip(target)})"
    if denying is not None:
        said = [f"The access rule “{denying.rule.name}” denies “{asked}”{leads}: {denying.denies}."]
    else:
        matching = [verdict.rule.name for verdict in verdicts if not verdict.missing and not verdict.rule.is_shadow]
        shown = ", ".join(f"“{name}”" for name in matching[:_RULES_SHOWN])
        more = f" and {len(matching) - _RULES_SHOWN} more" if len(matching) > _RULES_SHOWN else ""
        who = scene.caller.principal_name
        about = f"Rules about {who} allow others: {shown}{more}." if matching else f"No rule is about {who} here."
        said = [f"No access rule allows “{asked}”{leads}.", about]
    names = closest(sight.asked, [model.id for model in models_for(policy, scene.caller, scene)])
    if names:
        said.append(f"Closest names this key may use: {', '.join(names)}.")
    if scene.caller.contact:
        said.append(f"Ask {scene.caller.contact} for others.")
    return Refusal(Reason.MODEL_NOT_ALLOWED, " ".join(said), suggestions=names)
