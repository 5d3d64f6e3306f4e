"""Rows of access rules."""

from django.db import models

from control_plane.rules.models import Mode, RuleFields


class AccessRule(RuleFields):
    """Lets exchanges through, or denies them. Matching rules unite; a denial wins over every allowance."""

    allow = models.JSONField(null=True, blank=True)
    """{"models": […], "providers": […], "regions": […], "external": false}; {}: everything; None: the rule allows
    nothing, it only denies."""
    deny = models.JSONField(null=True, blank=True)
    """The same; None: nothing is denied."""

    class Meta(RuleFields.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="access_rule_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="access_rule_owner"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="access_rule_mode"),
            models.CheckConstraint(
                condition=models.Q(allow__isnull=False) | models.Q(deny__isnull=False),
                name="access_rule_says_something",
            ),
        ]
