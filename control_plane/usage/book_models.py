"""Rows that keep the books honest: which months are closed. Ids of other apps are plain columns."""

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
