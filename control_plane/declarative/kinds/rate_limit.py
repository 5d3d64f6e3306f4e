"""RateLimit: how often and how much at once."""

from control_plane.declarative.kinds.rule import RuleObjects
from control_plane.declarative.rule_shapes import CONTACT, PER_SHAPE, TIME_ZONE, head_fields, whole
from control_plane.declarative.shapes import Choice, Field, Record
from control_plane.limits.models import Unit
from control_plane.limits.services import HIGHEST_LIMIT, RATE_LIMITS


class RateLimitObjects(RuleObjects):
    name = "RateLimit"
    title = "How many requests or tokens in a time, or how many requests at once."
    order = 75
    rules = RATE_LIMITS
    subject_kinds = frozenset({"rate_limit"})
    spec = Record(
        (
            *head_fields(is_grouped=True),
            Field("limit", whole(1, HIGHEST_LIMIT), "How many."),
            Field("unit", Choice(tuple(Unit.values)), "Of what, and in which time."),
            Field("burst", whole(0, HIGHEST_LIMIT), "How many at once; left out: the limit.", 0),
            Field("timezone", TIME_ZONE, "Whose midnight begins a day.", "UTC"),
            Field("per", PER_SHAPE, "One counter for each combination of these; none: all together.", []),
            CONTACT,
        )
    )
    example = """\
kind: RateLimit
metadata: {name: ci-pipeline-limit}
spec:
  when: {models: ["openai-main/gpt-4*"], metadata: {environment: [ci]}}
  limit: 500
  unit: requests_per_day
  per: [service_account]
"""


KIND = RateLimitObjects()
