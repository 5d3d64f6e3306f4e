"""SessionCap: brakes on runaway sessions."""

from control_plane.declarative.kinds.rule import RuleObjects
from control_plane.declarative.rule_shapes import CONTACT, Amount, head_fields, whole
from control_plane.declarative.shapes import Field, Record
from control_plane.limits.services import FLAGS, HIGHEST_CAP, ORDINARY_FACTOR, SESSION_CAPS


class SessionCapObjects(RuleObjects):
    name = "SessionCap"
    title = "What one session may do at most. A session is the client's word: this is a brake, a budget is the wall."
    order = 80
    rules = SESSION_CAPS
    subject_kinds = frozenset({"session_cap"})
    spec = Record(
        (
            *head_fields(is_grouped=True),
            Field("max_cost_usd", Amount(), "What it may cost.", None),
            Field("max_turns", whole(1, HIGHEST_CAP), "How many requests.", None),
            Field("max_request_retries", whole(1, HIGHEST_CAP), "How often the same request may come again.", None),
            Field(
                "max_consecutive_failed_tool_results",
                whole(1, HIGHEST_CAP),
                f"How many tools may fail one after the other. {FLAGS}",
                None,
            ),
            Field(
                "max_repeats_of_same_tool_call",
                whole(1, HIGHEST_CAP),
                "How often the same tool may be called with the same arguments.",
                None,
            ),
            Field(
                "per_key_hour_factor",
                whole(0, 1000),
                "A key has so many times each cap in an hour, over all its sessions; 0: not held.",
                ORDINARY_FACTOR,
            ),
            CONTACT,
        )
    )
    example = """\
kind: SessionCap
metadata: {name: runaway}
spec:
  max_cost_usd: "50"
  max_turns: 400
  max_request_retries: 3
"""


KIND = SessionCapObjects()
