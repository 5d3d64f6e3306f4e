"""Rows of rate limits and session caps."""

from django.db import models

from control_plane.rules.models import GroupedRuleFields, Mode


class Unit(models.TextChoices):
    """What a rate limit counts, and in which time."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    REQUESTS_PER_HOUR = "requests_per_hour"
    REQUESTS_PER_DAY = "requests_per_day"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    TOKENS_PER_HOUR = "tokens_per_hour"
    TOKENS_PER_DAY = "tokens_per_day"
    INPUT_TOKENS_PER_MINUTE = "input_tokens_per_minute"
    INPUT_TOKENS_PER_HOUR = "input_tokens_per_hour"
    INPUT_TOKENS_PER_DAY = "input_tokens_per_day"
    OUTPUT_TOKENS_PER_MINUTE = "output_tokens_per_minute"
    OUTPUT_TOKENS_PER_HOUR = "output_tokens_per_hour"
    OUTPUT_TOKENS_PER_DAY = "output_tokens_per_day"
    CONCURRENT_REQUESTS = "concurrent_requests"


class RateLimit(GroupedRuleFields):
    """How many requests or tokens in a time, or how many requests at once."""

    per = models.JSONField(default=list, blank=True)
    """One counter per combination of these (switchyard_contract.counters.PER)."""
    limit = models.BigIntegerField()
    unit = models.CharField(max_length=24, choices=Unit.choices)
    burst = models.BigIntegerField(default=0)
    """How many at once; 0: the limit. Only for minutes and hours."""
    timezone = models.CharField(max_length=64, default="UTC")
    """Whose midnight begins a day."""

    class Meta(GroupedRuleFields.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="limits_rate_limit_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="limits_rate_limit_owner"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="limits_rate_limit_mode"),
            models.CheckConstraint(condition=models.Q(unit__in=Unit.values), name="limits_rate_limit_unit"),
            models.CheckConstraint(condition=models.Q(limit__gte=1), name="limits_rate_limit_positive"),
            models.CheckConstraint(condition=models.Q(burst__gte=0), name="limits_rate_limit_burst"),
        ]


class SessionCap(GroupedRuleFields):
    """What one session may do at most. None: no cap. At least one is given."""

    max_cost_nano_usd = models.BigIntegerField(null=True, blank=True)
    max_turns = models.BigIntegerField(null=True, blank=True)
    max_request_retries = models.BigIntegerField(null=True, blank=True)
    """How often the same request may be sent again."""
    max_consecutive_failed_tool_results = models.BigIntegerField(null=True, blank=True)
    max_repeats_of_same_tool_call = models.BigIntegerField(null=True, blank=True)
    per_key_hour_factor = models.IntegerField(default=10)
    """A session is the client's word, so a key has so many times each cap in an hour; 0: not held."""

    class Meta(GroupedRuleFields.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="limits_session_cap_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="limits_session_cap_owner"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="limits_session_cap_mode"),
            models.CheckConstraint(
                condition=models.Q(per_key_hour_factor__gte=0, per_key_hour_factor__lte=1000),
                name="limits_session_cap_factor",
            ),
        ]
