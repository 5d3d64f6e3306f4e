"""A repricing of a past window: what it would change, and how far it is. Ids of other apps are plain columns."""

from uuid import uuid4

from django.db import models


class RepricingState(models.TextChoices):
    COMPUTING = "computing", "being worked out"
    READY = "ready", "worked out"
    APPLYING = "applying", "being booked"
    DONE = "done", "booked"
    STALE = "stale", "prices changed since"
    DROPPED = "dropped", "dropped"


class Repricing(models.Model):
    """One window of an organization's usage, priced anew by the book as it stood when it was worked out."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    model_globs = models.JSONField(default=list)
    """Empty: all models."""
    team_ids = models.JSONField(default=list)
    """32 hex digits each; empty: all teams."""
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=12, choices=RepricingState.choices, default=RepricingState.COMPUTING)
    book_digest = models.UUIDField(null=True)
    """Names the prices that it was worked out with: with others it is not booked."""
    cursor_day = models.DateField(null=True)
    cursor_exchange = models.CharField(max_length=26, blank=True, default="")
    """Everything up to here is looked at."""
    seen = models.BigIntegerField(default=0)
    """Rows looked at while it was worked out."""
    changed = models.BigIntegerField(default=0)
    """Of them, rows that another amount came out for."""
    old_nano_usd = models.BigIntegerField(default=0)
    """What the changed rows cost as they stand."""
    new_nano_usd = models.BigIntegerField(default=0)
    by_model = models.JSONField(default=dict)
    """{model: [rows, old, new]}"""
    by_team = models.JSONField(default=dict)
    """{team's id or "": [rows, old, new]}"""
    booked = models.BigIntegerField(default=0)
    """Rows superseded so far."""
    booked_nano_usd = models.BigIntegerField(default=0)
    """What that added to the books."""
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    applied_at = models.DateTimeField(null=True)
    applied_by = models.CharField(max_length=200, blank=True, default="")
    finished_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [models.Index(fields=["organization_id", "-created_at"], name="usage_repricing_newest")]
        constraints = [
            models.CheckConstraint(condition=models.Q(until__gt=models.F("since")), name="usage_repricing_window")
        ]

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}: {self.state}"

    @property
    def difference_nano_usd(self) -> int:
        return self.new_nano_usd - self.old_nano_usd
