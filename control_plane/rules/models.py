"""Rows that all kinds of rules share, and keys of metadata."""

from uuid import uuid4

from django.core.validators import RegexValidator
from django.db import models

from control_plane.organizations.models import Organization

RULE_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,98}[a-z0-9]$|^[a-z0-9]$"
rule_name_is_plain = RegexValidator(
    RULE_NAME_PATTERN, "Lower-case letters, digits, dots, dashes and underscores; at most 100; starts and ends plainly."
)


class Mode(models.TextChoices):
    """What becomes of a rule's decisions."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """Decided, counted and shown, obeyed by nobody."""
    OFF = "off"


class UnknownValue(models.TextChoices):
    """What becomes of a value of metadata that is not allowed."""

    REFUSE = "refuse"
    OTHER = "other"
    """Counted as the value `other`."""


class RuleFields(models.Model):
    """The head of every rule. when, when_not: `conditions.Condition` as it is stored, subjects by id."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="%(class)ss")
    name = models.CharField(max_length=100, validators=[rule_name_is_plain])
    description = models.CharField(max_length=500, blank=True)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.ENFORCE)
    when = models.JSONField(default=dict, blank=True)
    when_not = models.JSONField(default=list, blank=True)
    """A list of conditions; none of them may fit."""
    contact = models.CharField(max_length=254, blank=True)
    """Whom a refused person may ask; empty: the organization's contact."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GroupedRuleFields(RuleFields):
    """A rule that may stand in a group, of which only the most specific one that matches applies."""

    group = models.CharField(max_length=100, blank=True, validators=[rule_name_is_plain])

    class Meta(RuleFields.Meta):
        abstract = True


class MetadataKey(models.Model):
    """What may stand in a key of metadata."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="metadata_keys")
    name = models.CharField(max_length=64)
    """The key itself."""
    description = models.CharField(max_length=500, blank=True)
    is_required = models.BooleanField(default=False)
    values = models.JSONField(default=list, blank=True)
    """Allowed values; empty: any, unless there is a pattern."""
    pattern = models.CharField(max_length=500, blank=True)
    """RE2, over the whole value; besides the values."""
    unknown = models.CharField(max_length=8, choices=UnknownValue.choices, default=UnknownValue.REFUSE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="rules_metadata_key_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="rules_metadata_key_owner"),
            models.CheckConstraint(
                condition=models.Q(unknown__in=UnknownValue.values), name="rules_metadata_key_unknown"
            ),
        ]

    def __str__(self) -> str:
        return self.name
