"""Rows that keep the books honest: closed months, corrections by people. Ids of other apps are plain columns."""

from uuid import uuid4

from django.db import models
from django.db.models import Q


class ClosedMonth(models.Model):
    """A month of an organization whose sums no longer change; what is learned later counts in a later month."""

    id = models.BigAutoField(primary_key=True)
    organization_id = models.UUIDField()
    month = models.DateField()
    """Its first day; UTC."""
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=200)
    """Name of the actor, for people; the audit has the rest."""

    class Meta:
        ordering = ["organization_id", "month"]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "month"], name="usage_closed_month_once"),
            models.CheckConstraint(condition=Q(month__day=1), name="usage_closed_month_is_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Adjustment(models.Model):
    """A correction of money by people; its row in the ledger has kind `adjustment` and the same exchange id."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    exchange_id = models.CharField(max_length=26, unique=True)
    """Names the ledger's row; no exchange stands behind it."""
    cost_nano_usd = models.BigIntegerField()
    """Negative: a credit."""
    team_id = models.UUIDField(null=True)
    principal_id = models.UUIDField(null=True)
    principal_kind = models.CharField(max_length=16)
    note = models.CharField(max_length=500)
    """Why; shown on statements."""
    counted_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    """Name of the actor, for people; the audit has the rest."""

    class Meta:
        ordering = ["-counted_at", "id"]
        indexes = [models.Index(fields=["organization_id", "-counted_at"], name="usage_adjustment_newest")]
        constraints = [models.CheckConstraint(condition=~Q(cost_nano_usd=0), name="usage_adjustment_is_some")]

    def __str__(self) -> str:
        return f"{self.counted_at:%Y-%m-%d} {self.cost_nano_usd}"
